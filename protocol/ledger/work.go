package ledger

import (
	"cmp"
	"slices"
	"strconv"
	"strings"
	"time"

	"counterpart/protocol"
)

// WorkItem is an exception as people see it: a broken rule, and what was done
// about it. Most are rows of the fold; a machine may have some that are its own.
type WorkItem struct {
	ID      string
	Kind    string
	Store   protocol.StoreID
	Subject string
	Refs    []string // what it is about
	Detail  string
	// Events are those that broke the rule; of very many some, and Times is how
	// many there are. An exception that no events make has none, and says instead
	// how often it was found, and when first.
	Events   []protocol.EventID
	Times    uint64
	OpenedMs int64
	Progress
}

// WorkItems lists the broken rules in the order of their ids, together with
// those of the caller, and how each stands.
func WorkItems(r Reader, own ...WorkItem) ([]WorkItem, error) {
	done, err := handlings(r)
	if err != nil {
		return nil, err
	}
	list, err := Exceptions(r)
	if err != nil {
		return nil, err
	}
	items := make([]WorkItem, 0, len(list)+len(own))
	for i := range list {
		e := &list[i]
		items = append(items, WorkItem{
			ID: e.ID(), Kind: e.Kind, Store: e.Store, Subject: e.Subject, Refs: []string{e.Subject}, Detail: e.Detail(), Events: e.Events, Times: e.Total,
		})
	}
	items = append(items, own...)
	for i := range items {
		w := &items[i]
		h := done[w.Kind+sep+w.Subject]
		if h == nil {
			h = &Handling{}
		}
		w.Progress = h.progress(w.Events, w.Times)
	}
	slices.SortFunc(items, func(a, b WorkItem) int { return cmp.Compare(a.ID, b.ID) })
	return items, nil
}

// FindWork is the exception with an id.
func FindWork(r Reader, id string, own ...WorkItem) (*WorkItem, error) {
	items, err := WorkItems(r, own...)
	if err != nil {
		return nil, err
	}
	i, found := slices.BinarySearchFunc(items, id, func(w WorkItem, id string) int { return cmp.Compare(w.ID, id) })
	if !found {
		return nil, protocol.Refuse(protocol.NotFound, "There is no exception with that id here. Nothing was recorded. Look it up in the list; it may have gone because what broke the rule was put right.")
	}
	return &items[i], nil
}

// ExceptionDocument is an exception of HTTP.md. ResolvedBy and Reason say who
// resolved it and why, or why it was assigned.
type ExceptionDocument struct {
	ID         string   `json:"id"`
	Kind       string   `json:"kind"`
	Store      *string  `json:"store"`
	Refs       []string `json:"refs"`
	OpenedAt   *string  `json:"opened_at"`
	Assignee   *string  `json:"assignee"`
	State      string   `json:"state"`
	Detail     string   `json:"detail"`
	ResolvedBy *string  `json:"resolved_by"`
	Reason     *string  `json:"reason"`
}

// Document shows an exception. It was opened by the last of its events, as far
// as their clocks can be believed.
func (w *WorkItem) Document(r Reader) (ExceptionDocument, error) {
	doc := ExceptionDocument{
		ID: w.ID, Kind: w.Kind, Store: orNull(w.Store), Refs: slices.Clone(w.Refs), State: w.State, Detail: w.Detail,
		Assignee: orNull(w.Assignee), ResolvedBy: orNull(w.ResolvedBy), Reason: orNull(w.Reason),
	}
	if doc.Refs == nil {
		doc.Refs = []string{}
	}
	openedMs := w.OpenedMs
	for _, id := range w.Events {
		doc.Refs = append(doc.Refs, id.String())
		record, _, err := ReadEvent(r, id)
		if err != nil {
			return doc, err
		}
		openedMs = max(openedMs, record.WallMs)
	}
	if openedMs > 0 {
		at := time.UnixMilli(openedMs).UTC().Format(protocol.TimeLayout)
		doc.OpenedAt = &at
	}
	return doc, nil
}

// orNull is null for empty text.
func orNull[S ~string](s S) *string {
	if s == "" {
		return nil
	}
	text := string(s)
	return &text
}

// HandleRequest is the JSON of POST /v1/exceptions/{id}/assign and resolve.
type HandleRequest struct {
	Staff  string `json:"staff"`
	Reason string `json:"reason"`
}

// reasonBytesMax bounds what people write about an exception.
const reasonBytesMax = 500

// KnownHandling tells whether something can be done about exceptions under this
// name.
func KnownHandling(action string) bool {
	return action == string(protocol.Assign) || action == string(protocol.Resolve)
}

// Validate refuses a request that nobody can mean. cardNumber tells whether free
// text holds the number of a payment card.
func (q *HandleRequest) Validate(action string, cardNumber func(string) bool) error {
	q.Reason = strings.TrimSpace(q.Reason)
	switch {
	case q.Staff == "":
		return protocol.OutOfRange("staff", "", "missing (whoever resolves an exception says who they are, and an assignment names somebody)")
	case !protocol.ValidID(q.Staff):
		return protocol.OutOfRange("staff", "", "not an identifier")
	case q.Reason == "" && action == string(protocol.Resolve):
		return protocol.OutOfRange("reason", "", "missing (say what was found, or done)")
	case !protocol.ValidText(q.Reason, reasonBytesMax):
		return protocol.OutOfRange("reason", "", "not text of at most "+strconv.Itoa(reasonBytesMax)+" bytes without control characters")
	case cardNumber(q.Reason):
		return protocol.Refuse(protocol.CardNumber, "The field reason holds what looks like the number of a payment card. Nothing was recorded, and the number was not kept. Take it out and send the rest again.").
			With("field", "reason")
	}
	return nil
}

// Handle is the event that does what a validated request asks for. What is
// resolved stays so until something breaks the rule again.
func (w *WorkItem) Handle(action string, q HandleRequest) (*protocol.Event, error) {
	if w.State == ExceptionResolved {
		return nil, protocol.Refuse(protocol.Conflict, "The exception was resolved before. Nothing was recorded. It opens again by itself if the rule is broken once more.").
			With("state", w.State).With("resolved_by", string(w.ResolvedBy))
	}
	return &protocol.Event{Kind: protocol.KindExceptionChange, ExceptionChange: &protocol.ExceptionChange{
		Kind: w.Kind, Subject: w.Subject, Change: protocol.Handled(action), Staff: protocol.StaffID(q.Staff), Reason: q.Reason,
		Events: w.Events, Times: w.Times, After: w.Last,
	}}, nil
}
