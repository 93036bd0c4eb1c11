package pickup

import (
	"crypto/hmac"
	"crypto/sha256"
	"strings"

	"counterpart/protocol"
)

// codeAlphabet is Crockford's base 32: no letter looks like a digit.
const codeAlphabet = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"

// NewCode makes the code that a shopper may type or say, of eight characters:
// 40 bits of the random bytes.
func NewCode(random [8]byte) string {
	b := make([]byte, 0, 9)
	for i, r := range random {
		if i == 4 {
			b = append(b, '-')
		}
		b = append(b, codeAlphabet[r%32])
	}
	return string(b)
}

// CodeSum is what of a code travels with the order: stores compare, and cannot
// read it out. The name of the part is in it, so that a code is good for no
// other.
func CodeSum(part protocol.PartID, code string) protocol.Hash {
	mac := hmac.New(sha256.New, []byte("counterpart-pickup-code/1\n"+string(part.Order)))
	mac.Write([]byte(plainCode(code)))
	return protocol.Hash(mac.Sum(nil))
}

// plainCode is a code as it is compared, however somebody wrote it.
func plainCode(code string) string {
	return strings.Map(func(r rune) rune {
		switch r {
		case ' ', '-':
			return -1
		case 'O':
			return '0'
		case 'I', 'L':
			return '1'
		}
		return r
	}, strings.ToUpper(code))
}

// Confirms tells whether a shopper proved to a store that the goods are theirs:
// by the token or the code, or, as staff confirm, by the last digits of the
// phone number.
func (s *State) Confirms(store protocol.StoreID, r *Request, shopper ShopperDocument) error {
	switch {
	case IsToken(r.PickupCode):
		token, err := ParseToken(r.PickupCode)
		if err == nil && token.Store != store {
			return protocol.Refuse(protocol.Conflict, "That code is for store "+string(token.Store)+". Nothing was handed over. Send the shopper there.").
				With("store", token.Store).With("hub_state", s.Hub.String()).With("store_state", s.Store.String())
		}
		if err == nil && token.fits(s.Order, store) {
			return nil
		}
	case r.PickupCode != "" && len(r.PickupCode) <= codeBytesMax:
		sum := CodeSum(s.Order.PartID, r.PickupCode)
		if s.Order.CodeSum != (protocol.Hash{}) && hmac.Equal(sum[:], s.Order.CodeSum[:]) {
			return nil
		}
	case r.Check != nil:
		if shopper.Locked {
			return protocol.Refuse(protocol.CannotKnow, "This machine cannot read the phone number of the order. Nothing was handed over. Ask for the code, or try again when the machine is online.")
		}
		phone, asked := "", digitsOf(r.Check.PhoneDigits)
		if shopper.Phone != nil {
			phone = digitsOf(*shopper.Phone)
		}
		if len(asked) < digitsMin || len(asked) > digitsMax {
			return protocol.OutOfRange("phone_digits", "", "not the last 3 to 8 digits of the phone number")
		}
		if r.Staff == "" {
			return protocol.OutOfRange("staff", "", "missing (whoever hands over without a code says who they are)")
		}
		if strings.HasSuffix(phone, asked) {
			return nil
		}
	case s.Order.Method == protocol.SameDay || s.Order.Method == protocol.ShipFromStore:
		return nil // A courier takes it.
	default:
		return protocol.OutOfRange("pickup_code", "", "missing")
	}
	return protocol.Refuse(protocol.Forbidden, "That does not fit the order. Nothing was handed over. Ask for the code again, or for the order number and the last digits of the phone number.")
}

func digitsOf(text string) string {
	return strings.Map(func(r rune) rune {
		if r < '0' || r > '9' {
			return -1
		}
		return r
	}, text)
}
