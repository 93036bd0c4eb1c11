package pickup

import (
	"bytes"
	"encoding/json"
	"slices"

	"counterpart/protocol"
)

// ShopperDocument is whom the goods are for. Locked says that it is known and
// cannot be read here: the key has not come, or is gone.
type ShopperDocument struct {
	Name   *string `json:"name"`
	Phone  *string `json:"phone"`
	Locked bool    `json:"locked"`
}

// ShopperOf shows whom the goods of an order are for, with the key of its subject;
// ok is false where there is none.
func ShopperOf(o *protocol.Order, key protocol.SubjectKey, ok bool) ShopperDocument {
	if len(o.Sealed) == 0 {
		return ShopperDocument{Name: orNull(o.Shopper.Name), Phone: orNull(o.Shopper.Phone)}
	}
	if !ok {
		return ShopperDocument{Locked: true}
	}
	p, err := protocol.Open(key, o.Subject(), o.Sealed)
	if err != nil {
		return ShopperDocument{Locked: true}
	}
	return ShopperDocument{Name: orNull(p.Name), Phone: orNull(p.Phone)}
}

// Answers are kept, so nothing personal may stand in them. They are made with
// nobody as the shopper, and who is answered is told the shopper in their place.
// Within JSON text a quotation mark is escaped, so that nothing else looks so.
var nobody = shopperMember(ShopperDocument{})

func shopperMember(s ShopperDocument) []byte {
	b, err := json.Marshal(struct {
		Shopper ShopperDocument `json:"shopper"`
	}{s})
	if err != nil {
		panic(err) // Two texts and a truth are always JSON.
	}
	return b[1 : len(b)-1]
}

// Reveal puts the shopper into the JSON of an order's document that was made
// without. Any other answer stays as it is.
func Reveal(answer []byte, s ShopperDocument) []byte {
	before, after, ok := bytes.Cut(answer, nobody)
	if !ok {
		return answer
	}
	return slices.Concat(before, shopperMember(s), after)
}

// Unrevealed is the order that an answer shows without its shopper; empty for any
// other answer.
func Unrevealed(answer []byte) protocol.OrderID {
	if !bytes.Contains(answer, nobody) {
		return ""
	}
	var d struct {
		ID protocol.OrderID `json:"id"`
	}
	if json.Unmarshal(answer, &d) != nil {
		return ""
	}
	return d.ID
}
