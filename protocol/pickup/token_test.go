package pickup_test

import (
	"crypto/ed25519"
	"strings"
	"testing"

	"counterpart/protocol"
	"counterpart/protocol/pickup"
)

// ordered is a part at store s1 that was picked, with its key and its code.
func ordered(t *testing.T) (pickup.State, ed25519.PrivateKey) {
	t.Helper()
	key := ed25519.NewKeyFromSeed([]byte(strings.Repeat("k", ed25519.SeedSize)))
	order := &protocol.Order{
		PartID: partID, Method: protocol.InStore, Shopper: protocol.Shopper{Phone: "+994 50 123-45-67"}, CodeSum: pickup.CodeSum(partID, "7K3M-9Q2X"),
		Lines: []protocol.OrderLine{{Number: 1, Item: protocol.ItemRef{SKU: "PEN"}, Quantity: 1000}},
	}
	copy(order.TokenKey[:], key.Public().(ed25519.PublicKey))
	var p pickup.Part
	p.Add(protocol.EventID{Inc: protocol.Inc{1}, Seq: 1}, &protocol.Event{Kind: protocol.KindOrder, Order: order}, nil, "")
	return p.State(), key
}

// TestOnlyTheRightProofIsTaken hands over for the part's own token and code and
// the phone's digits, and for nothing that looks like them.
func TestOnlyTheRightProofIsTaken(t *testing.T) {
	s, key := ordered(t)
	other := partID
	other.Part++
	token := pickup.NewToken(key, "s1", partID)
	forged := pickup.NewToken(ed25519.NewKeyFromSeed(make([]byte, ed25519.SeedSize)), "s1", partID)
	for name, c := range map[string]struct {
		request pickup.Request
		want    protocol.Code // empty: taken
	}{
		"the token":                {pickup.Request{PickupCode: token}, ""},
		"a forged token":           {pickup.Request{PickupCode: forged}, protocol.Forbidden},
		"a token that was changed": {pickup.Request{PickupCode: token[:len(token)-2] + "AA"}, protocol.Forbidden},
		"half a token":             {pickup.Request{PickupCode: token[:40]}, protocol.Forbidden},
		"another part's token":     {pickup.Request{PickupCode: pickup.NewToken(key, "s1", other)}, protocol.Forbidden},
		"another store's token":    {pickup.Request{PickupCode: pickup.NewToken(key, "s2", partID)}, protocol.Conflict},
		"the code":                 {pickup.Request{PickupCode: "7K3M-9Q2X"}, ""},
		"the code as people write": {pickup.Request{PickupCode: " 7k3m 9q2x"}, ""},
		"another code":             {pickup.Request{PickupCode: "7K3M-9Q2Y"}, protocol.Forbidden},
		"nothing":                  {pickup.Request{}, protocol.OutOfRangeCode},
		"the phone's end":          {pickup.Request{Staff: "s7", Check: &pickup.Check{PhoneDigits: "4567"}}, ""},
		"the phone's middle":       {pickup.Request{Staff: "s7", Check: &pickup.Check{PhoneDigits: "2345"}}, protocol.Forbidden},
		"two digits":               {pickup.Request{Staff: "s7", Check: &pickup.Check{PhoneDigits: "67"}}, protocol.OutOfRangeCode},
		"the phone, by nobody":     {pickup.Request{Check: &pickup.Check{PhoneDigits: "4567"}}, protocol.OutOfRangeCode},
	} {
		if got := protocol.CodeOf(s.Confirms("s1", &c.request, pickup.ShopperOf(s.Order, protocol.SubjectKey{}, false))); got != c.want {
			t.Errorf("%s: %q, want %q", name, got, c.want)
		}
	}
}

// FuzzParseToken: whatever the text, a token or an error.
func FuzzParseToken(f *testing.F) {
	s, key := ordered(&testing.T{})
	f.Add(pickup.NewToken(key, "s1", partID))
	f.Add("cp1.AAAA")
	f.Fuzz(func(t *testing.T, text string) {
		token, err := pickup.ParseToken(text)
		if err == nil && (token.Part == 0 || !protocol.ValidID(string(token.Store)) || !protocol.ValidID(string(token.Order))) {
			t.Errorf("%q is read as %+v", text, token)
		}
		if s.Confirms("s1", &pickup.Request{PickupCode: text}, pickup.ShopperDocument{}) == nil && text != pickup.NewToken(key, "s1", partID) && pickup.IsToken(text) {
			t.Errorf("%q is taken", text)
		}
	})
}
