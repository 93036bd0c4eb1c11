package ledger

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"slices"
	"strings"

	"counterpart/protocol"
	"counterpart/protocol/pickup"
	"counterpart/protocol/stock"

	"google.golang.org/protobuf/encoding/protowire"
)

// The kinds of exceptions that the fold raises. Each is a rule that events of
// different streams can break together, though none of them did anything wrong
// by itself; a person resolves it.
const (
	ExceptionOverReturn     = "over_return"      // more came back than was sold
	ExceptionVoidTwice      = "void_twice"       // two voids of one receipt
	ExceptionVoidAndReturn  = "void_and_return"  // a voided receipt was also returned
	ExceptionReceiptTwice   = "receipt_twice"    // two events with one receipt number
	ExceptionExternalTwice  = "external_twice"   // one sale of another POS recorded twice
	ExceptionEventTwice     = "event_twice"      // one event id with two bodies
	ExceptionGap            = "gap"              // events that exist nowhere any more
	ExceptionLeaseOverspent = "lease_overspent"  // more of a member's points was spent than a machine might
	ExceptionOfferExceeded  = "offer_exceeded"   // a sale took more off for an offer than it gives
	ExceptionCardShared     = "card_shared"      // a card was given to two members
	ExceptionMemberTwice    = "member_duplicate" // one person enrolled twice, as it seems
	exceptionReferenceLimit = 100
)

// Exception is a broken rule. It is a function of the aggregate that broke it
// and so does not depend on the order in which events arrived.
type Exception struct {
	Kind    string
	Store   protocol.StoreID
	Subject string // the receipt number, external id or event id concerned
	Events  []protocol.EventID
	// Total is how many events there are, where more than a row names.
	Total uint64
}

// exceptionDetails say what happened, what is safe and what to do.
var exceptionDetails = map[string]string{
	ExceptionOverReturn:        "More came back on this receipt than was sold on it. Both sides are recorded. Check the returns against the goods.",
	ExceptionVoidTwice:         "This receipt was voided more than once. Each void is recorded. Check what was paid back.",
	ExceptionVoidAndReturn:     "This receipt was voided, and goods of it were returned as well. Both are recorded. Check what was paid back.",
	ExceptionReceiptTwice:      "Two receipts bear this number. Both are recorded. Check whether two machines ran under one name.",
	ExceptionExternalTwice:     "One sale of another till was recorded more than once. Each record counts. Void what is too much.",
	"external_unknown_code":    "Another till sold a code that the catalogue does not know. The sale is recorded and its stock is kept under that code. Add the item, or correct the code there.",
	"external_negative_price":  "Another till sold a line at a negative price. It is recorded as given. Check the sale there.",
	"external_total_differs":   "The lines of another till's sale do not add up to its total. The total is recorded as given. Check the sale there.",
	"external_tenders_differ":  "What was paid on another till's sale does not add up to its total. Both are recorded as given. Check the sale there.",
	"external_over_return":     "Another till took back more than was sold. It is recorded. Check the return against the goods.",
	"external_receipt_unknown": "Another till took back goods of a receipt that is not known here. It is recorded. Check the return there.",
	ExceptionLeaseOverspent:    "A machine spent more of a member's points, of a gift card, of store credit or of an offer than it might: it was copied, and both spent. Every sale stands, and the balance has all of them. Ask which machine is the copy; what is missing of points is repaid by later ones, what is missing of money is the chain's loss until head office settles it.",
	ExceptionOfferExceeded:     "A sale took more off for an offer than the offer gives. The sale stands as it was paid. Check the receipt, and which version the till's machine runs.",
	ExceptionCardShared:        "A card was given to a member in a store that could not know that another member bears it. The member who was enrolled later has a new card, and both members are kept. Give out the new card, or merge the two if they are one person.",
	ExceptionMemberTwice:       "A member was enrolled in a store with the phone number or e-mail address of another member, who has another name. Both are kept, each with their points. Ask whether they are one person, and if they are have the two merged (POST /v1/members/{id}/merge).",
	ExceptionGap:               "Receipts of this machine are lost: the hub was restored from an older copy, and the machine had deleted what it was told is safe. The stock that they moved is put right. Restore a newer copy if there is one; count the items that were sold.",
	pickup.UnknownOrder:        "Something was done for an order that is not known here. It is recorded. Look for the order, and for the goods.",
	pickup.AtOnce:              "Two machines worked on one order and did not know of each other. What each did is recorded. Check what lies on the shelf for it.",
	pickup.HandedTwice:         "This order was handed over more than once. Each hand-over is recorded. Check who got the goods, and what was paid.",
	pickup.HandedAfterCancel:   "This order was handed over after it had been canceled or had expired. Both are recorded. Check whether the shopper has paid or was paid back.",
	pickup.PaidTwice:           "This order was paid online and again at a till, which did not know of it yet. Both are recorded. Have the shop pay back what it was paid.",
	pickup.SettledTwice:        "More of an order was to be paid back, or was sent on to other stores, than was ordered, because the hub was restored in between. Nothing was lost. Compare with what the shopper was paid back, and cancel what is too much.",
	pickup.BookBreached:        "The store sold what was promised to a shopper, and no other store may be asked. The order stands. Look for the goods, offer others, or cancel the order.",
	pickup.TooLate:             "The store did not do in time what this order waits for. The order stands. Call the store, or cancel the order.",
	pickup.OverReturn:          "More came back of this order than was handed over. Each return is recorded. Check the returns against the goods, and what was paid back.",
	stock.TransferDiffers:      "What came with this transfer is not what the other store sent. Both are recorded, and what came is on hand. Look for the rest and receive it with the same transfer; or resolve this, and nothing more of it is expected.",
	stock.TransferUnknown:      "Goods came with a transfer that no store is known to have sent here. They are on hand. Check its number. If the other store is offline, this goes by itself when it is back; otherwise resolve this.",
	ExceptionEventTwice:        "One event came with two contents. Both are recorded. Check whether a machine was copied or restored.",
}

