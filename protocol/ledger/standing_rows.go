package ledger

import (
	"crypto/sha256"
	"errors"
	"maps"
	"slices"
	"strings"

	"counterpart/protocol"
	"counterpart/protocol/cart"
	"counterpart/protocol/loyalty"
	"counterpart/protocol/pickup"
	"counterpart/protocol/stock"
)

// A store's rows as a snapshot carries them are those that a replay of the
// store's own streams gives, so that an agent which loads them and one which
// folded every event hold the same. The hub's database holds all stores: most
// kinds of rows belong to one of them, and are taken as they are. Receipts,
// sales of other POS and what they break may involve several; of these only
// what the store's events made is taken.

// keptEvents is how many of the newest events of a store come with a snapshot,
// so that receipts of the last weeks can be shown and taken back.
const keptEvents = 20_000

// StandingRow is one row of a snapshot of a store's state.
type StandingRow struct {
	Name  string // its key in States
	Value []byte
}

// ScanStanding calls fn for each row of a snapshot of a store's state, which
// stands at the head of the store's event feed. Values are valid until fn
// returns.
func ScanStanding(r Reader, store protocol.StoreID, fn func(StandingRow) error) error {
	streams, err := Streams(r, store, "")
	if err != nil {
		return err
	}
	p := &projection{r: r, store: store, incs: map[protocol.Inc]bool{}, fn: fn}
	for _, s := range streams {
		p.incs[s.Origin.Inc] = true
		if n := len(p.agents); n == 0 || p.agents[n-1] != s.Origin.Agent {
			p.agents = append(p.agents, s.Origin.Agent)
		}
	}
	for _, kind := range []string{"stream", "level", "load", sumKind, "gap", kindTransfer, kindAccount, kindLease, kindRisk, kindTerms, kindMember, kindCart, kindTimeline} {
		if err := p.copyRows(kind+sep+string(store)+sep, ""); err != nil {
			return err
		}
	}
	for _, s := range streams {
		for _, kind := range []string{"dead", "reissue"} {
			if err := p.copyRows(kind+sep+s.Origin.Inc.String()+"-", kind+sep+s.Origin.Inc.String()+"."); err != nil {
				return err
			}
		}
	}
	for _, step := range []func() error{p.receipts, func() error { return p.foreign(streams) }, p.parts, p.members, p.returns, p.handled, p.exceptions, p.events} {
		if err := step(); err != nil {
			return err
		}
	}
	return nil
}

// projection takes from the rows of a chain those of one store.
type projection struct {
	r      Reader
	store  protocol.StoreID
	incs   map[protocol.Inc]bool
	agents []protocol.AgentID
	fn     func(StandingRow) error
}

// copyRows takes rows as they are; an empty to means all that begin with from.
func (p *projection) copyRows(from, to string) error {
	if to == "" {
		to = after(from)
	}
	return p.r.Scan(States, from, to, func(id string, v []byte) (bool, error) { return true, p.fn(StandingRow{id, v}) })
}

func (p *projection) emit(k Key, a aggregate) error {
	if b := a.Encode(); len(b) > 0 {
		return p.fn(StandingRow{k.ID, b})
	}
	return nil
}

// ours tells whether an event is of one of the store's streams.
func (p *projection) ours(id protocol.EventID) bool { return p.incs[id.Inc] }

// writerOf is the agent in a receipt number, {agent}-{till}-{series}-{n}.
func writerOf(no protocol.ReceiptNo) protocol.AgentID {
	rest := string(no)
	for range 3 {
		rest = rest[:max(strings.LastIndexByte(rest, '-'), 0)]
	}
	return protocol.AgentID(rest)
}

