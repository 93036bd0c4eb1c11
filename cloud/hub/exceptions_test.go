package hub

import (
	"encoding/json"
	"testing"

	"counterpart/protocol"
	"counterpart/protocol/ledger"
)

// handle does something about an exception under a key, or none.
func (c *core) handle(id, action, key, staff, reason string) (ledger.ExceptionDocument, error) {
	c.t.Helper()
	q := ledger.HandleRequest{Staff: staff, Reason: reason}
	body, _ := json.Marshal(q)
	call := protocol.Call{Route: "POST /v1/exceptions/" + id + "/" + action, Key: key, Body: body}
	a, err := c.HandleException(c.t.Context(), call, id, action, q)
	var doc ledger.ExceptionDocument
	if err == nil {
		if err := json.Unmarshal(a.Body, &doc); err != nil || a.Status != 200 {
			c.t.Fatalf("%d %s: %v", a.Status, a.Body, err)
		}
	}
	return doc, err
}

// inState are the exceptions of a state.
func (c *core) inState(state string) []ledger.ExceptionDocument {
	c.t.Helper()
	list, err := c.Exceptions(c.t.Context(), state, Page{Limit: 10})
	if err != nil {
		c.t.Fatal(err)
	}
	return list.Items
}

// TestExceptionsAreResolved: what is assigned and resolved is listed so, and a
// further event that breaks the rule opens it again.
func TestExceptionsAreResolved(t *testing.T) {
	c := newCore(t)
	o, other := stream("s1", "a1", 1), stream("s1", "a2", 2)
	logAs(t, c.Hub, o, receiptOf(protocol.SaleSale, 1, "2026-11-20", 1000, ""))
	logAs(t, c.Hub, o, receiptOf(protocol.SaleReturn, 2, "2026-11-20", -1000, "a1-1-1-1"))
	logAs(t, c.Hub, other, receiptOf(protocol.SaleReturn, 1, "2026-11-20", -1000, "a1-1-1-1"))
	id := c.inState("open")[0].ID
	if doc, err := c.handle(id, "assign", "", "ayla", ""); err != nil || doc.State != "assigned" || *doc.Assignee != "ayla" {
		t.Fatalf("assigned: %+v, %v", doc, err)
	}
	if doc, err := c.handle(id, "assign", "", "omar", "knows the shop"); err != nil || *doc.Assignee != "omar" || *doc.Reason != "knows the shop" {
		t.Fatalf("assigned again: %+v, %v", doc, err)
	}
	first, err := c.handle(id, "resolve", "k", "omar", "both are on the shelf")
	if err != nil || first.State != "resolved" || *first.ResolvedBy != "omar" || *first.Reason != "both are on the shelf" || first.Assignee != nil {
		t.Fatalf("resolved: %+v, %v", first, err)
	}
	before := c.cursorOf(protocol.Origin{Store: "s1", Agent: protocol.HubAgent, Inc: c.streams["s1"]})
	if doc, err := c.handle(id, "resolve", "k", "omar", "both are on the shelf"); err != nil || doc.State != "resolved" {
		t.Errorf("the same key: %+v, %v", doc, err)
	}
	if _, err := c.handle(id, "resolve", "k", "omar", "another"); protocol.CodeOf(err) != protocol.IdempotencyMismatch {
		t.Errorf("the same key with another body: %v", err)
	}
	if _, err := c.handle(id, "resolve", "", "omar", "again"); protocol.CodeOf(err) != protocol.Conflict {
		t.Errorf("what is resolved is resolved: %v", err)
	}
	if after := c.cursorOf(protocol.Origin{Store: "s1", Agent: protocol.HubAgent, Inc: c.streams["s1"]}); after != before {
		t.Errorf("%d events were logged by repeats", after-before)
	}
	if open, done := c.inState("open"), c.inState("resolved"); len(open) != 0 || len(done) != 1 {
		t.Errorf("%d are open and %d resolved", len(open), len(done))
	}
	logAs(t, c.Hub, other, receiptOf(protocol.SaleReturn, 2, "2026-11-20", -1000, "a1-1-1-1"))
	if open := c.inState("open"); len(open) != 1 || open[0].Assignee != nil {
		t.Errorf("broken again: %+v", open)
	}
}

// TestOwnExceptionsAreResolved: those that no event makes are resolved as well,
// stay so after a restart, and open again when something new is found.
func TestOwnExceptionsAreResolved(t *testing.T) {
	c, a, _ := busy(t)
	row := levelRow("s1", "PEN")
	rewrite(t, c.disk.Driver, row, flip)
	c.audit()
	c.addTwins(a.origin, a.origin.Inc, protocol.Inc{9})
	open := c.inState("open")
	if len(open) != 2 {
		t.Fatalf("open: %+v", open)
	}
	for _, x := range open {
		if doc, err := c.handle(x.ID, "resolve", "", "it", "the disk was replaced"); err != nil || doc.State != "resolved" {
			t.Errorf("%s: %+v, %v", x.ID, doc, err)
		}
	}
	c.audit()
	if err := c.loadDigests(t.Context()); err != nil || len(c.inState("resolved")) != 2 {
		t.Errorf("after a restart: %+v, %v", c.inState("open"), err)
	}
	rewrite(t, c.disk.Driver, row, flip)
	c.audit()
	if open := c.inState("open"); len(open) != 1 || open[0].Kind != exceptionDigestDiffers {
		t.Errorf("damaged again: %+v", open)
	}
	c.addTwins(a.origin, protocol.Inc{8})
	if open := c.inState("open"); len(open) != 2 {
		t.Errorf("another copy: %+v", open)
	}
}

func TestBadHandling(t *testing.T) {
	c := newCore(t)
	o := stream("s1", "a1", 1)
	logAs(t, c.Hub, o, receiptOf(protocol.SaleSale, 1, "2026-11-20", 1000, ""))
	logAs(t, c.Hub, o, receiptOf(protocol.SaleReturn, 2, "2026-11-20", -2000, "a1-1-1-1"))
	id := c.inState("open")[0].ID
	for _, tt := range []struct {
		id, action, staff, reason string
		code                      protocol.Code
	}{
		{"x-none", "resolve", "s7", "done", protocol.NotFound},
		{id, "resolve", "s7", " ", protocol.OutOfRangeCode},
		{id, "resolve", "", "done", protocol.OutOfRangeCode},
		{id, "assign", "", "", protocol.OutOfRangeCode},
		{id, "assign", "two words", "", protocol.OutOfRangeCode},
		{id, "resolve", "s7", "paid with 4111 1111 1111 1111", protocol.CardNumber},
	} {
		if _, err := c.handle(tt.id, tt.action, "", tt.staff, tt.reason); protocol.CodeOf(err) != tt.code {
			t.Errorf("%s %s by %q because %q: %v", tt.action, tt.id, tt.staff, tt.reason, err)
		}
	}
	if open := c.inState("open"); len(open) != 1 {
		t.Errorf("open: %+v", open)
	}
}
