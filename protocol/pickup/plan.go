package pickup

import (
	"fmt"
	"slices"
	"strings"

	"counterpart/protocol"
)

// Ask is what staff ask for.
type Ask struct {
	Act             protocol.Act
	Staff           protocol.StaffID
	Reason          string
	Shelf, Bay, Car string
	Lines           []protocol.PartLine // of a pick or a put-back; of the latter none means all
}

// allowed says in which states of the store each act may be done, and up to
// which state of the hub. What the tables do not allow is refused, so that a
// register only climbs (I15).
var allowed = map[protocol.Act]struct {
	from []StoreState
	hub  HubState // the highest
}{
	protocol.Accept:   {[]StoreState{Received}, Paid},
	protocol.Reject:   {[]StoreState{Received, Accepted, Picking}, Paid},
	protocol.Pick:     {[]StoreState{Received, Accepted, Picking}, Paid},
	protocol.Ready:    {[]StoreState{PartiallyPicked, Picked}, Paid},
	protocol.Arrive:   {[]StoreState{Received, Accepted, Picking, PartiallyPicked, Picked, Ready}, Paid},
	protocol.HandOver: {[]StoreState{PartiallyPicked, Picked, Ready}, Paid},
	protocol.Undo:     {[]StoreState{Accepted, Picking, PartiallyPicked, Picked}, Paid},
	protocol.PutBack:  {[]StoreState{Received, Accepted, Picking, PartiallyPicked, Picked, Ready, PutBack}, Refunded},
}

// Plan makes the body and the moves of an act, or says why it cannot be done.
// free is what the shop holds of an item and nobody has spoken for: on hand less
// staged, damaged and quality control. A pick of less than was ordered says that
// nothing is left of the item, and corrects the book.
func (s *State) Plan(ask Ask, free func(protocol.SKU) protocol.Quantity) (*protocol.Fulfilment, []protocol.Move, error) {
	if err := s.allows(ask); err != nil {
		return nil, nil, err
	}
	f := &protocol.Fulfilment{
		PartID: s.Order.PartID, Act: ask.Act, Attempt: s.Attempt, After: s.Last,
		Staff: ask.Staff, Reason: ask.Reason, Shelf: ask.Shelf, Bay: ask.Bay, Car: ask.Car,
	}
	if ask.Act == protocol.Arrive {
		f.After = protocol.EventID{}
	}
	var moves []protocol.Move
	add := func(line uint32, state protocol.State, delta protocol.Quantity) {
		if item := s.Order.Lines[line-1].Item.SKU; delta != 0 {
			moves = append(moves, protocol.Move{SKU: item, State: state, Delta: delta})
		}
	}
	switch ask.Act {
	case protocol.Pick:
		if err := s.within(ask.Lines, s.Committed, "ordered and not yet picked"); err != nil {
			return nil, nil, err
		}
		f.Lines = slices.Clone(ask.Lines)
		for _, l := range f.Lines {
			add(l.Line, protocol.Committed, -l.Quantity)
			add(l.Line, protocol.Staged, l.Quantity)
		}
		moves = append(moves, s.corrections(f.Lines, free)...)
	case protocol.Reject:
		if s.Store > Rejected {
			f.Attempt++ // The register climbs only so: who picks stands above a rejection.
		}
	case protocol.Undo:
		f.Attempt, f.Lines = s.Attempt+1, above(s.Staged)
		for _, l := range f.Lines {
			add(l.Line, protocol.Staged, -l.Quantity)
			add(l.Line, protocol.Committed, l.Quantity)
		}
	case protocol.PutBack:
		f.Lines = ask.Lines
		if len(f.Lines) == 0 {
			f.Lines = above(s.Staged)
		}
		if err := s.within(f.Lines, s.Staged, "staged"); err != nil {
			return nil, nil, err
		}
		for _, l := range f.Lines {
			add(l.Line, protocol.Staged, -l.Quantity)
		}
	case protocol.HandOver:
		f.Lines = above(s.Staged)
		moves = s.HandOverMoves()
	}
	return f, moves, nil
}

// HandOverMoves are those of handing over all that is staged, by an act or by
// the sale of an order that was due.
func (s *State) HandOverMoves() (moves []protocol.Move) {
	for _, l := range above(s.Staged) {
		item := s.Order.Lines[l.Line-1].Item.SKU
		moves = append(moves,
			protocol.Move{SKU: item, State: protocol.Staged, Delta: -l.Quantity},
			protocol.Move{SKU: item, State: protocol.OnHand, Delta: -l.Quantity})
	}
	return moves
}

