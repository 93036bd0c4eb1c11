package pickup

import (
	"bytes"
	"crypto/ed25519"
	"encoding/base64"
	"errors"
	"strings"

	"google.golang.org/protobuf/encoding/protowire"

	"counterpart/protocol"
)

// tokenPrefix tells a token from a code that somebody types, and its version.
const tokenPrefix = "cp1."

// Token is what a pickup code in a picture (QR) holds: which part of which order
// at which store, signed by the hub.
type Token struct {
	protocol.PartID
	Store     protocol.StoreID
	signature []byte
}

// signed is the text that the signature is over.
func (t *Token) signed() []byte {
	return []byte("counterpart-pickup/1\n" + string(t.Store) + "\n" + t.PartID.String() + "\n")
}

// NewToken signs a token: "cp1." and base64url, without padding, of store, order
// and number of the part (each preceded by its length or as a varint) and the
// Ed25519 signature.
func NewToken(key ed25519.PrivateKey, store protocol.StoreID, part protocol.PartID) string {
	t := Token{PartID: part, Store: store}
	b := protowire.AppendString(nil, string(store))
	b = protowire.AppendString(b, string(part.Order))
	b = protowire.AppendVarint(b, uint64(part.Part))
	return tokenPrefix + base64.RawURLEncoding.EncodeToString(append(b, ed25519.Sign(key, t.signed())...))
}

// IsToken tells a token from a typed code.
func IsToken(text string) bool { return strings.HasPrefix(text, tokenPrefix) }

var errToken = errors.New("not a pickup token")

// ParseToken reads a token. Nothing is verified yet.
func ParseToken(text string) (*Token, error) {
	body, ok := strings.CutPrefix(text, tokenPrefix)
	b, err := base64.RawURLEncoding.DecodeString(body)
	if !ok || err != nil {
		return nil, errToken
	}
	var names [2]string
	for i := range names {
		name, n := protowire.ConsumeString(b)
		if n < 0 || !protocol.ValidID(name) {
			return nil, errToken
		}
		names[i], b = name, b[n:]
	}
	part, n := protowire.ConsumeVarint(b)
	if n < 0 || part == 0 || part > 1<<31 || len(b[n:]) != ed25519.SignatureSize {
		return nil, errToken
	}
	return &Token{
		PartID: protocol.PartID{Order: protocol.OrderID(names[1]), Part: uint32(part)}, Store: protocol.StoreID(names[0]), signature: bytes.Clone(b[n:]),
	}, nil
}

// fits tells whether the token is the hub's for a part at a store. The key came
// with the order, which came from the hub: so whoever holds the order can tell,
// without the internet, and keys may change with any order.
func (t *Token) fits(o *protocol.Order, store protocol.StoreID) bool {
	return t.Store == store && t.PartID == o.PartID && o.TokenKey != [ed25519.PublicKeySize]byte{} &&
		ed25519.Verify(o.TokenKey[:], t.signed(), t.signature)
}
