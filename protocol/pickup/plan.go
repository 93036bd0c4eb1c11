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
		Staff: ask.Staff, Reason: ask.Reason, Shelf: ask.Shelf, Bay: ask.Bay, Car: ask.Car, Member: s.Order.Member,
	}
	if ask.Act == protocol.Arrive {
		f.After = protocol.EventID{}
	}
	var moves []protocol.Move
	switch ask.Act {
	case protocol.Pick:
		if err := s.findable(ask.Lines); err != nil {
			return nil, nil, err
		}
		f.Lines = slices.Clone(ask.Lines)
		moves = append(s.moves(f.Lines, fromCommitted, toStaged), s.corrections(f.Lines, free)...)
	case protocol.Reject:
		if s.Store > Rejected {
			f.Attempt++ // The register climbs only so: who picks stands above a rejection.
		}
	case protocol.Undo:
		f.Attempt, f.Lines = s.Attempt+1, s.above(s.Staged)
		moves = s.moves(f.Lines, fromStaged, toCommitted)
	case protocol.PutBack:
		f.Lines = ask.Lines
		if len(f.Lines) == 0 {
			f.Lines = s.above(s.Staged)
		}
		if err := s.carried(f.Lines); err != nil {
			return nil, nil, err
		}
		moves = s.moves(f.Lines, fromStaged)
	case protocol.HandOver:
		f.Lines = s.above(s.Staged)
		moves = s.HandOverMoves()
	}
	return f, moves, nil
}

// flow is one side of what an act does to goods. Only what is staged or leaves the
// shop can be a substitute: promised is what was ordered.
type flow struct {
	state protocol.State
	sign  protocol.Quantity
}

var (
	fromCommitted, toCommitted = flow{protocol.Committed, -1}, flow{protocol.Committed, 1}
	fromStaged, toStaged       = flow{protocol.Staged, -1}, flow{protocol.Staged, 1}
	fromShop                   = flow{protocol.OnHand, -1}
)

func (s *State) moves(lines []protocol.PartLine, flows ...flow) (moves []protocol.Move) {
	for _, l := range lines {
		for _, way := range flows {
			sku := s.SKU(l)
			if way.state == protocol.Committed {
				sku = s.Order.Lines[l.Line-1].Item.SKU
			}
			if l.Quantity != 0 {
				moves = append(moves, protocol.Move{SKU: sku, State: way.state, Delta: way.sign * l.Quantity})
			}
		}
	}
	return moves
}

// HandOverMoves are those of handing over all that is staged, by an act or by
// the sale of an order that was due.
func (s *State) HandOverMoves() []protocol.Move {
	return s.moves(s.above(s.Staged), fromStaged, fromShop)
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
	case ask.Act == protocol.PutBack && s.Store == PickedUp && len(s.above(s.Staged)) > 0:
		return nil // Two machines had picked it, and one of them handed it over.
	case ask.Act == protocol.PutBack && s.Hub < CancelRequested:
		return s.conflict(ask.Act, "Nobody has canceled the order. Undo the pick instead, or have the order canceled.")
	case ask.Act == protocol.PutBack && s.Store == PutBack && len(s.above(s.Staged)) == 0:
		return s.conflict(ask.Act, "The goods were put back before.")
	case !slices.Contains(rule.from, s.Store):
		return s.conflict(ask.Act, "The order is "+words(s.Store.String())+".")
	case s.Store == Picking && s.Picker != ask.Staff && ask.Act != protocol.Arrive && ask.Act != protocol.PutBack && ask.Act != protocol.Undo:
		return s.conflict(ask.Act, fmt.Sprintf("%s is picking it.", orSomebody(s.Picker)))
	case (ask.Act == protocol.HandOver || ask.Act == protocol.Ready) && len(s.above(s.Staged)) == 0:
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

// findable checks what a clerk says to have found: of each line no more than is
// promised, and substitutes only where the shopper allows them.
func (s *State) findable(named []protocol.PartLine) error {
	if err := s.distinct(named); err != nil {
		return err
	}
	found := make([]protocol.Quantity, len(s.Committed))
	for _, l := range named {
		switch {
		case l.Item == "":
		case !s.replaces(l):
			return protocol.OutOfRange("code", string(l.Item), "the item that was ordered, and no substitute for it").With("line", l.Line)
		case !s.Order.Substitutes:
			return s.conflict(protocol.Pick, "The shopper takes nothing else in the place of what was ordered.").With("line", l.Line)
		case l.Quantity == 0:
			return protocol.OutOfRange("qty", "0", "not above 0").With("line", l.Line)
		}
		found[l.Line-1] += l.Quantity
		if promised := s.Committed[l.Line-1]; found[l.Line-1] > promised {
			return tooMuch(l, "ordered and not yet picked", promised)
		}
	}
	return nil
}

// carried checks that lines name no more of each item than is staged.
func (s *State) carried(named []protocol.PartLine) error {
	if err := s.distinct(named); err != nil {
		return err
	}
	for _, l := range named {
		there := protocol.Quantity(0)
		for i, q := range s.Staged {
			if s.slot(i) == (slot{int(l.Line) - 1, s.SKU(l)}) {
				there = q
			}
		}
		if l.Quantity > there {
			return tooMuch(l, "staged", there)
		}
	}
	return nil
}

// distinct checks that lines name lines of the order, each with each item once.
func (s *State) distinct(named []protocol.PartLine) error {
	seen := map[protocol.PartLine]bool{}
	for _, l := range named {
		if l.Line == 0 || int(l.Line) > len(s.Order.Lines) {
			return protocol.OutOfRange("line", fmt.Sprint(l.Line), "not a line of the order").With("line", l.Line)
		}
		once := protocol.PartLine{Line: l.Line, Item: s.SKU(l)}
		if seen[once] {
			return protocol.OutOfRange("line", fmt.Sprint(l.Line), "named twice").With("line", l.Line)
		}
		if l.Quantity < 0 {
			return protocol.OutOfRange("qty", l.Quantity.String(), "below 0").With("line", l.Line)
		}
		seen[once] = true
	}
	return nil
}

func tooMuch(l protocol.PartLine, what string, there protocol.Quantity) error {
	return protocol.OutOfRange("qty", l.Quantity.String(), "not between 0 and what is "+what+", "+there.String()).With("line", l.Line)
}

// corrections take out of the book what a clerk looked for and did not find.
// Whoever takes something else has not found it. Several lines may name one item.
func (s *State) corrections(picked []protocol.PartLine, free func(protocol.SKU) protocol.Quantity) (moves []protocol.Move) {
	if len(picked) == 0 {
		return nil
	}
	found := map[protocol.SKU]protocol.Quantity{}
	var short []protocol.SKU
	by := make([]protocol.Quantity, len(s.Committed))
	for _, l := range picked {
		if !s.replaces(l) {
			by[l.Line-1] = l.Quantity
		}
		found[s.SKU(l)] += l.Quantity
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
