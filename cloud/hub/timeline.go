package hub

import (
	"context"
	"encoding/json"
	"net/http"
	"slices"
	"strings"

	"counterpart/protocol"
	"counterpart/protocol/cart"
	"counterpart/protocol/ledger"
	"counterpart/protocol/loyalty"
	"counterpart/protocol/sale"
)

func errNoEntry() error {
	return protocol.Refuse(protocol.NotFound, "The timeline of this member has no such entry. Nothing was recorded. One that was written in a store that is offline comes when it is back.")
}

// Timeline shows what happened with a member in all stores and channels, newest
// first. Of somebody who was erased it shows what is nobody's.
func (h *Hub) Timeline(ctx context.Context, id protocol.MemberID, p Page) (loyalty.TimelineDocument, error) {
	doc := loyalty.TimelineDocument{Items: []loyalty.EntryDocument{}, AsOf: timeOf(h.now().UnixMilli()), From: cart.FromHub}
	if p.After != "" {
		if _, err := loyalty.ParseEntryID(p.After); err != nil {
			return doc, protocol.OutOfRange("after", "", "not what a page of this listing ended with")
		}
	}
	var entries []ledger.TimelineEntry
	err := h.view(ctx, func(r ledger.Reader) error {
		places, err := timelines(r, id)
		if err == nil && len(places) == 0 {
			err = errNoMember()
		}
		entries = nil
		for _, at := range places {
			if err != nil {
				return err
			}
			found := 0
			err = ledger.Timeline(r, at, p.After, func(e ledger.TimelineEntry) (bool, error) {
				entries = append(entries, e)
				found++
				return found <= p.Limit, nil
			})
		}
		return err
	})
	if err != nil {
		return doc, err
	}
	slices.SortFunc(entries, func(a, b ledger.TimelineEntry) int { return strings.Compare(a.ID.String(), b.ID.String()) })
	if len(entries) > p.Limit {
		entries = entries[:p.Limit]
		next := entries[p.Limit-1].ID.String()
		doc.Next = &next
	}
	openers := map[protocol.MemberID]func([]byte) (string, bool){}
	for _, e := range entries {
		open := openers[e.Member]
		if open == nil {
			if open, err = h.opener(ctx, e.Member); err != nil {
				return doc, err
			}
			openers[e.Member] = open
		}
		doc.Items = append(doc.Items, loyalty.NewEntryDocument(e.ID, e.Store, e.Entry, e.Closed, open))
	}
	return doc, nil
}

// timelines are all in which something about a member may stand: of all of the
// group, in each store that knows one of it.
func timelines(r ledger.Reader, id protocol.MemberID) (places []ledger.MemberAt, err error) {
	group, err := ledger.MemberGroup(r, id)
	if err != nil {
		return nil, err
	}
	for _, one := range group {
		stores, err := ledger.MemberStores(r, one)
		if err != nil {
			return nil, err
		}
		for _, store := range stores {
			places = append(places, ledger.MemberAt{Store: store, Member: one})
		}
	}
	return places, nil
}

// findEntry finds an entry in the timeline of a member's group.
func findEntry(r ledger.Reader, id protocol.MemberID, entry loyalty.EntryID) (*ledger.TimelineEntry, error) {
	places, err := timelines(r, id)
	if err != nil {
		return nil, err
	}
	for _, at := range places {
		e, err := ledger.ReadTimelineEntry(r, at, entry)
		if err != nil || e != nil {
			return e, err
		}
	}
	return nil, errNoEntry()
}

// entryKept is what is kept of the answer to a contact: where its entry is. What
// was said is kept nowhere but sealed.
type entryKept struct {
	Store protocol.StoreID `json:"store"`
	Entry string           `json:"entry"`
}

// WriteContact writes down what was said to or by a member, and answers 201 with
// the entry.
func (h *Hub) WriteContact(ctx context.Context, c protocol.Call, id protocol.MemberID, q loyalty.ContactRequest) (protocol.Answer, error) {
	contact, err := q.Contact(id, sale.ContainsCardNumber)
	if err != nil {
		return protocol.Answer{}, err
	}
	return h.logContact(ctx, c, contact, q.Text, func(r ledger.Reader) (ledger.MemberAt, error) { return cartOwner(r, id) })
}

