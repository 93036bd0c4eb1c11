package main

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"time"

	"counterpart/test/process"
)

// lookAgainEvery is how often staff look for orders when there is nothing to do.
const lookAgainEvery = 50 * time.Millisecond

// staffID is who works in each store.
const staffID = "s7"

// work does what there is to do about orders, until ctx ends.
func (s *shop) work(ctx context.Context, t *town, hub *process.Hub) error {
	ticker := time.NewTicker(lookAgainEvery)
	defer ticker.Stop()
	for {
		open, err := list[orderDocument](ctx, s.machine.Client, "/v1/orders?state=open&limit=500")
		did := false
		for i := range open {
			if err != nil {
				break
			}
			if o := t.find(open[i].ID); o != nil { // Else the shopper has no answer yet.
				var one bool
				one, err = s.attend(ctx, hub, o, &open[i])
				did = did || one
			}
		}
		switch {
		case ctx.Err() != nil:
			return nil
		case err != nil:
			return err
		case did:
			continue
		}
		select {
		case <-ticker.C:
		case <-ctx.Done():
			return nil
		}
	}
}

// attend takes the next step with a part, and tells whether there was one.
func (s *shop) attend(ctx context.Context, hub *process.Hub, o *order, d *orderDocument) (bool, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if d.HubState != "placed" && d.HubState != "paid" {
		return s.giveUp(ctx, d)
	}
	switch d.storeState() {
	case "received":
		if o.rejects {
			s.tally.rejected++
			return s.act(ctx, d, "reject", map[string]any{"reason": "damaged"}, nil)
		}
		return s.act(ctx, d, "accept", nil, nil)
	case "accepted":
		return s.pick(ctx, o, d)
	case "partially_picked", "picked":
		if d.storeState() == "picked" && o.changesMind() {
			return s.carryBack(ctx, d, "undo")
		}
		return s.act(ctx, d, "ready", map[string]any{"shelf": "B4"}, nil)
	case "ready":
		if o.fate == staysAway {
			return false, nil
		}
		return s.handOver(ctx, hub, o, d)
	}
	return false, nil
}

// act sends one action, unless the register has moved on meanwhile.
func (s *shop) act(ctx context.Context, d *orderDocument, action string, body map[string]any, into *orderDocument) (bool, error) {
	if body == nil {
		body = map[string]any{}
	}
	body["staff"] = staffID
	s.acts++
	var answer orderDocument
	err := ask(ctx, s.machine.Client, "/v1/orders/"+d.ID+"/"+action, fmt.Sprint("live-act-", s.acts), body, &answer)
	if conflicts(err) {
		s.tally.tooLate++
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("%s of order %s in %s: %w", action, d.ID, s.machine.Store(), err)
	}
	if into != nil {
		*into = answer
	}
	return true, nil
}

// pick takes from the shelf what it has of an order. What is short is not in the
// book afterwards either.
func (s *shop) pick(ctx context.Context, o *order, d *orderDocument) (bool, error) {
	var lines []map[string]any
	var found, shortfall []goods
	pieces := int64(0)
	for _, l := range d.Lines {
		wanted := int64(l.Quantity / piece)
		g := goods{l.SKU, min(wanted, s.shelf[l.SKU]), l.UnitPrice}
		if o.overlooks && g.pieces > 1 {
			g.pieces /= 2
		}
		if g.pieces < wanted {
			shortfall = append(shortfall, goods{l.SKU, wanted - g.pieces, l.UnitPrice})
		}
		found = append(found, g)
		pieces += g.pieces
		lines = append(lines, map[string]any{"line": l.Line, "qty": g.pieces})
	}
	if pieces == 0 {
		done, err := s.act(ctx, d, "reject", map[string]any{"reason": "not found"}, nil)
		if done {
			s.tally.rejected++
			s.tally.shortfallPieces += sum(shortfall)
		}
		return done, err
	}
	done, err := s.act(ctx, d, "pick", map[string]any{"lines": lines}, nil)
	if !done {
		return false, err
	}
	s.staged[d.part()] = slices.DeleteFunc(slices.Clone(found), func(g goods) bool { return g.pieces == 0 })
	for _, g := range found {
		s.shelf[g.sku] -= g.pieces
	}
	for _, g := range shortfall {
		if s.shelf[g.sku]+s.unseen[g.sku] > 0 {
			s.unseen[g.sku] = -s.shelf[g.sku]
		}
	}
	if len(shortfall) > 0 {
		s.tally.short++
		s.tally.shortfallPieces += sum(shortfall)
		if o.overlooks {
			s.tally.overlooked++
		}
	}
	return true, nil
}

func sum(list []goods) (pieces int64) {
	for _, g := range list {
		pieces += g.pieces
	}
	return pieces
}

// carryBack brings what is staged back to the shelf.
func (s *shop) carryBack(ctx context.Context, d *orderDocument, action string) (bool, error) {
	done, err := s.act(ctx, d, action, nil, nil)
	if !done {
		return false, err
	}
	for _, g := range s.staged[d.part()] {
		s.shelf[g.sku] += g.pieces
	}
	delete(s.staged, d.part())
	if action == "undo" {
		s.tally.undone++
	} else {
		s.tally.putBack++
	}
	return true, nil
}

// giveUp puts back what is staged of an order that is no longer wanted. Where
// nothing is, the agent answers by itself.
func (s *shop) giveUp(ctx context.Context, d *orderDocument) (bool, error) {
	if len(s.staged[d.part()]) == 0 {
		return false, nil
	}
	return s.carryBack(ctx, d, "put-back")
}

// handOver hands over what is staged to whoever has the code, and takes the money
// of what is due.
func (s *shop) handOver(ctx context.Context, hub *process.Hub, o *order, d *orderDocument) (bool, error) {
	body := map[string]any{}
	if !o.shipped {
		code, err := o.showCode(ctx, hub, d)
		if err != nil {
			return false, err
		}
		body["pickup_code"] = code
	}
	taken := s.staged[d.part()]
	due := d.Payment.Status != "paid"
	if due {
		total := int64(0)
		for _, g := range taken {
			total += g.pieces * g.price
		}
		body["tenders"] = []process.Tender{{Type: "card", Amount: total, Ref: "t1"}}
	}
	var doc orderDocument
	done, err := s.act(ctx, d, "hand-over", body, &doc)
	if !done {
		return false, err
	}
	delete(s.staged, d.part())
	s.tally.handed++
	if due {
		receipt := ""
		if doc.ReceiptNo != nil {
			receipt = *doc.ReceiptNo
		}
		s.sold(receipt, taken)
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	for _, g := range taken {
		o.handed[g.sku] += g.pieces
	}
	return true, nil
}

// showCode is what the shopper shows: of the first part as it was placed, of a
// later one as the hub tells it.
func (o *order) showCode(ctx context.Context, hub *process.Hub, d *orderDocument) (string, error) {
	code, token := o.code, o.token
	if d.Fulfilments[0].N > 1 || code == "" {
		var doc orderDocument
		answer, err := hub.Persist(ctx, process.Request{Method: http.MethodGet, Path: "/v1/orders/" + o.id})
		if err == nil {
			err = answer.Into(&doc)
		}
		if err != nil {
			return "", err
		}
		if doc.PickupCode == nil || doc.PickupToken == nil {
			return "", fmt.Errorf("the hub tells no code of order %s", o.id)
		}
		code, token = *doc.PickupCode, *doc.PickupToken
	}
	if len(o.wanted)%2 == 0 {
		return token, nil
	}
	return code, nil
}
