package webhooks

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"counterpart/protocol"
)

// The states of an endpoint.
const (
	active = "active"
	paused = "paused"
)

const (
	patternsMax  = 64
	endpointsMax = 100
)

// Request asks for a webhook (POST /v1/webhooks).
type Request struct {
	URL    string   `json:"url"`
	Events []string `json:"events"`
	Secret string   `json:"secret"`
}

// ReplayRequest asks for what was sent since a moment to be sent again
// (POST /v1/webhooks/{id}/replay).
type ReplayRequest struct {
	From string `json:"from"`
}

// Document is a webhook as it is shown. Secret is told once, to whoever had it
// made.
type Document struct {
	ID        string   `json:"id"`
	URL       string   `json:"url"`
	Events    []string `json:"events"`
	Secret    *string  `json:"secret"`
	State     string   `json:"state"`
	CreatedAt string   `json:"created_at"`
	Waiting   int      `json:"waiting"` // messages that failed, and those that wait for them
	LastError *string  `json:"last_error"`
}

// DeadDocument is a message that failed for the last time.
type DeadDocument struct {
	ID       string `json:"id"`
	Type     string `json:"type"`
	Subject  string `json:"subject"`
	Attempts int    `json:"attempts"`
	Error    string `json:"error"`
	At       string `json:"at"`
	DeadAt   string `json:"dead_at"`
}

// Page is the part of a listing that is wanted.
type Page struct {
	Limit int
	After string
}

// List is a page of a listing.
type List[T any] struct {
	Items []T     `json:"items"`
	Next  *string `json:"next"`
}

// endpoint is the note of a webhook.
type endpoint struct {
	ID        string   `json:"id"`
	URL       string   `json:"url"`
	Events    []string `json:"events"`
	Secret    secret   `json:"secret"`
	CreatedMs int64    `json:"created_ms"`
	Paused    bool     `json:"paused"`
}

func decodeEndpoint(b []byte) (e endpoint, err error) {
	if err := json.Unmarshal(b, &e); err != nil {
		return e, fmt.Errorf("webhook: %w", err)
	}
	if !protocol.ValidID(e.ID) || len(e.Secret) == 0 {
		return e, errors.New("webhook: no id or secret")
	}
	return e, nil
}

func (e *endpoint) state() string {
	if e.Paused {
		return paused
	}
	return active
}

func (e *endpoint) document() Document {
	return Document{ID: e.ID, URL: e.URL, Events: e.Events, State: e.state(), CreatedAt: timeText(e.CreatedMs)}
}

func timeText(ms int64) string {
	return time.UnixMilli(ms).UTC().Format(protocol.TimeLayout)
}

// matches tells whether a pattern means a type: the type itself, all of a
// group, as in order.*, or everything.
func matches(pattern, kind string) bool {
	group, all := strings.CutSuffix(pattern, "*")
	return pattern == kind || all && strings.HasPrefix(kind, group)
}

// wants tells whether the endpoint is sent messages of a type.
func (e *endpoint) wants(kind string) bool {
	return slices.ContainsFunc(e.Events, func(p string) bool { return matches(p, kind) })
}

// checkEvents refuses patterns that mean no type of message, so that no
// misspelt one is silently without effect.
func checkEvents(patterns, types []string) error {
	if len(patterns) == 0 || len(patterns) > patternsMax {
		return protocol.OutOfRange("events", "", fmt.Sprintf("not a list of 1 to %d types, such as order.*", patternsMax))
	}
	for i, p := range patterns {
		group, all := strings.CutSuffix(p, "*")
		whole := !all || group == "" || strings.HasSuffix(group, ".")
		if !whole || !slices.ContainsFunc(types, func(kind string) bool { return matches(p, kind) }) {
			return protocol.OutOfRange("events", "", "not a type of message, nor one of order.*, stock.*, exception.* and *").With("line", i+1)
		}
		if slices.Contains(patterns[:i], p) {
			return protocol.OutOfRange("events", "", "named twice").With("line", i+1)
		}
	}
	return nil
}