// CloseEntry writes down that an open entry is done with, in the stream of its
// store, and answers 201 with the entry that says so.
func (h *Hub) CloseEntry(ctx context.Context, c protocol.Call, id protocol.MemberID, entry string, q loyalty.CloseRequest) (protocol.Answer, error) {
	at, err := loyalty.ParseEntryID(entry)
	if err != nil {
		return protocol.Answer{}, errNoEntry()
	}
	contact, err := q.Contact(id, at, sale.ContainsCardNumber)
	if err != nil {
		return protocol.Answer{}, err
	}
	return h.logContact(ctx, c, contact, q.Text, func(r ledger.Reader) (ledger.MemberAt, error) {
		if _, err := cartOwner(r, id); err != nil {
			return ledger.MemberAt{}, err
		}
		e, err := findEntry(r, id, at)
		if err != nil {
			return ledger.MemberAt{}, err
		}
		return ledger.MemberAt{Store: e.Store, Member: e.Member}, e.MayClose()
	})
}

// logContact logs a contact in the hub's stream of the store, and with the member of
// the group, that where finds.
func (h *Hub) logContact(ctx context.Context, c protocol.Call, contact *protocol.Contact, text string, where func(ledger.Reader) (ledger.MemberAt, error)) (protocol.Answer, error) {
	id := contact.Member
	kept, err := h.once(ctx, c, func(keep func(ledger.Tx, protocol.Answer) error) (answer protocol.Answer, err error) {
		var at ledger.MemberAt
		if err := h.view(ctx, func(r ledger.Reader) (err error) {
			at, err = where(r)
			return err
		}); err != nil {
			return answer, err
		}
		contact.Member = at.Member
		if contact.Sealed, err = h.sealText(ctx, at.Member, strings.TrimSpace(text)); err != nil {
			return answer, err
		}
		var event protocol.EventID
		_, err = h.actAfter(ctx, at.Store, func(tx ledger.Tx, own protocol.Origin) ([]*protocol.Event, error) {
			if _, err := where(tx); err != nil {
				return nil, err
			}
			stream, err := ledger.ReadStream(tx, own)
			event = protocol.EventID{Inc: own.Inc, Seq: stream.Seq + 1}
			return []*protocol.Event{{Kind: protocol.KindContact, Contact: contact}}, err
		}, func(tx ledger.Tx, _ []*protocol.Event) error {
			rec, _, err := ledger.ReadRecord(tx, event)
			if err != nil {
				return err
			}
			if answer, err = answerJSON(http.StatusCreated, entryKept{at.Store, loyalty.EntryID{AtMs: rec.WallMs, Event: event}.String()}); err != nil {
				return err
			}
			return keep(tx, answer)
		})
		return answer, err
	})
	if err != nil {
		return protocol.Answer{}, err
	}
	return h.entryAnswer(ctx, id, kept)
}

// entryAnswer makes the answer to a contact from its row.
func (h *Hub) entryAnswer(ctx context.Context, id protocol.MemberID, kept protocol.Answer) (protocol.Answer, error) {
	var where entryKept
	if err := json.Unmarshal(kept.Body, &where); err != nil {
		return protocol.Answer{}, err
	}
	at, err := loyalty.ParseEntryID(where.Entry)
	if err != nil {
		return protocol.Answer{}, err
	}
	var e *ledger.TimelineEntry
	err = h.view(ctx, func(r ledger.Reader) (err error) {
		e, err = findEntry(r, id, at)
		return err
	})
	if err != nil {
		return protocol.Answer{}, err
	}
	open, err := h.opener(ctx, e.Member)
	if err != nil {
		return protocol.Answer{}, err
	}
	return answerJSON(kept.Status, loyalty.NewEntryDocument(e.ID, e.Store, e.Entry, e.Closed, open))
}
