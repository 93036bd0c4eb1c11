package protocol_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"log/slog"
	"reflect"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"counterpart/protocol"
)

var (
	samplePersonal = protocol.Personal{Name: "Ayla Məmmədova", Phone: "+994501234567", Email: "Ayla.M@example.com", Birthday: "1988-02-29"}
	sampleKey      = protocol.NewSubjectKey(counting(0x40))
	sampleLookup   = protocol.LookupKey(protocol.NewSubjectKey(counting(0x80)))
)

// counting fills bytes with from, from+1 and so on.
func counting(from byte) func([]byte) {
	return func(b []byte) {
		for i := range b {
			b[i] = from
			from++
		}
	}
}

var genPersonal = rapid.Custom(func(t *rapid.T) protocol.Personal {
	return protocol.Personal{
		Name:  rapid.StringMatching(`[a-zəİ ]{0,40}`).Draw(t, "name"),
		Phone: rapid.StringMatching(`(\+[1-9][0-9]{1,14})?`).Draw(t, "phone"),
		Email: rapid.StringMatching(`([a-zA-Z.]{1,20}@[a-z]{1,9}\.[a-z]{2,9})?`).Draw(t, "email"), Birthday: genDate.Draw(t, "birthday"),
	}
})

// fields are those of a Personal, which would not show them.
func fields(p protocol.Personal) [4]string { return [4]string{p.Name, p.Phone, p.Email, p.Birthday} }

func TestPersonalRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		p := genPersonal.Draw(t, "personal")
		b, err := protocol.EncodePersonal(p)
		if err != nil {
			t.Fatal(err)
		}
		if got, err := protocol.DecodePersonal(b); err != nil || got != p {
			t.Fatalf("%v comes back as %v (%v)", fields(p), fields(got), err)
		}
	})
}

// Whoever changes a field keeps what a later version has said.
func TestPersonalKeepsLaterFields(t *testing.T) {
	later := bytesField(9, "Frau Dr.") + varintField(12, 7)
	p, err := protocol.DecodePersonal([]byte(bytesField(1, "Ayla") + later))
	if err != nil {
		t.Fatal(err)
	}
	p.Name = "Aylin"
	b, err := protocol.EncodePersonal(p)
	if want := bytesField(1, "Aylin") + later; err != nil || string(b) != want {
		t.Errorf("written as %x, want %x (%v)", b, want, err)
	}
}

func TestPersonalBounds(t *testing.T) {
	long := strings.Repeat("x", 3000)
	for name, p := range map[string]protocol.Personal{
		"name":              {Name: long[:257]},
		"phone":             {Phone: long[:33]},
		"email":             {Email: long[:255]},
		"birthday":          {Birthday: long[:33]},
		"control character": {Name: "a\x00b"},
		"not UTF-8":         {Email: "a\xffb"},
	} {
		if _, err := protocol.EncodePersonal(p); err == nil {
			t.Errorf("%s: written", name)
		}
		raw := bytesField(1, p.Name) + bytesField(2, p.Phone) + bytesField(3, p.Email) + bytesField(4, p.Birthday)
		_, err := protocol.DecodePersonal([]byte(raw))
		if err == nil {
			t.Errorf("%s: read", name)
		} else if strings.Contains(err.Error(), "xxx") || strings.Contains(err.Error(), "a\x00b") {
			t.Errorf("%s: the error repeats the field: %v", name, err)
		}
	}
	most := bytesField(1, "a") + bytesField(9, long[:protocol.PersonalBytesMax-6])
	if p, err := protocol.DecodePersonal([]byte(most)); err != nil || len(most) != protocol.PersonalBytesMax {
		t.Errorf("%d bytes are not read: %v", len(most), err)
	} else {
		p.Email = "a@b.c"
		if _, err := protocol.EncodePersonal(p); err == nil {
			t.Error("more than the most is written")
		}
	}
	if _, err := protocol.DecodePersonal([]byte(most + "x")); err == nil {
		t.Error("more than the most is read")
	}
}

