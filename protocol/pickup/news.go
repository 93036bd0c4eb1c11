package pickup

import (
	"bytes"
	"cmp"
	"slices"

	"counterpart/protocol"
)

// News is one thing that happened to a part.
type News struct {
	ID    protocol.EventID
	Word  string // one of NewsWords
	State State  // of the part, right after it
	// Reason is the hub's own word for why. What people wrote is not in it.
	Reason    string
	Reference string         // of a payment or refund
	Amount    protocol.Money // of a refund that is asked for
	Instead   uint32         // the part that stands in for the lines, 0 for none
	Lines     []protocol.PartLine
}

// NewsWords are all words that News has, in the order of an order's life.
var NewsWords = []string{
	"placed", "paid", "accepted", "rejected", "picking", "picked", "shortage", "ready", "arrived", "picked_up", "undone", "reminded", "overdue", "breached",
	"withdrawn", "rerouted", "unplaced", "cancel_requested", "expired", "put_back", "released", "corrected", "canceled", "refund_requested", "refunded", "changed",
}

var actWords = map[protocol.Act]string{
	protocol.Accept: "accepted", protocol.Reject: "rejected", protocol.Ready: "ready", protocol.Arrive: "arrived",
	protocol.HandOver: "picked_up", protocol.PutBack: "put_back", protocol.Undo: "undone",
}

var changeWords = map[protocol.Change]string{
	protocol.PaidOrder: "paid", protocol.CancelRequested: "cancel_requested", protocol.Canceled: "canceled", protocol.Expired: "expired",
	protocol.Withdrawn: "withdrawn", protocol.Rerouted: "rerouted", protocol.Unplaced: "unplaced", protocol.Breached: "breached",
	protocol.Reminded: "reminded", protocol.Overdue: "overdue", protocol.RefundRequested: "refund_requested", protocol.Refunded: "refunded", protocol.ReleasedGoods: "released", protocol.CorrectedGoods: "corrected",
}

// News tells what happened to the part since it was as before: each event that
// before lacks, with the state that it led to. While the order itself is not
// known there is none; when it comes, all is new. Events of one stream come in
// its order, behind the order itself.
func (p *Part) News(before *Part) (list []News) {
	if order, _ := p.Order(); order == nil {
		return nil
	}
	so := &Part{}
	if order, _ := before.Order(); order != nil {
		so.entries = slices.Clone(before.entries)
	}
	var fresh []entry
	for _, e := range p.entries {
		if _, found := slices.BinarySearchFunc(so.entries, e, compareEntries); !found {
			fresh = append(fresh, e)
		}
	}
	slices.SortStableFunc(fresh, func(a, b entry) int {
		return cmp.Or(cmp.Compare(min(a.class, change), min(b.class, change)), bytes.Compare(a.id.Inc[:], b.id.Inc[:]), cmp.Compare(a.id.Seq, b.id.Seq))
	})
	for _, e := range fresh {
		if i, found := slices.BinarySearchFunc(so.entries, e, compareEntries); !found {
			so.entries = slices.Insert(so.entries, i, e)
		}
		n := News{ID: e.id, State: so.State()}
		n.tell(&e)
		list = append(list, n)
	}
	return list
}

// tell says in words what an entry is.
func (n *News) tell(e *entry) {
	switch e.class {
	case placed:
		n.Word = "placed"
	case change:
		c := e.event.OrderChange
		n.Word, n.Reference, n.Lines = cmp.Or(changeWords[c.Change], "changed"), c.Reference, c.Lines
		n.Amount, n.Instead = c.Amount, c.Instead
		if c.Change != protocol.CancelRequested && n.Word != "changed" {
			n.Reason = c.Reason
		}
		if c.Change == protocol.ReleasedGoods && c.Reason == protocol.ShortageReason {
			n.Word = "shortage"
		}
	case act:
		f := e.event.Fulfilment
		n.Word, n.Lines = cmp.Or(actWords[f.Act], "changed"), f.Lines
		if f.Act == protocol.Pick {
			if n.Word = "picked"; len(f.Lines) == 0 {
				n.Word = "picking"
			}
		}
	case sold:
		n.Word, n.Lines = "picked_up", e.handed
	}
}
