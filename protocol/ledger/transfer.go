package ledger

import (
	"slices"
	"strings"
	"time"

	"counterpart/protocol"
	"counterpart/protocol/stock"
)

// TransferAt names what one store knows of a transfer.
type TransferAt struct {
	Store protocol.StoreID
	ID    string
}

// subject is what an exception about the transfer is about.
func (at TransferAt) subject() string { return string(at.Store) + " " + at.ID }

const kindTransfer = "transfer"

func transferKey(at TransferAt) Key { return stateKey(kindTransfer, string(at.Store), at.ID) }

// transferOf is the transfer that an event concerns, be it that a person did
// something about what it breaks.
func (f *fold) transferOf(a *act) (TransferAt, bool) {
	if x := a.event.ExceptionChange; x != nil {
		store, id, ok := strings.Cut(x.Subject, " ")
		return TransferAt{protocol.StoreID(store), id}, ok && slices.Contains(stock.TransferBroken, x.Kind)
	}
	at := TransferAt{f.origin.Store, stock.TransferID(a.id, a.event)}
	return at, at.ID != ""
}

// transfer notes an event with the transfer that it is about.
func (f *fold) transfer(a *act) error {
	at, ok := f.transferOf(a)
	if !ok {
		return nil
	}
	if !slices.Contains(f.res.Transfers, at) {
		f.res.Transfers = append(f.res.Transfers, at)
	}
	if a.event.ExceptionChange != nil {
		return nil
	}
	t, err := change(f.set, transferKey(at), stock.DecodeTransfer)
	if err != nil {
		return err
	}
	t.Add(a.id, a.event)
	broken := t.Broken()
	for _, kind := range stock.TransferBroken {
		f.set.raise(at.Store, kind, at.subject(), broken[kind])
	}
	return nil
}

// ReadTransfer reads what a store knows of a transfer, and whether a person has
// resolved what it breaks.
func ReadTransfer(r Reader, at TransferAt) (t *stock.Transfer, resolved bool, err error) {
	values, err := r.Load([]Key{transferKey(at)})
	if err != nil {
		return nil, false, err
	}
	if t, err = stock.DecodeTransfer(values[0]); err != nil {
		return nil, false, err
	}
	resolved, err = transferResolved(r, at, t)
	return t, resolved, err
}

func transferResolved(r Reader, at TransferAt, t *stock.Transfer) (bool, error) {
	for kind, ids := range t.Broken() {
		values, err := r.Load([]Key{handledKey(kind, at.subject())})
		if err != nil {
			return false, err
		}
		h, err := decodeHandling(values[0])
		if err != nil {
			return false, err
		}
		e := newException(at.Store, ids)
		return h.progress(e.Events, e.Total).State == ExceptionResolved, nil
	}
	return false, nil
}

// TransferExceptions are the ids of the exceptions that a transfer shows now.
func TransferExceptions(at TransferAt, t *stock.Transfer) (ids []string) {
	for kind := range t.Broken() {
		e := Exception{Kind: kind, Subject: at.subject()}
		ids = append(ids, e.ID())
	}
	return ids
}

// Transfers calls fn for each transfer that a store knows, or, where store is
// empty, for what every store knows, behind one or from the first, in the order
// of their keys, until it returns false.
func Transfers(r Reader, store protocol.StoreID, behind TransferAt, fn func(TransferAt, *stock.Transfer) (bool, error)) error {
	prefix := kindTransfer + sep
	if store != "" {
		prefix += string(store) + sep
	}
	from := prefix
	if behind.ID != "" {
		from = transferKey(behind).ID + sep
	}
	return r.Scan(States, from, after(prefix), func(key string, v []byte) (bool, error) {
		names, err := split(key, 2)
		if err != nil {
			return false, err
		}
		t, err := stock.DecodeTransfer(v)
		if err != nil {
			return false, err
		}
		return fn(TransferAt{protocol.StoreID(names[0]), names[1]}, t)
	})
}

// TransferPage lists the transfers that a store knows, or, where store is empty,
// those of all stores, of one state or of any, behind a place where an earlier
// page ended. What left a store and is known where it goes is listed there alone,
// where both are known. next is where the following page starts, nil for none.
func TransferPage(r Reader, store protocol.StoreID, state, after string, limit int) (docs []stock.TransferDocument, next *string, err error) {
	var behind TransferAt
	if after != "" {
		name, id, ok := strings.Cut(after, "/")
		if behind = (TransferAt{protocol.StoreID(name), id}); !ok || !protocol.ValidID(name) || id == "" || !protocol.ValidText(id, len(id)) {
			return nil, nil, protocol.OutOfRange("after", "", "not where an earlier page ended")
		}
	}
	docs, r = []stock.TransferDocument{}, Live(r)
	last := behind
	err = Transfers(r, store, behind, func(at TransferAt, t *stock.Transfer) (bool, error) {
		s := t.State()
		if elsewhere, err := toldElsewhere(r, at, &s); err != nil || elsewhere {
			return err == nil, err
		}
		resolved, err := transferResolved(r, at, t)
		if err != nil || state != "" && s.Name(resolved) != state {
			return err == nil, err
		}
		if len(docs) == limit {
			text := string(last.Store) + "/" + last.ID
			next = &text
			return false, nil
		}
		doc, err := transferDocument(r, at, t, &s, resolved)
		docs, last = append(docs, doc), at
		return err == nil, err
	})
	return docs, next, err
}

// toldElsewhere tells whether goods only left a store, and the row of the store
// that they go to is here and knows it.
func toldElsewhere(r Reader, at TransferAt, s *stock.TransferState) (bool, error) {
	if s.Known || s.Came {
		return false, nil
	}
	for to := range s.To {
		values, err := r.Load([]Key{transferKey(TransferAt{to, at.ID})})
		if err != nil {
			return false, err
		}
		there, err := stock.DecodeTransfer(values[0])
		if err != nil {
			return false, err
		}
		if there.State().From[at.Store] == nil {
			return false, nil
		}
	}
	return len(s.To) > 0, nil
}

func transferDocument(r Reader, at TransferAt, t *stock.Transfer, s *stock.TransferState, resolved bool) (stock.TransferDocument, error) {
	items := make(map[protocol.SKU]*protocol.Item, len(s.Lines))
	skus := make([]protocol.SKU, len(s.Lines))
	for i := range s.Lines {
		skus[i] = s.Lines[i].SKU
	}
	found, err := ReadItems(r, skus)
	if err != nil {
		return stock.TransferDocument{}, err
	}
	for i, sku := range skus {
		items[sku] = found[i]
	}
	meta := stock.TransferMeta{
		ID: at.ID, Store: at.Store, Resolved: resolved, Exceptions: TransferExceptions(at, t),
		Item: func(sku protocol.SKU) *protocol.Item { return items[sku] },
	}
	record, ok, err := ReadEvent(r, s.Sent)
	if err != nil {
		return stock.TransferDocument{}, err
	}
	if ok {
		meta.SentAt = time.UnixMilli(record.WallMs).UTC().Format(protocol.TimeLayout)
	}
	return stock.NewTransferDocument(meta, s), nil
}