func TestMasked(t *testing.T) {
	for _, c := range []struct {
		p    protocol.Personal
		want protocol.Masked
	}{
		{protocol.Personal{}, protocol.Masked{}},
		{samplePersonal, protocol.Masked{Name: "A•••", Phone: "•••567", Email: "A•••@example.com", Birthday: "•••"}},
		{protocol.Personal{Name: "Ş", Phone: "+12345", Email: "ş@example.com"}, protocol.Masked{Name: "•••", Phone: "•••", Email: "•••@example.com"}},
		{protocol.Personal{Name: "e\u0301va", Email: "nobody"}, protocol.Masked{Name: "e\u0301•••", Email: "•••"}},
		{protocol.Personal{Phone: "call me maybe", Email: "@b"}, protocol.Masked{Phone: "•••", Email: "•••"}},
	} {
		if got := c.p.Masked(); got != c.want {
			t.Errorf("%v is shown as %+v, want %+v", fields(c.p), got, c.want)
		}
	}
}

// However a person or a key is printed, logged or written, nothing of it shows.
func TestSecretsAreNotPrinted(t *testing.T) {
	type holder struct {
		Personal protocol.Personal
		Key      protocol.SubjectKey
		Lookup   protocol.LookupKey
	}
	key, lookup := sampleKey, sampleLookup
	h := holder{samplePersonal, key, lookup}
	var out bytes.Buffer
	for _, v := range []any{h, &h, samplePersonal, &samplePersonal, key, &key, lookup, &lookup, []protocol.SubjectKey{key}, map[string]protocol.Personal{"m-1": samplePersonal}} {
		for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%d", "%x", "%X", "%o", "%08b"} {
			fmt.Fprintf(&out, verb+"\n", v)
		}
		for _, handler := range []slog.Handler{slog.NewTextHandler(&out, nil), slog.NewJSONHandler(&out, nil)} {
			slog.New(handler).Info("told", "of", v, slog.Group("in", "a group", v))
		}
		if b, err := json.Marshal(v); err == nil {
			t.Errorf("%T is written as JSON: %s", v, b)
		}
	}
	secrets := []string{"yla", "dova", "50123", "1988", "[64 65", "64 65 66", "404142", "128 129", "128,129", "808182"}
	for _, secret := range secrets {
		if at := strings.Index(out.String(), secret); at >= 0 {
			t.Errorf("%q shows in %q", secret, out.String()[max(0, at-60):at+60])
		}
	}
	if !strings.Contains(out.String(), "•••567") || !strings.Contains(out.String(), "(key)") {
		t.Error("what is printed says nothing")
	}
}

func TestPersonalNormal(t *testing.T) {
	got, err := protocol.Personal{Name: " Ayla ", Phone: " 00994 (50) 123-45-67 ", Email: "\tAyla@Example.COM ", Birthday: " 1988-02-29"}.Normal()
	if want := (protocol.Personal{Name: "Ayla", Phone: "+994501234567", Email: "Ayla@Example.COM", Birthday: "1988-02-29"}); err != nil || got != want {
		t.Errorf("got %v, want %v (%v)", fields(got), fields(want), err)
	}
	if got, err := (protocol.Personal{Phone: "  "}).Normal(); err != nil || got != (protocol.Personal{}) {
		t.Errorf("no field is %v (%v)", fields(got), err)
	}
	for field, p := range map[string]protocol.Personal{
		"name":     {Name: "Ay\x1bla"},
		"phone":    {Phone: "501234567"},
		"email":    {Email: "ayla"},
		"birthday": {Birthday: "29.02.1988"},
	} {
		_, err := p.Normal()
		e := protocol.AsError(err)
		if e.Code != protocol.OutOfRangeCode || !reflect.DeepEqual(e.Members, map[string]any{"field": field}) {
			t.Errorf("%s: %v with %v", field, err, e.Members)
		}
	}
}
