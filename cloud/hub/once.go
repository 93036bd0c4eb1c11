package hub

import (
	"bytes"
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/json"
	"net/http"
	"time"

	"counterpart/protocol"
	"counterpart/protocol/ledger"
	"counterpart/protocol/pickup"
)

// once runs a call that its sender may repeat: with a key that was answered
// before it gives that answer, byte for byte, and refuses another body. run
// keeps the answer in the transaction that makes it so.
func (h *Hub) once(ctx context.Context, c protocol.Call, run func(keep func(ledger.Tx, protocol.Answer) error) (protocol.Answer, error)) (protocol.Answer, error) {
	if c.Key == "" {
		return run(func(ledger.Tx, protocol.Answer) error { return nil })
	}
	if !h.uploads.enter(c.Route + "\n" + c.Key) {
		return protocol.Answer{}, protocol.Refuse(protocol.InProgress, "The same request is still being worked on. It is recorded at most once. Ask again in a moment for its answer.")
	}
	defer h.uploads.leave(c.Route + "\n" + c.Key)
	name := []string{noteReport, c.Route, c.Key}
	sum := sha256.Sum256(c.Body)
	var first *protocol.Answer
	err := h.view(ctx, func(r ledger.Reader) error {
		b, err := ledger.Note(r, name...)
		if err != nil {
			return err
		}
		if b == nil {
			return nil
		}
		if len(b) < keptHeaderBytes+2 {
			return errReportNote
		}
		status, body := int(binary.BigEndian.Uint16(b[keptHeaderBytes:])), b[keptHeaderBytes+2:]
		known := sum[:]
		if status == recalledStatus {
			same, err := h.sameOrder(ctx, r, protocol.OrderID(body), c, b[8:keptHeaderBytes])
			if err != nil || !same {
				return cmp.Or(err, errOtherRequest())
			}
			first, err = h.recalled(r, protocol.OrderID(body))
			return err
		}
		if !bytes.Equal(b[8:keptHeaderBytes], known) {
			return errOtherRequest()
		}
		first = &protocol.Answer{Status: status, Body: bytes.Clone(body)}
		return nil
	})
	if err != nil {
		return protocol.Answer{}, err
	}
	if first != nil {
		return *first, nil
	}
	return run(func(tx ledger.Tx, a protocol.Answer) error { return h.keep(tx, name, sum[:], a) })
}

// keep writes down an answer, or what leads to it.
func (h *Hub) keep(tx ledger.Tx, name []string, sum []byte, a protocol.Answer) error {
	b := binary.BigEndian.AppendUint64(nil, uint64(h.running().Milliseconds()))
	b = binary.BigEndian.AppendUint16(append(b, sum...), uint16(a.Status))
	return ledger.SetNote(tx, append(b, a.Body...), name...)
}

func answerJSON(status int, document any) (protocol.Answer, error) {
	body, err := json.Marshal(document)
	return protocol.Answer{Status: status, Body: body}, err
}

func errOtherRequest() error {
	return protocol.Refuse(protocol.IdempotencyMismatch, "This Idempotency-Key was used before for another request. What was recorded then stands; nothing was recorded now. Send it with a new key if it is meant.")
}

// recalledStatus marks a kept answer that is lost: the row names the order to which
// its key led, which came back from a store after the hub was restored from an
// older copy.
const recalledStatus = 0

// sameOrder tells whether a call has the body that an order bears the sum of. Where
// the key of the sum is gone any body is taken for that of then.
func (h *Hub) sameOrder(ctx context.Context, r ledger.Reader, id protocol.OrderID, c protocol.Call, kept []byte) (bool, error) {
	list, _, err := h.parts(r, id)
	if err != nil {
		return false, err
	}
	o, sum := list[0].State.Order, c.BodySum()
	if len(o.Sealed) > 0 {
		key, ok, err := h.sealKey(ctx, o)
		if err != nil || !ok {
			return err == nil, err
		}
		sum = sealedSum(key, c)
	}
	return bytes.Equal(kept, recalledSum(sum)), nil
}

// recalledSum stands in a row for the sum of a request's body, of which the order
// bears the beginning.
func recalledSum(beginning uint64) []byte {
	return append(binary.BigEndian.AppendUint64(nil, beginning), make([]byte, sha256.Size-8)...)
}

// forgottenKey is the key of an order of which the hub does not know what it
// answered, nil for none. Keys that are old enough to be forgotten are left, or
// every start would write down those of all orders that ever were.
func (h *Hub) forgottenKey(r ledger.Reader, part *pickup.Part) (*protocol.Idempotency, error) {
	k := part.Key()
	if k == nil {
		return nil, nil
	}
	b, err := ledger.Note(r, noteReport, k.Route, k.Key)
	if err != nil || b != nil {
		return nil, err
	}
	_, placed := part.Order()
	record, ok, err := ledger.ReadEvent(r, placed)
	if err != nil || !ok || h.now().Sub(time.UnixMilli(record.WallMs)) > reportKeptFor {
		return nil, err
	}
	return k, nil
}

// recall writes down a key that is forgotten.
func (h *Hub) recall(ctx context.Context, store protocol.StoreID, id protocol.PartID) error {
	var k *protocol.Idempotency
	err := h.view(ctx, func(r ledger.Reader) error {
		part, err := ledger.ReadPart(r, store, id)
		if err == nil {
			k, err = h.forgottenKey(r, part)
		}
		return err
	})
	if err != nil || k == nil {
		return err
	}
	return h.driver.Update(ctx, func(tx ledger.Tx) error {
		return h.keep(tx, []string{noteReport, k.Route, k.Key}, recalledSum(k.Body), protocol.Answer{Status: recalledStatus, Body: []byte(id.Order)})
	})
}

// recalled answers a repeated call with the order that its key led to, as it is
// now.
func (h *Hub) recalled(r ledger.Reader, id protocol.OrderID) (*protocol.Answer, error) {
	doc, err := h.orderDocument(r, id)
	if err != nil {
		return nil, err
	}
	answer, err := answerJSON(http.StatusCreated, doc)
	return &answer, err
}