// allows checks the tables, and who picks.
func (s *State) allows(ask Ask) error {
	if s.Order == nil {
		return protocol.Refuse(protocol.NotFound, "This store does not have the order. Nothing was recorded. Check the number and the store that the shopper was told.")
	}
	rule, known := allowed[ask.Act]
	switch {
	case !known:
		return protocol.OutOfRange("act", string(ask.Act), "not known")
	case s.Hub > rule.hub:
		return s.conflict(ask.Act, "The order is "+words(s.Hub.String())+".")
	case ask.Act == protocol.PutBack && s.Store == PickedUp && len(above(s.Staged)) > 0:
		return nil // Two machines had picked it, and one of them handed it over.
	case ask.Act == protocol.PutBack && s.Hub < CancelRequested:
		return s.conflict(ask.Act, "Nobody has canceled the order. Undo the pick instead, or have the order canceled.")
	case ask.Act == protocol.PutBack && s.Store == PutBack && len(above(s.Staged)) == 0:
		return s.conflict(ask.Act, "The goods were put back before.")
	case !slices.Contains(rule.from, s.Store):
		return s.conflict(ask.Act, "The order is "+words(s.Store.String())+".")
	case s.Store == Picking && s.Picker != ask.Staff && ask.Act != protocol.Arrive && ask.Act != protocol.PutBack && ask.Act != protocol.Undo:
		return s.conflict(ask.Act, fmt.Sprintf("%s is picking it.", orSomebody(s.Picker)))
	case (ask.Act == protocol.HandOver || ask.Act == protocol.Ready) && len(above(s.Staged)) == 0:
		return s.conflict(ask.Act, "Nothing of it was picked.")
	}
	return nil
}

// AllowsHandOver tells whether the goods may be handed over now.
func (s *State) AllowsHandOver() error { return s.allows(Ask{Act: protocol.HandOver}) }

func (s *State) conflict(act protocol.Act, why string) *protocol.Error {
	return protocol.Refuse(protocol.Conflict, why+" So it cannot be done: "+words(string(act))+". Nothing was recorded. Load the order again and go on from there.").
		With("hub_state", s.Hub.String()).With("store_state", s.Store.String())
}

// words writes a name as people do.
func words(name string) string { return strings.ReplaceAll(name, "_", " ") }

func orSomebody(staff protocol.StaffID) string {
	if staff == "" {
		return "Somebody"
	}
	return string(staff)
}

// LinesOf are lines of the part that people name by their number in the whole
// order. One that the part does not have becomes line 0, which is none.
func (s *State) LinesOf(named []protocol.PartLine) []protocol.PartLine {
	if s.Order == nil {
		return named
	}
	lines := slices.Clone(named)
	for i := range lines {
		lines[i].Line = uint32(1 + slices.IndexFunc(s.Order.Lines, func(l protocol.OrderLine) bool { return l.Number == named[i].Line }))
	}
	return lines
}

// within checks that lines name lines of the order, each once, and no more than
// there is.
func (s *State) within(named []protocol.PartLine, limit []protocol.Quantity, what string) error {
	seen := map[uint32]bool{}
	for _, l := range named {
		switch {
		case l.Line == 0 || int(l.Line) > len(limit) || seen[l.Line]:
			return protocol.OutOfRange("line", fmt.Sprint(l.Line), "not a line of the order, or named twice").With("line", l.Line)
		case l.Quantity < 0 || l.Quantity > limit[l.Line-1]:
			return protocol.OutOfRange("qty", l.Quantity.String(), "not between 0 and what is "+what+", "+limit[l.Line-1].String()).With("line", l.Line)
		}
		seen[l.Line] = true
	}
	return nil
}

// corrections take out of the book what a clerk looked for and did not find.
// Several lines may name one item.
func (s *State) corrections(picked []protocol.PartLine, free func(protocol.SKU) protocol.Quantity) (moves []protocol.Move) {
	if len(picked) == 0 {
		return nil
	}
	found := map[protocol.SKU]protocol.Quantity{}
	var short []protocol.SKU
	by := make([]protocol.Quantity, len(s.Committed))
	for _, l := range picked {
		by[l.Line-1] = l.Quantity
		found[s.Order.Lines[l.Line-1].Item.SKU] += l.Quantity
	}
	for i, want := range s.Committed {
		if item := s.Order.Lines[i].Item.SKU; by[i] < want && !slices.Contains(short, item) {
			short = append(short, item)
		}
	}
	for _, item := range short {
		if left := free(item) - found[item]; left > 0 {
			moves = append(moves, protocol.Move{SKU: item, State: protocol.OnHand, Delta: -left})
		}
	}
	return moves
}
