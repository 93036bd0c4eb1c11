package ledger

import (
	"testing"

	"counterpart/protocol"
)

func eventAt(n byte) protocol.EventID { return protocol.EventID{Inc: protocol.Inc{n}, Seq: 1} }

// TestProgress walks through what people can have done about an exception that
// two events made, whoever knew of what.
func TestProgress(t *testing.T) {
	a, b := eventAt(1), eventAt(2)
	do := func(n byte, change protocol.Handled, staff protocol.StaffID, after byte, events ...protocol.EventID) handled {
		x := protocol.ExceptionChange{Change: change, Staff: staff, Reason: "because", Events: events}
		if after > 0 {
			x.After = eventAt(after)
		}
		return handled{id: eventAt(n), ExceptionChange: x}
	}
	for name, tt := range map[string]struct {
		done     []handled
		state    string
		assignee protocol.StaffID
		last     byte
	}{
		"nothing":                        {nil, ExceptionOpen, "", 0},
		"assigned":                       {[]handled{do(10, protocol.Assign, "x", 0, a, b)}, ExceptionAssigned, "x", 10},
		"one of two resolved":            {[]handled{do(10, protocol.Resolve, "x", 0, a)}, ExceptionOpen, "", 10},
		"each resolved by somebody":      {[]handled{do(10, protocol.Resolve, "x", 0, a), do(11, protocol.Resolve, "y", 0, b)}, ExceptionResolved, "", 11},
		"assigned, and broken again":     {[]handled{do(10, protocol.Assign, "x", 0, a)}, ExceptionAssigned, "x", 10},
		"resolved, and broken again":     {[]handled{do(10, protocol.Assign, "x", 0, a), do(11, protocol.Resolve, "x", 10, a)}, ExceptionOpen, "", 11},
		"the later of two who knew":      {[]handled{do(10, protocol.Assign, "y", 11, a), do(11, protocol.Assign, "x", 0, a)}, ExceptionAssigned, "y", 10},
		"one of two who did not know":    {[]handled{do(10, protocol.Assign, "x", 0, a), do(11, protocol.Assign, "y", 0, a)}, ExceptionAssigned, "y", 11},
		"a word of a later version":      {[]handled{do(10, "postpone", "x", 0, a, b)}, ExceptionOpen, "", 10},
		"events that it does not have":   {[]handled{do(10, protocol.Resolve, "x", 0, eventAt(7))}, ExceptionOpen, "", 10},
		"each follows the other":         {[]handled{do(10, protocol.Assign, "x", 11, a), do(11, protocol.Assign, "y", 10, a)}, ExceptionAssigned, "y", 11},
		"resolved though still assigned": {[]handled{do(10, protocol.Resolve, "x", 0, a, b), do(11, protocol.Assign, "y", 0, a)}, ExceptionResolved, "", 11},
	} {
		h := &Handling{}
		for _, c := range tt.done {
			h.add(c.id, &c.ExceptionChange)
		}
		h, err := decodeHandling(h.Encode())
		if err != nil {
			t.Fatal(err)
		}
		got := h.progress([]protocol.EventID{a, b}, 0)
		var last protocol.EventID
		if tt.last > 0 {
			last = eventAt(tt.last)
		}
		if got.State != tt.state || got.Assignee != tt.assignee || got.Last != last {
			t.Errorf("%s: %+v", name, got)
		}
	}
}

// TestProgressOfManyEvents: a further event opens an exception of more events
// than its row names.
func TestProgressOfManyEvents(t *testing.T) {
	var events []protocol.EventID
	for i := range exceptionReferenceLimit + 1 {
		events = append(events, protocol.EventID{Inc: protocol.Inc{1}, Seq: protocol.Seq(i + 1)})
	}
	e, err := decodeException("exception\x00k\x00s", newException("s1", events).Encode())
	if err != nil {
		t.Fatal(err)
	}
	h := &Handling{}
	h.add(eventAt(9), &protocol.ExceptionChange{Change: protocol.Resolve, Events: e.Events, Times: e.Total})
	if got := h.progress(e.Events, e.Total); got.State != ExceptionResolved {
		t.Errorf("resolved, it is %+v", got)
	}
	more := newException("s1", append(events, protocol.EventID{Inc: protocol.Inc{2}, Seq: 1}))
	if got := h.progress(more.Events, more.Total); got.State != ExceptionOpen {
		t.Errorf("broken once more, it is %+v", got)
	}
}
