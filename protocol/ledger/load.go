package ledger

import (
	"slices"

	"counterpart/protocol"

	"google.golang.org/protobuf/encoding/protowire"
)

// Load is a stock load on its way: the events that carry its rows and how many
// rows the store's primary has applied as counts.
type Load struct {
	ID      string
	Store   protocol.StoreID
	Agent   protocol.AgentID // who applies it; empty: the store's primary
	Total   int64
	Applied int64
	Parts   []LoadPart
}

// LoadPart names the event that carries the rows from First on.
type LoadPart struct {
	First int64
	Event protocol.EventID
}

// PartWith is the event that carries the given row, counted from 0.
func (l *Load) PartWith(row int64) (LoadPart, bool) {
	for i := len(l.Parts) - 1; i >= 0; i-- {
		if l.Parts[i].First <= row {
			return l.Parts[i], true
		}
	}
	return LoadPart{}, false
}

func (l *Load) add(s *protocol.StockLoad, event protocol.EventID) {
	l.Total = max(l.Total, s.Total)
	l.Agent = max(l.Agent, s.Agent)
	p := LoadPart{First: s.First, Event: event}
	i, found := slices.BinarySearchFunc(l.Parts, p, func(a, b LoadPart) int { return int(a.First - b.First) })
	if !found {
		l.Parts = slices.Insert(l.Parts, i, p)
	}
}

// Encode writes the load's row.
func (l *Load) Encode() []byte {
	var f fields
	f.int(1, l.Total)
	f.int(2, l.Applied)
	f.text(4, string(l.Agent))
	for _, p := range l.Parts {
		var g fields
		g.int(1, p.First)
		g.bytes(2, encodeID(p.Event))
		f.element(3, g)
	}
	return f
}

func decodeLoad(b []byte) (*Load, error) {
	l := &Load{}
	err := decodeFields("load", b, func(num protowire.Number, v value) error {
		switch num {
		case 1:
			l.Total = v.int()
		case 2:
			l.Applied = v.int()
		case 4:
			l.Agent = protocol.AgentID(v.data)
		case 3:
			var p LoadPart
			err := decodeFields("part", v.data, func(num protowire.Number, v value) (err error) {
				switch num {
				case 1:
					p.First = v.int()
				case 2:
					p.Event, err = decodeID(v.data)
				}
				return err
			})
			l.Parts = append(l.Parts, p)
			return err
		}
		return nil
	})
	return l, err
}
