package hub

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"counterpart/protocol"
	"counterpart/protocol/ledger"
	"counterpart/protocol/pickup"
)

// The key of an order follows from its id and from a secret of the day on which it
// was placed, in running time. So placing an order writes nothing into the key ring
// but the first of a day, and forgetting a day's orders deletes one secret. The
// order names the day, since its later parts are sealed with the same key.

// orderSecretEvery is how long a secret serves new orders.
const orderSecretEvery = 24 * time.Hour

// orderSecretName begins the names of the secrets in the ring.
const orderSecretName = "orders-"

// orderSecrets remembers secrets that were read.
type orderSecrets struct {
	mu    sync.Mutex
	known map[uint32][sha256.Size]byte
}

// secretOfNow is which secret seals orders that are placed now.
func (h *Hub) secretOfNow() uint32 { return uint32(h.running()/orderSecretEvery) + 1 }

// orderSecret is a secret of the hub's, made if it is wanted and not there; ok is
// false where it is gone or cannot be read.
func (h *Hub) orderSecret(ctx context.Context, with uint32, wanted bool) (secret [sha256.Size]byte, ok bool, err error) {
	if h.keys == nil || h.keys.Locked() {
		return secret, false, nil
	}
	h.sealing.mu.Lock()
	defer h.sealing.mu.Unlock()
	if secret, ok = h.sealing.known[with]; ok {
		return secret, true, nil
	}
	name := orderSecretName + fmt.Sprint(with)
	b, ok, err := h.keys.Secret(ctx, name)
	if err == nil && !ok && wanted {
		b, ok = make([]byte, len(secret)), true
		h.random(b)
		err = h.keys.SetSecret(ctx, name, b)
	}
	if err != nil || !ok {
		return secret, false, err
	}
	if copy(secret[:], b) != len(secret) {
		return secret, false, errors.New("the key ring's secret " + name + " is of another size")
	}
	if h.sealing.known == nil {
		h.sealing.known = map[uint32][sha256.Size]byte{}
	}
	h.sealing.known[with] = secret
	return secret, true, nil
}

// orderKey is the key of an order's own.
func orderKey(secret [sha256.Size]byte, id protocol.OrderID) (key protocol.SubjectKey) {
	mac := hmac.New(sha256.New, secret[:])
	mac.Write([]byte("counterpart/1 order " + id))
	copy(key[:], mac.Sum(nil))
	return key
}

// sealKey is the key with which an order is sealed; ok is false where it is gone or
// cannot be read.
func (h *Hub) sealKey(ctx context.Context, o *protocol.Order) (key protocol.SubjectKey, ok bool, err error) {
	if h.keys == nil {
		return key, false, nil
	}
	if o.Member != "" {
		key, ok, err = h.keys.Key(ctx, string(o.Member))
		if errors.Is(err, ledger.ErrLocked) {
			return key, false, nil
		}
		return key, ok, err
	}
	secret, ok, err := h.orderSecret(ctx, o.SealedWith, false)
	if err != nil || !ok {
		return key, false, err
	}
	return orderKey(secret, o.Order), true, nil
}

// orderSeal is whom an order is for, and with what that is sealed.
type orderSeal struct {
	person protocol.Personal
	member protocol.MemberID
	key    protocol.SubjectKey // of the member
	with   uint32
	secret [sha256.Size]byte
}

// whom finds out whom an order that is asked for is for, with the key that seals it,
// which is kept before anything is sealed. Where no shopper is named it is the
// member.
func (h *Hub) whom(ctx context.Context, r *pickup.PlaceRequest) (s orderSeal, err error) {
	s.person = protocol.Personal{Name: r.Shopper.Name, Phone: r.Shopper.Phone}
	if r.MemberID == "" {
		return s, h.ownSeal(ctx, &s)
	}
	rep, err := h.representative(ctx, r.MemberID)
	if err != nil {
		return s, err
	}
	m, _, err := h.memberRow(ctx, rep)
	if err == nil && !mayOrder(m) {
		err = errNotOrdering()
	}
	if err != nil {
		return s, err
	}
	var ok bool
	if s.key, ok, err = h.sealKey(ctx, &protocol.Order{Member: rep}); err != nil {
		return s, err
	}
	if s.member = rep; !ok {
		if s.person != (protocol.Personal{}) {
			return s, errKeyOnItsWay()
		}
		return s, nil
	}
	if s.person == (protocol.Personal{}) {
		person, err := h.unseal(ctx, m)
		if err != nil || person == nil {
			return s, err
		}
		s.person = protocol.Personal{Name: person.Name, Phone: person.Phone}
	}
	return s, nil
}