// ID names an exception by what it is about, so that every machine and replica
// gives it the same name.
func (e *Exception) ID() string {
	sum := sha256.Sum256([]byte(strings.Join([]string{e.Kind, e.Subject}, sep)))
	return "x-" + hex.EncodeToString(sum[:8])
}

// Detail says to staff what happened, what is safe and what to do.
func (e *Exception) Detail() string {
	if d, ok := exceptionDetails[e.Kind]; ok {
		return d
	}
	return "A rule was broken. Everything is recorded. Check the events that are named."
}

// Encode writes the exception's row; one without events is no exception.
func (e *Exception) Encode() []byte {
	if len(e.Events) == 0 {
		return nil
	}
	var f fields
	f.text(2, string(e.Store))
	for _, id := range e.Events {
		f.element(1, encodeID(id))
	}
	f.uint(3, e.Total)
	return f
}

func decodeException(key string, b []byte) (Exception, error) {
	var e Exception
	parts, err := split(key, 2)
	if err != nil {
		return e, err
	}
	e.Kind, e.Subject = parts[0], parts[1]
	err = decodeFields("exception", b, func(num protowire.Number, v value) error {
		switch num {
		case 1:
			id, err := decodeID(v.data)
			e.Events = append(e.Events, id)
			return err
		case 2:
			e.Store = protocol.StoreID(v.data)
		case 3:
			e.Total = v.num
		}
		return nil
	})
	return e, err
}

// raise writes an exception, or deletes it where there are no events. It is
// written whole from the aggregate that broke the rule, so that what stands in
// the end does not depend on the order in which its events arrived.
func (s *set) raise(store protocol.StoreID, kind, subject string, events []protocol.EventID) {
	s.put(exceptionKey(kind, subject), newException(store, events))
}

// newException is what stands in the row of an exception that events raise.
func newException(store protocol.StoreID, events []protocol.EventID) *Exception {
	events = slices.Clone(events)
	slices.SortFunc(events, compareIDs)
	events = slices.Compact(events)
	e := &Exception{Store: store, Events: events}
	if len(events) > exceptionReferenceLimit {
		e.Events, e.Total = events[:exceptionReferenceLimit], uint64(len(events))
	}
	return e
}

// raiseMore adds an event to an exception whose row must be loaded. Of very many
// events the row keeps the smallest, so that what stands in the end does not depend
// on their order.
func (s *set) raiseMore(store protocol.StoreID, kind, subject string, id protocol.EventID) error {
	key := exceptionKey(kind, subject)
	e, err := change(s, key, func(b []byte) (*Exception, error) {
		e, err := decodeException(key.ID, b)
		return &e, err
	})
	if err != nil {
		return err
	}
	if len(e.Events) == 0 || store < e.Store {
		e.Store = store
	}
	if i, found := slices.BinarySearchFunc(e.Events, id, compareIDs); !found {
		e.Events = slices.Insert(e.Events, i, id)
	}
	e.Events = e.Events[:min(len(e.Events), exceptionReferenceLimit)]
	return nil
}