// receipts takes the receipts that the store's agents printed.
func (p *projection) receipts() error {
	for _, agent := range p.agents {
		from := "receipt" + sep + string(agent)
		err := p.r.Scan(States, from+"-", from+".", func(id string, v []byte) (bool, error) {
			no := receiptOf(Key{States, id})
			if writerOf(no) != agent {
				return true, nil
			}
			row, err := decodeReceipt(v)
			if err == nil {
				err = p.receipt(no, row)
			}
			return true, err
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// receipt takes a receipt without what other stores did to it, and what it then
// breaks.
func (p *projection) receipt(no protocol.ReceiptNo, row *Receipt) error {
	foreign := func(v Reversal) bool { return !p.ours(v.Event) }
	if slices.ContainsFunc(row.Reversals, foreign) {
		reversals := row.Reversals
		row.Reversals, row.Returned = nil, nil
		for _, v := range reversals {
			if foreign(v) {
				continue
			}
			if err := p.reverse(row, v.Event); err != nil {
				return err
			}
		}
	}
	if err := p.emit(receiptKey(no), row); err != nil || len(row.Reversals)+len(row.Twins) == 0 {
		return err
	}
	broken := row.broken()
	for _, kind := range receiptKinds {
		if err := p.raise(row.Store, kind, string(no), broken[kind]); err != nil {
			return err
		}
	}
	return nil
}

// reverse lets an event reverse a receipt again, with every body that counted
// under its id.
func (p *projection) reverse(row *Receipt, id protocol.EventID) error {
	values, err := p.r.Load([]Key{reissueKey(id)})
	if err != nil {
		return err
	}
	seen := &bodies{}
	var records []protocol.Record
	if rec, ok, err := ReadRecord(p.r, id); err != nil {
		return err
	} else if ok {
		records = append(records, rec)
	}
	again, err := decodeBodies(values[0])
	if err != nil {
		return err
	}
	for _, at := range again.places {
		rec, ok, err := ReadRecord(p.r, at.at)
		if err != nil {
			return err
		}
		if ev, err := protocol.DecodeEvent(rec.Body); ok && err == nil && ev.Reissue != nil {
			records = append(records, ev.Reissue.Record)
		}
	}
	for _, rec := range records {
		ev, err := protocol.DecodeEvent(rec.Body)
		if err == nil && ev.Sale != nil && seen.add(sha256.Sum256(rec.AppendTo(nil))) {
			row.reverse(id, ev.Sale)
		}
	}
	return nil
}

// foreign takes what the store's events say of receipts of other stores, and of
// sales of other POS. Only the events know which they are.
func (p *projection) foreign(streams []StreamInfo) error {
	receipts, externals := map[protocol.ReceiptNo]bool{}, map[string]bool{}
	for _, s := range streams {
		err := ScanEvents(p.r, s.Origin.Inc, 1, func(_ protocol.Seq, _ protocol.Hash, rec protocol.Record) (bool, error) {
			ev, err := protocol.DecodeEvent(rec.Body)
			if err == nil && ev.Reissue != nil {
				ev, err = protocol.DecodeEvent(ev.Reissue.Record.Body)
			}
			if err != nil || ev.Sale == nil {
				return true, nil // It was not folded, or says nothing of these.
			}
			if no := ev.Sale.Original; no != "" && !slices.Contains(p.agents, writerOf(no)) {
				receipts[protocol.ReceiptNo(strings.Clone(string(no)))] = true
			}
			if x := ev.Sale.External; x != nil {
				externals[externalKey(x.Source, x.ID).ID] = true
			}
			return true, nil
		})
		if err != nil {
			return err
		}
	}
	for _, no := range slices.Sorted(maps.Keys(receipts)) {
		row, err := ReadReceipt(p.r, no)
		if err == nil {
			// The sale is another store's. The empty reversal is nobody's, so
			// that what came back is added up again.
			err = p.receipt(no, &Receipt{Reversals: append(row.Reversals, Reversal{})})
		}
		if err != nil {
			return err
		}
	}
	for _, id := range slices.Sorted(maps.Keys(externals)) {
		if err := p.external(Key{States, id}); err != nil {
			return err
		}
	}
	return nil
}

func (p *projection) external(key Key) error {
	values, err := p.r.Load([]Key{key})
	if err != nil {
		return err
	}
	ids, err := decodeIDSet(values[0])
	if err != nil {
		return err
	}
	*ids = slices.DeleteFunc(*ids, func(id protocol.EventID) bool { return !p.ours(id) })
	if err := p.emit(key, *ids); err != nil || len(*ids) < 2 {
		return err
	}
	name, err := split(key.ID, 2)
	if err != nil {
		return err
	}
	return p.raise(protocol.ChainStore, ExceptionExternalTwice, name[0]+" "+name[1], *ids)
}

// parts takes the store's parts of orders, and where those of each order are as
// far as that is in this store.
func (p *projection) parts() error {
	orders := map[protocol.OrderID]bool{}
	prefix := "part" + sep + string(p.store) + sep
	err := p.r.Scan(States, prefix, after(prefix), func(id string, v []byte) (bool, error) {
		names, err := split(id, 3)
		if err == nil {
			orders[protocol.OrderID(strings.Clone(names[1]))] = true
			err = p.fn(StandingRow{id, v})
		}
		return true, err
	})
	if err != nil {
		return err
	}
	for _, id := range slices.Sorted(maps.Keys(orders)) {
		list, err := ReadOrder(p.r, id)
		if err != nil {
			return err
		}
		here := partPlaces(slices.DeleteFunc(list, func(at PartPlace) bool { return at.Store != p.store }))
		if err := p.emit(orderKey(id), &here); err != nil {
			return err
		}
	}
	return nil
}

func (p *projection) raise(store protocol.StoreID, kind, subject string, events []protocol.EventID) error {
	return p.emit(exceptionKey(kind, subject), newException(store, events))
}

// exceptions takes those that are the store's alone.
func (p *projection) exceptions() error {
	prefix := "exception" + sep
	return p.r.Scan(States, prefix, after(prefix), func(id string, v []byte) (bool, error) {
		e, err := decodeException(id, v)
		if err == nil && (e.Kind == ExceptionCardShared || e.Kind == ExceptionMemberTwice) {
			return true, p.ofMembers(&e)
		}
		if err != nil || e.Store != p.store || slices.Contains(receiptKinds, e.Kind) || e.Kind == pickup.OverReturn {
			return err == nil, err
		}
		return true, p.fn(StandingRow{id, v})
	})
}

// ofMembers takes of an exception about members, who may be known in several
// stores, what this store's events say.
func (p *projection) ofMembers(e *Exception) error {
	ours := slices.DeleteFunc(e.Events, func(id protocol.EventID) bool { return !p.ours(id) })
	return p.emit(exceptionKey(e.Kind, e.Subject), newException(p.store, ours))
}

// events takes the newest events of the store, and those that carry what is left
// of its stock loads.
func (p *projection) events() error {
	feed := protocol.PeerFeed(p.store)
	head, err := FeedHead(p.r, feed)
	if err != nil {
		return err
	}
	taken := map[protocol.EventID]bool{}
	take := func(id protocol.EventID, row []byte) error {
		if taken[id] {
			return nil
		}
		taken[id] = true
		return p.fn(StandingRow{keptEventKey(id).ID, row})
	}
	loads, err := Loads(p.r, p.store)
	if err != nil {
		return err
	}
	for _, l := range loads {
		for _, part := range l.Parts {
			if l.Applied >= l.Total {
				continue
			}
			h, rec, ok, err := readEvent(p.r, part.Event)
			if err == nil && ok {
				err = take(part.Event, rec.AppendTo(h[:]))
			}
			if err != nil {
				return err
			}
		}
	}
	above := head - min(head, keptEvents)
	return scanFeed(p.r, feed, above, func(offset uint64, v []byte) (bool, error) {
		row, err := decodePeerRow(v)
		if err != nil {
			return false, err
		}
		end := offset - row.count()
		for _, run := range row.runs {
			skip := max(end, above) - end
			end += run.count
			if skip >= run.count {
				continue
			}
			first, last := run.first+protocol.Seq(skip), run.first+protocol.Seq(run.count)
			err := ScanEvents(p.r, run.origin.Inc, first, func(seq protocol.Seq, h protocol.Hash, rec protocol.Record) (bool, error) {
				if seq >= last {
					return false, nil
				}
				return true, take(protocol.EventID{Inc: run.origin.Inc, Seq: seq}, rec.AppendTo(h[:]))
			})
			if err != nil {
				return false, err
			}
		}
		return true, nil
	})
}

// errStandingRow is returned for a row that does not belong into a snapshot.
var errStandingRow = errors.New("the snapshot holds a row that is none of the store's")

// checkStanding tells whether a row of a snapshot can be read, so that nothing
// is stored which would fail a till later.
func checkStanding(store protocol.StoreID, name string, value []byte) (err error) {
	kind, rest, _ := strings.Cut(name, sep)
	if !standingKinds[kind] || rest == "" {
		return errStandingRow
	}
	switch kind {
	case "stream", "level", "load", "gap", "part", sumKind, kindTransfer, kindAccount, kindLease, kindRisk, kindTerms, kindMember, kindCart, kindTimeline:
		if !strings.HasPrefix(rest, string(store)+sep) {
			return errStandingRow
		}
	}
	switch kind {
	case "stream":
		_, err = decodeStream(value)
	case "level":
		_, err = stock.DecodeLevel(value)
	case "receipt":
		_, err = decodeReceipt(value)
	case "external":
		_, err = decodeIDSet(value)
	case "load":
		_, err = decodeLoad(value)
	case "reissue":
		_, err = decodeBodies(value)
	case "exception":
		_, err = decodeException(name, value)
	case "gap":
		_, err = decodeGap(value)
	case "part":
		_, err = pickup.DecodePart(value)
	case "order":
		_, err = decodePlaces(value)
	case kindTransfer:
		_, err = stock.DecodeTransfer(value)
	case kindMember:
		_, err = decodeMemberRow(value)
	case kindCart:
		_, err = cart.Decode(value)
	case kindTimeline:
		err = checkTimelineRow(rest, value)
	case kindCard, kindContact, kindMerged:
		_, err = decodeMemberSet(value)
	case kindMemberStores:
		_, err = decodeStoreSet(value)
	case kindAccount:
		_, err = loyalty.DecodeAccount(value)
	case kindLease:
		_, err = loyalty.DecodeLease(value)
	case kindRisk:
		_, err = loyalty.DecodeRisk(value)
	case kindTerms:
		_, err = decodeTermsRow(value)
	case kindReturned:
		_, err = pickup.DecodeReturns(value)
	case kindHandled:
		_, err = decodeHandling(value)
	case kindEvent:
		_, _, err = decodeEventRow(value)
	}
	return err
}
