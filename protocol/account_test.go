package protocol_test

import (
	"fmt"
	"log/slog"
	"math/rand/v2"
	"strings"
	"testing"

	"counterpart/protocol"
)

// TestAccounts tells of each id what it counts, whose it is and in which currency.
func TestAccounts(t *testing.T) {
	code := protocol.GiftCode("ABCD1234EFGH")
	made := protocol.NewMemberID(func(b []byte) { b[0] = 7 })
	for id, want := range map[protocol.MemberID]string{
		code.Account("GBP"):                      "gift_card  GBP",
		protocol.NewCreditAccount("EUR", made):   "credit " + string(made) + " EUR",
		"c-m-20-GBP":                             "credit m-20 GBP",
		"o-m-20-07":                              "offer m-20 ",
		made:                                     "points " + string(made) + " ",
		"m-20":                                   "points m-20 ",
		"g-GBP-07":                               "points g-GBP-07 ",
		"c-m-20-gbp":                             "points c-m-20-gbp ",
		"c-GBP":                                  "points c-GBP ",
		"c--GBP":                                 "points c--GBP ",
		"o-":                                     "points o- ",
		"o-m":                                    "points o-m ",
		"":                                       "points  ",
		protocol.NewOfferAccount(made, noDigits): "offer " + string(made) + " ",
		protocol.MemberID(strings.Repeat("c", 9)): "points ccccccccc ",
	} {
		if got := fmt.Sprint(id.Account(), " ", id.Of(), " ", id.Currency()); got != want {
			t.Errorf("%q is %q, want %q", id, got, want)
		}
	}
	for id, want := range map[protocol.MemberID]protocol.MemberID{"c-m-20-GBP": "c-m-7-GBP", "o-m-20-07": "o-m-20-07", "m-20": "m-7", code.Account("GBP"): code.Account("GBP")} {
		if got := id.AsOf("m-7"); got != want {
			t.Errorf("%q as of m-7 is %q, want %q", id, got, want)
		}
	}
	for _, id := range []protocol.MemberID{code.Account("GBP"), protocol.NewCreditAccount("GBP", made), protocol.NewOfferAccount(made, noDigits)} {
		if !protocol.ValidID(string(id)) {
			t.Errorf("%q is no identifier", id)
		}
	}
}

func noDigits(b []byte) { clear(b) }

// TestGiftCodeIsMasked prints no code, however it is printed, and an account shows
// none.
func TestGiftCodeIsMasked(t *testing.T) {
	code := protocol.GiftCode("WINTER2026ABCD")
	var log strings.Builder
	slog.New(slog.NewJSONHandler(&log, nil)).Info("sold", "code", code)
	for _, text := range []string{fmt.Sprint(code), fmt.Sprintf("%v %+v %#v %s %q", code, code, code, code, code), fmt.Sprint(struct{ C protocol.GiftCode }{code}), log.String(), string(code.Account("GBP")), code.Masked()} {
		if strings.Contains(text, "WINTER") {
			t.Errorf("%q shows the code", text)
		}
	}
	if protocol.GiftCode("AB").Masked() != "****" || !strings.HasSuffix(code.Masked(), "ABCD") {
		t.Errorf("masked as %s and %s", protocol.GiftCode("AB").Masked(), code.Masked())
	}
	if code.Account("GBP") == code.Account("EUR") || code.Account("GBP") == protocol.GiftCode("WINTER2026ABCE").Account("GBP") {
		t.Error("two cards are one account")
	}
}

// TestGiftCodes are what a card may say.
func TestGiftCodes(t *testing.T) {
	rnd := rand.NewChaCha8([32]byte{7})
	random := func(b []byte) { _, _ = rnd.Read(b) }
	seen := map[protocol.GiftCode]bool{}
	for range 100 {
		code := protocol.NewGiftCode(random)
		if !protocol.ValidGiftCode(string(code)) || strings.ContainsAny(string(code), "IO01") {
			t.Fatalf("%q was made", string(code))
		}
		seen[code] = true
	}
	if len(seen) < 100 {
		t.Errorf("only %d codes are different", len(seen))
	}
	for code, want := range map[string]bool{"": false, "ABCD123": false, "ABCD1234": true, strings.Repeat("A", 32): true, strings.Repeat("A", 33): false, "abcd1234": false, "ABCD-1234": false, "ABCD1234\n": false} {
		if protocol.ValidGiftCode(code) != want {
			t.Errorf("%q is valid: %v", code, !want)
		}
	}
}
