package ledger

import (
	"bytes"
	"cmp"
	"slices"
	"strings"

	"counterpart/protocol"

	"google.golang.org/protobuf/encoding/protowire"
)

// Handling is everything that people did about one exception: a set of events.
// It is kept beside the exception and not in it, because it may be folded before
// what broke the rule. How the exception stands follows from both sets.
type Handling struct {
	changes []handled // by event, then content
}

// handled is one thing that a person did.
type handled struct {
	id  protocol.EventID
	row []byte // what is kept of it
	protocol.ExceptionChange
}

func compareHandled(a, b handled) int {
	return cmp.Or(compareIDs(a.id, b.id), bytes.Compare(a.row, b.row))
}

// add notes a change. One that is there already changes nothing.
func (h *Handling) add(id protocol.EventID, x *protocol.ExceptionChange) {
	c := handled{id: id, row: encodeHandled(id, x), ExceptionChange: *x}
	if i, found := slices.BinarySearchFunc(h.changes, c, compareHandled); !found {
		h.changes = slices.Insert(h.changes, i, c)
	}
}

func encodeHandled(id protocol.EventID, x *protocol.ExceptionChange) []byte {
	var f fields
	f.id(1, id)
	f.text(2, string(x.Change))
	f.text(3, string(x.Staff))
	f.text(4, x.Reason)
	for _, event := range x.Events {
		f.id(5, event)
	}
	f.uint(6, x.Times)
	if !x.After.IsZero() {
		f.id(7, x.After)
	}
	return f
}

// Encode writes the row; the same set always gives the same bytes.
func (h *Handling) Encode() []byte {
	var f fields
	for _, c := range h.changes {
		f.element(1, c.row)
	}
	return f
}

func decodeHandling(b []byte) (*Handling, error) {
	h := &Handling{}
	err := decodeFields("handling", b, func(num protowire.Number, v value) error {
		if num != 1 {
			return nil
		}
		c := handled{row: bytes.Clone(v.data)}
		err := decodeFields("change", v.data, func(num protowire.Number, v value) (err error) {
			switch num {
			case 1:
				c.id, err = decodeID(v.data)
			case 2:
				c.Change = protocol.Handled(v.data)
			case 3:
				c.Staff = protocol.StaffID(v.data)
			case 4:
				c.Reason = v.text()
			case 5:
				var id protocol.EventID
				id, err = decodeID(v.data)
				c.Events = append(c.Events, id)
			case 6:
				c.Times = v.num
			case 7:
				c.After, err = decodeID(v.data)
			}
			return err
		})
		h.changes = append(h.changes, c)
		return err
	})
	slices.SortFunc(h.changes, compareHandled)
	return h, err
}

// The states of an exception.
const (
	ExceptionOpen     = "open"
	ExceptionAssigned = "assigned"
	ExceptionResolved = "resolved"
)

// Progress is how far an exception is dealt with.
type Progress struct {
	State      string
	Assignee   protocol.StaffID // of one that is assigned
	ResolvedBy protocol.StaffID // of one that is resolved
	Reason     string           // of who assigned or resolved it
	// Last is the change that the next one follows, zero for none.
	Last protocol.EventID
}

// progress works out how far an exception is dealt with that these events made, or, where
// no events make it, that was found so often. It is resolved when resolutions
// name every event of it: one that comes later, or that whoever resolved it had
// not seen, opens it again. An assignment holds while an event that it names is
// not resolved.
func (h *Handling) progress(events []protocol.EventID, times uint64) Progress {
	resolved, resolvedTimes := map[protocol.EventID]bool{}, uint64(0)
	for _, c := range h.changes {
		if c.Change == protocol.Resolve {
			resolvedTimes = max(resolvedTimes, c.Times)
			for _, id := range c.Events {
				resolved[id] = true
			}
		}
	}
	left := func(id protocol.EventID) bool { return !resolved[id] && slices.Contains(events, id) }
	s := Progress{State: ExceptionOpen}
	if last := h.latest(func(handled) bool { return true }); last != nil {
		s.Last = last.id
	}
	if times <= resolvedTimes && !slices.ContainsFunc(events, left) {
		if last := h.latest(func(c handled) bool { return c.Change == protocol.Resolve }); last != nil {
			s.State, s.ResolvedBy, s.Reason = ExceptionResolved, last.Staff, last.Reason
			return s
		}
	}
	if last := h.latest(func(c handled) bool {
		return c.Change == protocol.Assign && (c.Times > resolvedTimes || slices.ContainsFunc(c.Events, left))
	}); last != nil {
		s.State, s.Assignee, s.Reason = ExceptionAssigned, last.Staff, last.Reason
	}
	return s
}

// latest is the change that follows the most others; of several that do not know
// of each other the last in the order of events. No clock decides it.
func (h *Handling) latest(which func(handled) bool) *handled {
	var last *handled
	most := 0
	for i := range h.changes {
		c := &h.changes[i]
		if !which(*c) {
			continue
		}
		if n := h.follows(c); last == nil || n >= most {
			last, most = c, n
		}
	}
	return last
}

// follows counts the changes that one follows, directly or not.
func (h *Handling) follows(c *handled) (n int) {
	for n < len(h.changes) && !c.After.IsZero() {
		i, found := slices.BinarySearchFunc(h.changes, c.After, func(c handled, id protocol.EventID) int { return compareIDs(c.id, id) })
		if !found {
			break
		}
		c = &h.changes[i]
		n++
	}
	return n
}

func handledKey(kind, subject string) Key { return stateKey(kindHandled, kind, subject) }

const kindHandled = "handled"

// handle notes what a person did about an exception.
func (f *fold) handle(a *act, x *protocol.ExceptionChange) error {
	h, err := change(f.set, handledKey(x.Kind, x.Subject), decodeHandling)
	if err == nil {
		h.add(a.id, x)
	}
	return err
}

// handlings are what people did about exceptions, by the rest of their keys.
func handlings(r Reader) (map[string]*Handling, error) {
	all := map[string]*Handling{}
	prefix := kindHandled + sep
	err := r.Scan(States, prefix, after(prefix), func(id string, v []byte) (bool, error) {
		h, err := decodeHandling(v)
		all[strings.Clone(id[len(prefix):])] = h
		return err == nil, err
	})
	return all, err
}

// handled takes what the store's people did about exceptions.
func (p *projection) handled() error {
	prefix := kindHandled + sep
	return p.r.Scan(States, prefix, after(prefix), func(id string, v []byte) (bool, error) {
		h, err := decodeHandling(v)
		if err != nil {
			return false, err
		}
		h.changes = slices.DeleteFunc(h.changes, func(c handled) bool { return !p.ours(c.id) })
		return true, p.emit(Key{States, id}, h)
	})
}