// ownSeal sets the secret of the day, where there is something to seal.
func (h *Hub) ownSeal(ctx context.Context, s *orderSeal) error {
	if s.person == (protocol.Personal{}) {
		return nil
	}
	s.with = h.secretOfNow()
	secret, ok, err := h.orderSecret(ctx, s.with, true)
	if err == nil && !ok {
		err = errNoKeys()
	}
	s.secret = secret
	return err
}

// mayOrder tells whether somebody may have orders in their name.
func mayOrder(m *protocol.Member) bool { return m != nil && m.Status != protocol.MemberErased }

func errNotOrdering() error {
	return protocol.OutOfRange("member_id", "", "nobody, or a member who was erased")
}

// errKeyOnItsWay refuses what cannot be sealed for a member: who was enrolled at a
// till may be known before the key has come.
func errKeyOnItsWay() error {
	return protocol.Refuse(protocol.Conflict, "The key of this member is not here, so that the shopper's name cannot be kept. Nothing was recorded. Send the order without the shopper, or without the member.").
		With("field", "member_id")
}

// sealOrder puts whom an order is for into it, in the transaction that gives it its
// name.
func (h *Hub) sealOrder(r ledger.Reader, o *protocol.Order, s *orderSeal) (err error) {
	if s == nil {
		return nil
	}
	if s.member != "" {
		m, _, err := ledger.ReadMember(r, s.member)
		if err == nil && !mayOrder(m) {
			err = errNotOrdering()
		}
		if err != nil {
			return err
		}
	}
	o.Member, o.Shopper = s.member, protocol.Shopper{}
	if s.person == (protocol.Personal{}) {
		return nil
	}
	if o.Member == "" {
		o.SealedWith = s.with
	}
	o.Sealed, err = protocol.Seal(s.keyOf(o), o.Subject(), s.person, h.random)
	return err
}

func (s *orderSeal) keyOf(o *protocol.Order) protocol.SubjectKey {
	if s.member != "" {
		return s.key
	}
	return orderKey(s.secret, o.Order)
}

// bodySum identifies the body that led to an order.
func (s *orderSeal) bodySum(o *protocol.Order, c protocol.Call) uint64 {
	if len(o.Sealed) == 0 {
		return c.BodySum()
	}
	return sealedSum(s.keyOf(o), c)
}

// sealedSum identifies a body that holds personal fields. Without the key it tells
// nothing to whoever guesses a phone number, who else would find the guess right
// also after the key is gone.
func sealedSum(key protocol.SubjectKey, c protocol.Call) uint64 {
	mac := hmac.New(sha256.New, key[:])
	mac.Write([]byte("counterpart/1 body "))
	mac.Write(c.Body)
	return binary.BigEndian.Uint64(mac.Sum(nil))
}

// inTheClear is how a part is to be sealed that was placed before orders were; nil
// for any other, and for what cannot be sealed.
func (h *Hub) inTheClear(ctx context.Context, store protocol.StoreID, id protocol.PartID) (*orderSeal, error) {
	var was protocol.Shopper
	err := h.view(ctx, func(r ledger.Reader) error {
		s, err := readState(r, store, id)
		if s.Order != nil {
			was = s.Order.Shopper
		}
		return err
	})
	if err != nil || was == (protocol.Shopper{}) {
		return nil, err
	}
	s := &orderSeal{person: protocol.Personal{Name: was.Name, Phone: was.Phone}}
	if _, err := protocol.EncodePersonal(s.person); err != nil {
		return nil, nil //nolint:nilerr // It stands in the clear in the event of before anyhow.
	}
	return s, h.ownSeal(ctx, s)
}

