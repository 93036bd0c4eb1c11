package hub

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"crypto/hmac"
	"crypto/sha256"
	"slices"
	"strconv"
	"strings"
	"sync"

	"counterpart/protocol"
	"counterpart/protocol/ledger"
	"counterpart/protocol/pickup"
)

// A signature costs as much as half of the rest of an order, and all orders of an
// item are placed one after the other. So documents are made in the transaction
// with tokens that are not signed, answers are kept so, and who gave the order
// signs. Ed25519 gives the same signature each time, so a repeated answer is the
// same to the byte. They are kept without the shopper as well, who is put in for
// whoever is answered.
const (
	unsignedMark   = "unsigned "
	unsignedMember = `"pickup_token":"` + unsignedMark
)

// unsignedToken names the part that a token is to be signed for. Neither a store
// nor an order has a space or a slash in its name.
func unsignedToken(p *pickup.Placement) string {
	return unsignedMark + string(p.Store) + " " + p.State.Order.PartID.String()
}

// signToken signs a token that unsignedToken left.
func (h *Hub) signToken(unsigned string) string {
	store, name, _ := strings.Cut(strings.TrimPrefix(unsigned, unsignedMark), " ")
	order, number, _ := strings.Cut(name, "/")
	part, err := strconv.ParseUint(number, 10, 32)
	if err != nil {
		return ""
	}
	id := protocol.PartID{Order: protocol.OrderID(order), Part: uint32(part)}
	return pickup.NewToken(h.tokenKey(id.Order), protocol.StoreID(store), id)
}

// onceSigned is once for calls whose answer is an order.
func (h *Hub) onceSigned(ctx context.Context, c protocol.Call, run func(keep func(ledger.Tx, protocol.Answer) error) (protocol.Answer, error)) (protocol.Answer, error) {
	answer, err := h.once(ctx, c, run)
	// In JSON text a quotation mark is escaped, so that nothing else looks like this.
	if at := bytes.Index(answer.Body, []byte(unsignedMember)); err == nil && at >= 0 {
		from := at + len(unsignedMember) - len(unsignedMark)
		to := from + bytes.IndexByte(answer.Body[from:], '"')
		token := h.signToken(string(answer.Body[from:to]))
		answer.Body = slices.Concat(answer.Body[:from], []byte(token), answer.Body[to:])
	}
	id := pickup.Unrevealed(answer.Body)
	if err != nil || id == "" {
		return answer, err
	}
	shopper, err := h.shopperOf(ctx, id)
	answer.Body = pickup.Reveal(answer.Body, shopper)
	return answer, err
}

// tokenKey signs the pickup tokens of an order. Orders whose first part is in one
// stream of the hub's, of one store and one start of the hub, share a key. It
// follows from the hub's secret; its other half goes with each order.
func (h *Hub) tokenKey(order protocol.OrderID) ed25519.PrivateKey {
	stream := string(order)
	if i := strings.LastIndexByte(stream, '-'); i >= 0 {
		stream = stream[:i]
	}
	h.tokens.mu.Lock()
	defer h.tokens.mu.Unlock()
	if key, ok := h.tokens.keys[stream]; ok {
		return key
	}
	mac := hmac.New(sha256.New, h.secret)
	mac.Write([]byte("pickup token\n" + stream))
	key := ed25519.NewKeyFromSeed(mac.Sum(nil))
	if h.tokens.keys == nil || len(h.tokens.keys) >= tokenKeysMax {
		h.tokens.keys = map[string]ed25519.PrivateKey{}
	}
	h.tokens.keys[stream] = key
	return key
}

// tokenKeys remembers keys, since making one costs as much as a signature.
type tokenKeys struct {
	mu   sync.Mutex
	keys map[string]ed25519.PrivateKey
}

const tokenKeysMax = 50_000
