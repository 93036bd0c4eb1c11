package hub

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"counterpart/protocol"
	"counterpart/protocol/loyalty"
)

// says writes down what a member said, under a key.
func (c *core) says(id protocol.MemberID, key, text string, open bool) (loyalty.EntryDocument, error) {
	c.t.Helper()
	q := loyalty.ContactRequest{Channel: "phone", Kind: "complaint", Text: text, Open: open, Staff: "s7"}
	answer, err := c.WriteContact(c.t.Context(), protocol.Call{Route: "POST /v1/members/" + string(id) + "/timeline", Key: key, Body: []byte(text)}, id, q)
	return c.entry(answer, err)
}

func (c *core) entry(answer protocol.Answer, err error) (doc loyalty.EntryDocument, _ error) {
	c.t.Helper()
	if err == nil && answer.Status != 201 {
		c.t.Errorf("answered %d", answer.Status)
	}
	if err == nil {
		err = json.Unmarshal(answer.Body, &doc)
	}
	return doc, err
}

// kinds compares the kinds of a member's entries, and whether they are open, read in
// pages.
func (c *core) kinds(id protocol.MemberID, want string) {
	c.t.Helper()
	var got []string
	for after := ""; ; {
		doc, err := c.Timeline(c.t.Context(), id, Page{Limit: 2, After: after})
		if err != nil {
			c.t.Fatal(err)
		}
		for _, e := range doc.Items {
			got = append(got, fmt.Sprint(e.Kind, e.Open))
		}
		if doc.Next == nil {
			break
		}
		after = *doc.Next
	}
	if all := strings.Join(got, " "); all != want {
		c.t.Errorf("the timeline is %q, want %q", all, want)
	}
}

// TestTimeline writes what happened in two stores and by phone, newest first and in
// pages, closes what was open, and forgets what an erased member said.
func TestTimeline(t *testing.T) {
	c := newShop(t)
	id := c.enrol("Ayla", "s1")
	home, away := c.player("s1", "a1", 1), c.player("s2", "b1", 2)
	home.greet()
	away.greet()
	c.receive(home.buys(id, nil), away.buys(id, nil), home.buys(id, func(s *protocol.Sale) { s.Training, s.Series = true, "T" }))
	c.time += 1000000
	first, err := c.says(id, "k-1", "The pen leaks.", true)
	if err != nil || !first.Open || *first.Text != "The pen leaks." || *first.Store != "s1" {
		t.Fatalf("%+v %v", first, err)
	}
	if again, err := c.says(id, "k-1", "The pen leaks.", true); err != nil || again.ID != first.ID {
		t.Errorf("the same key writes %+v (%v)", again, err)
	}
	if _, err := c.says(id, "k-1", "It leaks!", true); protocol.CodeOf(err) != protocol.IdempotencyMismatch {
		t.Errorf("another text under the key: %v", err)
	}
	c.kinds(id, "complainttrue enrolledfalse salefalse salefalse")
	closing := func(entry string) (loyalty.EntryDocument, error) {
		c.time += 1000000
		return c.entry(c.CloseEntry(t.Context(), protocol.Call{}, id, entry, loyalty.CloseRequest{Staff: "s7", Text: "Sent another pen."}))
	}
	if done, err := closing(first.ID); err != nil || done.Kind != loyalty.KindClosed || *done.Reference != first.ID || *done.Text != "Sent another pen." {
		t.Errorf("closed by %+v (%v)", done, err)
	}
	c.kinds(id, "closedfalse complaintfalse enrolledfalse salefalse salefalse")
	for entry, code := range map[string]protocol.Code{first.ID: protocol.Conflict, first.ID[1:]: protocol.NotFound, "x": protocol.NotFound, "0000000000000000-" + first.EventID: protocol.NotFound} {
		if _, err := closing(entry); protocol.CodeOf(err) != code {
			t.Errorf("closing %s: %v, want %s", entry, err, code)
		}
	}
	c.sound()
	if _, err := c.EraseMember(t.Context(), id); err != nil {
		t.Fatal(err)
	}
	doc, err := c.Timeline(t.Context(), id, Page{Limit: 10})
	if err != nil || len(doc.Items) != 5 || doc.Items[1].Text != nil || !doc.Items[1].Locked {
		t.Errorf("of somebody erased %+v (%v)", doc.Items, err)
	}
	if _, err := c.says(id, "", "Hello.", false); protocol.CodeOf(err) != protocol.Conflict {
		t.Errorf("somebody erased says: %v", err)
	}
}

// TestBadContacts writes down what cannot be.
func TestBadContacts(t *testing.T) {
	c := newShop(t)
	id := c.enrol("Ayla", "s1")
	for _, q := range []loyalty.ContactRequest{
		{Kind: "note", Text: "x"},
		{Channel: "web", Text: "x"},
		{Channel: "web", Kind: "note"},
		{Channel: "web", Kind: "sale", Text: "x"},
		{Channel: "a b", Kind: "note", Text: "x"},
		{Channel: "web", Kind: "note", Text: strings.Repeat("x", loyalty.ContactTextMax+1)},
		{Channel: "web", Kind: "note", Text: "x", Staff: "s 7"},
	} {
		if _, err := c.WriteContact(t.Context(), protocol.Call{}, id, q); protocol.CodeOf(err) != protocol.OutOfRangeCode {
			t.Errorf("%+v: %v", q, err)
		}
	}
	if _, err := c.says(id, "", "My card is 4111 1111 1111 1111.", false); protocol.CodeOf(err) != protocol.CardNumber {
		t.Errorf("a card number: %v", err)
	}
	if _, err := c.says("m-9", "", "Hello.", false); protocol.CodeOf(err) != protocol.NotFound {
		t.Errorf("nobody says: %v", err)
	}
}