// shopper shows whom the goods of an order are for.
func (h *Hub) shopper(ctx context.Context, o *protocol.Order) (pickup.ShopperDocument, error) {
	var key protocol.SubjectKey
	var ok bool
	var err error
	if len(o.Sealed) > 0 {
		key, ok, err = h.sealKey(ctx, o)
	}
	return pickup.ShopperOf(o, key, ok), err
}

// shopperOf is shopper, by the order's id.
func (h *Hub) shopperOf(ctx context.Context, id protocol.OrderID) (pickup.ShopperDocument, error) {
	var o *protocol.Order
	err := h.view(ctx, func(r ledger.Reader) error {
		list, _, err := h.parts(r, id)
		if err == nil {
			o = list[0].State.Order
		}
		return err
	})
	if err != nil {
		return pickup.ShopperDocument{}, err
	}
	return h.shopper(ctx, o)
}

// withOrderKeys puts keys beside the orders among events.
func (h *Hub) withOrderKeys(ctx context.Context, d *protocol.Delta, store protocol.StoreID) error {
	for i := range d.Events {
		run := &d.Events[i]
		if run.Origin.Agent != protocol.HubAgent {
			continue
		}
		records, err := protocol.DecodeFrame(run.Frame, run.Count)
		if err != nil {
			return err
		}
		for j := range records {
			if o := protocol.SealedOrder(records[j].Body); o != nil {
				if err := h.addSealKey(ctx, d, store, o); err != nil {
					return err
				}
			}
		}
	}
	return nil
}

// addSealKey puts the key of an order beside a Delta for a store, once for each
// subject. That of a member goes only where the member's row is, which tells the
// store to destroy it.
func (h *Hub) addSealKey(ctx context.Context, d *protocol.Delta, store protocol.StoreID, o *protocol.Order) error {
	subject := o.Subject()
	if slices.ContainsFunc(d.Keys, func(k protocol.SealKey) bool { return k.Subject == subject }) {
		return nil
	}
	if o.Member != "" {
		holds := false
		err := h.view(ctx, func(r ledger.Reader) error {
			holders, err := ledger.MemberHolders(r, o.Member)
			holds = slices.Contains(holders, store)
			return err
		})
		if err != nil || !holds {
			return err
		}
	}
	key, ok, err := h.sealKey(ctx, o)
	if err == nil && ok {
		d.Keys = append(d.Keys, protocol.SealKey{Subject: subject, Key: key})
	}
	return err
}

// orderKeysAtOnce bounds how many orders are asked for at a time.
const orderKeysAtOnce = 100

// OrderKeys are the keys of orders of which a store keeps a part, for an agent that
// lacks them: beside a Delta of the store's events that holds nothing else. Those
// that are gone are left out.
func (h *Hub) OrderKeys(ctx context.Context, store protocol.StoreID, ids []protocol.OrderID) (*protocol.Delta, error) {
	if len(ids) > orderKeysAtOnce {
		return nil, protocol.OutOfRange("orders", "", "more than 100")
	}
	var sealed []*protocol.Order
	err := h.view(ctx, func(r ledger.Reader) error {
		sealed = nil
		if err := knownStore(r, store); err != nil {
			return err
		}
		for _, id := range ids {
			places, err := ledger.ReadOrder(r, id)
			if err != nil {
				return err
			}
			for _, at := range places {
				if at.Store != store {
					continue
				}
				part, err := ledger.ReadPart(r, store, protocol.PartID{Order: id, Part: at.Part})
				if err != nil {
					return err
				}
				if o, _ := part.Order(); o != nil && len(o.Sealed) > 0 {
					sealed = append(sealed, o)
				}
			}
		}
		return nil
	})
	d := &protocol.Delta{Feed: protocol.PeerFeed(store), Epoch: h.Epoch()}
	for _, o := range sealed {
		if err == nil {
			err = h.addSealKey(ctx, d, store, o)
		}
	}
	return d, err
}