// receiptKinds are the exceptions that a receipt can show.
var receiptKinds = []string{ExceptionOverReturn, ExceptionVoidTwice, ExceptionVoidAndReturn, ExceptionReceiptTwice}

// raiseReceipt writes the exceptions that a receipt shows now and takes back
// those that it no longer shows: a smaller twin may have told another story. A
// receipt that nothing else names never had one.
func (s *set) raiseReceipt(no protocol.ReceiptNo, r *Receipt) {
	if len(r.Reversals) == 0 && len(r.Twins) == 0 {
		return
	}
	broken := r.broken()
	for _, kind := range receiptKinds {
		s.raise(r.Store, kind, string(no), broken[kind])
	}
}

// externalKinds are the warnings on a sale of another POS that a person has to
// look at, with the exceptions that they become.
var externalKinds = map[string]string{
	"unknown_code":    "external_unknown_code",
	"negative_price":  "external_negative_price",
	"total_differs":   "external_total_differs",
	"tenders_differ":  "external_tenders_differ",
	"over_return":     "external_over_return",
	"receipt_unknown": "external_receipt_unknown",
}

// raiseExternal makes exceptions of an external sale's warnings.
func (s *set) raiseExternal(store protocol.StoreID, id protocol.EventID, warnings []protocol.Warning) {
	for _, w := range warnings {
		if kind, ok := externalKinds[w.Code]; ok {
			s.raise(store, kind, id.String(), []protocol.EventID{id})
		}
	}
}

// idSet is a sorted set of event ids, for external sales.
type idSet []protocol.EventID

func (s idSet) Encode() []byte {
	var f fields
	for _, id := range s {
		f.element(1, encodeID(id))
	}
	return f
}

func (s *idSet) add(id protocol.EventID) {
	if i, found := slices.BinarySearchFunc(*s, id, compareIDs); !found {
		*s = slices.Insert(*s, i, id)
	}
}

func decodeIDSet(b []byte) (*idSet, error) {
	var s idSet
	err := decodeFields("event ids", b, func(num protowire.Number, v value) error {
		id, err := decodeID(v.data)
		s = append(s, id)
		return err
	})
	return &s, err
}

// bodies is what is known of an event id that was logged again after a fork:
// the distinct bodies that were folded under it, and where each was logged
// again.
type bodies struct {
	sums   []protocol.Hash
	places []place
}

// place is where a body was logged again.
type place struct {
	sum protocol.Hash
	at  protocol.EventID
}

func comparePlaces(a, b place) int {
	return cmp.Or(compareHashes(a.sum, b.sum), compareIDs(a.at, b.at))
}

// Encode writes the row; without bodies there is none.
func (s *bodies) Encode() []byte {
	var f fields
	for _, h := range s.sums {
		f.element(1, h[:])
	}
	for _, p := range s.places {
		f.element(2, append(p.sum[:len(p.sum):len(p.sum)], encodeID(p.at)...))
	}
	return f
}

// add notes a body and tells whether it is new.
func (s *bodies) add(h protocol.Hash) bool {
	i, found := slices.BinarySearchFunc(s.sums, h, compareHashes)
	if !found {
		s.sums = slices.Insert(s.sums, i, h)
	}
	return !found
}

func (s *bodies) addPlace(p place) {
	if i, found := slices.BinarySearchFunc(s.places, p, comparePlaces); !found {
		s.places = slices.Insert(s.places, i, p)
	}
}

func (s *bodies) dropPlace(at protocol.EventID) {
	s.places = slices.DeleteFunc(s.places, func(p place) bool { return p.at == at })
}

func compareHashes(a, b protocol.Hash) int { return slices.Compare(a[:], b[:]) }

func decodeBodies(b []byte) (*bodies, error) {
	s := &bodies{}
	err := decodeFields("bodies", b, func(num protowire.Number, v value) (err error) {
		var h protocol.Hash
		if len(v.data) < len(h) {
			return fmt.Errorf("hash of %d bytes", len(v.data))
		}
		rest := v.data[copy(h[:], v.data):]
		switch num {
		case 1:
			s.sums = append(s.sums, h)
		case 2:
			p := place{sum: h}
			p.at, err = decodeID(rest)
			s.places = append(s.places, p)
		}
		return err
	})
	return s, err
}
