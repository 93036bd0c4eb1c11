package protocol_test

import (
	"reflect"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"counterpart/protocol"
)

func TestNormalPhone(t *testing.T) {
	for text, want := range map[string]string{
		"+994501234567":            "+994501234567",
		" +994 (50) 123-45-67 ":    "+994501234567",
		"00994 50 123.45.67":       "+994501234567",
		"(+44) 20 7946 0958":       "+442079460958",
		"[0044]\u00a020–7946‐0958": "+442079460958",
		"+۹۸ ۹۱۲ ۳۴۵ ۶۷۸۹":         "+989123456789",
		"٠٠٩٩٤٥٠١٢٣٤٥٦٧":           "+994501234567",
		"+12":                      "+12",
		"00 123456789012345":       "+123456789012345",
	} {
		if got, err := protocol.NormalPhone(text); err != nil || got != want {
			t.Errorf("%q is %q, want %q (%v)", text, got, want, err)
		}
	}
	for _, text := range []string{
		"", "+", "00", "+1", "+0123456", "0501234567", "501234567", "+1234567890123456", "001234567890123456", "++994501234567", "+994+501234567", "+994501234567x12",
		"+994 50 CALL", "tel:+994501234567", "+44 (0)20 7946 0958", "+994501234567\x00", "+99450\u200b1234567", "+9945\xff01234567", "000994501234567", "+00994501234567",
		"+994/50/1234567", "٩٩٤٥٠١٢٣٤٥٦٧", "+1²", strings.Repeat(" ", 2000) + "+994501234567",
	} {
		got, err := protocol.NormalPhone(text)
		refusedWithout(t, text, got, err, "phone")
	}
}

// refusedWithout demands a refusal of one field that does not repeat its value.
func refusedWithout(t *testing.T, text, got string, err error, field string) {
	t.Helper()
	e := protocol.AsError(err)
	if err == nil || e.Code != protocol.OutOfRangeCode || !reflect.DeepEqual(e.Members, map[string]any{"field": field}) {
		t.Errorf("%q is %q with %v", text, got, err)
	} else if text = strings.TrimSpace(text); len(text) > 3 && strings.Contains(err.Error(), text) {
		t.Errorf("the refusal repeats %q: %v", text, err)
	}
}

func TestNormalEmail(t *testing.T) {
	for text, want := range map[string]string{
		"ayla@example.com":                      "ayla@example.com",
		" Ayla.M+shop@Example.Co.UK\n":          "ayla.m+shop@example.co.uk",
		"İPEK@example.com":                      "ipek@example.com",
		"əli@misal.az":                          "əli@misal.az",
		strings.Repeat("a", 64) + "@b.c":        strings.Repeat("a", 64) + "@b.c",
		"o'hara!#$%&*/=?^_`{|}~-@x-1.example":   "o'hara!#$%&*/=?^_`{|}~-@x-1.example",
		"a@" + strings.Repeat("b.", 125) + "cd": "a@" + strings.Repeat("b.", 125) + "cd",
	} {
		if got, err := protocol.NormalEmail(text); err != nil || got != want {
			t.Errorf("%q is %q, want %q (%v)", text, got, want, err)
		}
	}
	for _, text := range []string{
		"", "@", "ayla", "ayla@", "@b.example", "ayla@example", "ayla@@example.com", "a@b@example.com", "ay la@example.com", "ayla@exam ple.com", "ayla@.example.com",
		"ayla@example.com.", "ayla@example..com", "ayla\x00@example.com", "ayla\u202e@example.com", "ayla\u00a0@example.com", "ayla@example.com, eva@example.com",
		"Ayla <ayla@example.com>", "<ayla@example.com>", "mailto:ayla@example.com", "\"ayla\"@example.com", "ayla\xff@example.com", strings.Repeat("a", 65) + "@b.c",
		"a@" + strings.Repeat("b.", 126) + "cd", strings.Repeat(" ", 2000) + "a@b.c",
	} {
		got, err := protocol.NormalEmail(text)
		refusedWithout(t, text, got, err, "email")
	}
}

// What is normal stays as it is, and is within the bounds of a Personal.
func TestNormalContactIsStable(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		text := rapid.OneOf(rapid.String(), rapid.StringMatching(`[ +(0-9٠-٩.)\-]{2,24}`), rapid.StringMatching(`[\pL.]{1,8}@[\pL\-]{1,6}\.[\pL]{1,4}`)).Draw(t, "text")
		if normal, err := protocol.NormalPhone(text); err == nil {
			stable(t, text, normal, protocol.NormalPhone)
			if _, err := protocol.EncodePersonal(protocol.Personal{Phone: normal}); err != nil {
				t.Fatal(err)
			}
		}
		if normal, err := protocol.NormalEmail(text); err == nil {
			stable(t, text, normal, protocol.NormalEmail)
			if _, err := protocol.EncodePersonal(protocol.Personal{Email: normal}); err != nil {
				t.Fatal(err)
			}
		}
	})
}

func stable(t *rapid.T, text, normal string, again func(string) (string, error)) {
	if got, err := again(normal); err != nil || got != normal {
		t.Fatalf("%q is %q, and that is %q (%v)", text, normal, got, err)
	}
}

// The sums are by key, kind and text.
func TestLookupSum(t *testing.T) {
	other := sampleLookup
	other[31] ^= 1
	seen := map[[16]byte]bool{}
	for _, c := range []struct {
		key  protocol.LookupKey
		kind protocol.ContactKind
		text string
	}{
		{sampleLookup, protocol.ContactPhone, "+994501234567"},
		{sampleLookup, protocol.ContactEmail, "ayla.m@example.com"},
		{sampleLookup, protocol.ContactEmail, "+994501234567"},
		{sampleLookup, protocol.ContactPhone, "+99450123456"},
		{other, protocol.ContactPhone, "+994501234567"},
	} {
		seen[protocol.LookupSum(c.key, c.kind, c.text)] = true
	}
	if len(seen) != 5 {
		t.Errorf("%d sums of 5 differ", len(seen))
	}
	if !seen[protocol.LookupSum(sampleLookup, protocol.ContactPhone, "+994501234567")] {
		t.Error("a sum is not the same twice")
	}
}
