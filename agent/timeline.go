package agent

import (
	"context"
	"encoding/json"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"counterpart/agent/till"
	"counterpart/protocol"
	"counterpart/protocol/cart"
	"counterpart/protocol/ledger"
	"counterpart/protocol/loyalty"
	"counterpart/protocol/sale"
)

// timeline shows what happened with a member, newest first: everywhere, as the hub
// knows it, or while it does not answer in this store, with its age.
func (a *Agent) timeline(ctx context.Context, id protocol.MemberID, limit int, after string) (loyalty.TimelineDocument, error) {
	var doc loyalty.TimelineDocument
	query := url.Values{"limit": {strconv.Itoa(limit)}}
	if after != "" {
		query.Set("after", after)
	}
	unknown := a.askHub(ctx, memberPath(id, "/timeline"), query, &doc)
	if protocol.CodeOf(unknown) != protocol.CannotKnow {
		return doc, unknown
	}
	doc = loyalty.TimelineDocument{Items: []loyalty.EntryDocument{}, AsOf: utc(a.toldAt()), From: cart.FromStore}
	var entries []ledger.TimelineEntry
	err := a.db.View(ctx, func(r ledger.Reader) error {
		group, err := a.groupHere(r, id)
		entries = nil
		for _, one := range group {
			if err != nil {
				return err
			}
			found := 0
			err = ledger.Timeline(r, ledger.MemberAt{Store: a.origin().Store, Member: one}, after, func(e ledger.TimelineEntry) (bool, error) {
				entries = append(entries, e)
				found++
				return found <= limit, nil
			})
		}
		return err
	})
	if err == nil && len(entries) == 0 && after == "" {
		err = unknown
	}
	if err != nil {
		return doc, err
	}
	slices.SortFunc(entries, func(a, b ledger.TimelineEntry) int { return strings.Compare(a.ID.String(), b.ID.String()) })
	if len(entries) > limit {
		entries = entries[:limit]
		next := entries[limit-1].ID.String()
		doc.Next = &next
	}
	openers := map[protocol.MemberID]func([]byte) (string, bool){}
	for _, e := range entries {
		open := openers[e.Member]
		if open == nil {
			open = a.textOpener(ctx, e.Member)
			openers[e.Member] = open
		}
		doc.Items = append(doc.Items, loyalty.NewEntryDocument(e.ID, e.Store, e.Entry, e.Closed, open))
	}
	return doc, nil
}

// findEntry finds an entry of a member in this store, under any id of the group; nil
// where it is not here.
func (a *Agent) findEntry(ctx context.Context, id protocol.MemberID, at loyalty.EntryID) (e *ledger.TimelineEntry, err error) {
	err = a.db.View(ctx, func(r ledger.Reader) error {
		group, err := a.groupHere(r, id)
		e = nil
		for _, one := range group {
			if err != nil || e != nil {
				return err
			}
			e, err = ledger.ReadTimelineEntry(r, ledger.MemberAt{Store: a.origin().Store, Member: one}, at)
		}
		return err
	})
	return e, err
}

// writeContact writes down what was said to or by a member: here, where their key
// is, else at the hub.
func (a *Agent) writeContact(ctx context.Context, c protocol.Call, id protocol.MemberID, q loyalty.ContactRequest) (protocol.Answer, error) {
	contact, err := q.Contact(id, sale.ContainsCardNumber)
	if err != nil {
		return protocol.Answer{}, err
	}
	if contact.Member, err = a.till.StandsFor(ctx, id); err != nil {
		return protocol.Answer{}, err
	}
	return a.logContact(ctx, c, contact, q.Text)
}

// closeEntry writes down that an open entry is done with: here, where the entry is,
// else at the hub.
func (a *Agent) closeEntry(ctx context.Context, c protocol.Call, id protocol.MemberID, entry string, q loyalty.CloseRequest) (protocol.Answer, error) {
	at, err := loyalty.ParseEntryID(entry)
	if err != nil {
		return protocol.Answer{}, protocol.Refuse(protocol.NotFound, "That is not the id of an entry. Nothing was recorded. Look at the timeline.")
	}
	contact, err := q.Contact(id, at, sale.ContainsCardNumber)
	if err != nil {
		return protocol.Answer{}, err
	}
	e, err := a.findEntry(ctx, id, at)
	if err != nil {
		return protocol.Answer{}, err
	}
	if e == nil {
		return a.tellHub(ctx, c)
	}
	contact.Member = e.Member
	return a.logContact(ctx, c, contact, q.Text)
}

// logContact seals and logs a contact, or passes the request on where the member's
// key is not here.
func (a *Agent) logContact(ctx context.Context, c protocol.Call, contact *protocol.Contact, text string) (protocol.Answer, error) {
	key, ok, err := a.keys.key(ctx, contact.Member)
	if err != nil {
		return protocol.Answer{}, err
	}
	if !ok {
		return a.tellHub(ctx, c)
	}
	if text = strings.TrimSpace(text); text != "" {
		if contact.Sealed, err = protocol.SealText(key, string(contact.Member), text, random); err != nil {
			return protocol.Answer{}, err
		}
	}
	kept, err := a.till.WriteContact(ctx, c, contact)
	if err != nil {
		return protocol.Answer{}, err
	}
	var said till.Said
	if err := json.Unmarshal(kept.Body, &said); err != nil {
		return protocol.Answer{}, err
	}
	at, err := loyalty.ParseEntryID(said.Entry)
	if err != nil {
		return protocol.Answer{}, err
	}
	e, err := a.findEntry(ctx, contact.Member, at)
	if err != nil || e == nil {
		return protocol.Answer{}, err
	}
	body, err := json.Marshal(loyalty.NewEntryDocument(e.ID, e.Store, e.Entry, e.Closed, a.textOpener(ctx, e.Member)))
	return protocol.Answer{Status: kept.Status, Body: body}, err
}

// tellHub passes a request on that only the hub can record, and answers as it does.
// Where the hub does not answer nobody knows whether it was recorded, unless it was
// not even asked.
func (a *Agent) tellHub(ctx context.Context, c protocol.Call) (protocol.Answer, error) {
	status, body, err := a.uplink().Tell(ctx, strings.TrimPrefix(c.Route, http.MethodPost+" "), c.Key, c.Body)
	switch {
	case err == nil && status < http.StatusInternalServerError:
		return protocol.Answer{Status: status, Body: body}, nil
	case c.Key != "":
		return protocol.Answer{}, &protocol.Error{Code: protocol.CannotKnow, Err: err, Message: "This store does not hold the member, and the head office does not answer. Keep the text, and send it again under the same Idempotency-Key when the link is back: it is recorded once."}
	}
	return protocol.Answer{}, &protocol.Error{Code: protocol.CannotKnow, Err: err, Message: "This store does not hold the member, and the head office does not answer. Keep the text, look at the timeline when the link is back, and send the text again if it is not there."}
}
