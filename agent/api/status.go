package api

import (
	"counterpart/protocol"
	"counterpart/protocol/ledger"
	"counterpart/protocol/pickup"
)

// Status is the document of GET /v1/status and of status events. Pointers are
// null while nothing is known. Times are RFC 3339 with the store's offset.
type Status struct {
	Agent        protocol.AgentID `json:"agent"`
	Store        protocol.StoreID `json:"store"`
	Version      string           `json:"version"`
	Protocol     int              `json:"protocol"`
	Primary      bool             `json:"primary"`
	Currency     *string          `json:"currency"`
	BusinessDate *string          `json:"business_date"`
	Link         Link             `json:"link"`
	Stream       Stream           `json:"stream"`
	Feeds        []Feed           `json:"feeds"`
	Clock        Clock            `json:"clock"`
	Disk         Disk             `json:"disk"`
	DeadLetters  uint64           `json:"dead_letters"`
}

// Link is the agent's connection with the hub. State is one of online,
// connecting, offline, fenced and unprovisioned; Cause is null or one of
// no_route, dns, refused, timeout, tls, auth, hub_error, version,
// unknown_store and duplicate_identity.
type Link struct {
	State string  `json:"state"`
	Cause *string `json:"cause"`
	Since string  `json:"since"`
}

// Stream is the agent's own log: what is in it, what the hub has committed of
// it and what is also in the hub's second copy. Pending is LastSeq − AckSeq.
type Stream struct {
	Inc             string       `json:"inc"`
	LastSeq         protocol.Seq `json:"last_seq"`
	AckSeq          protocol.Seq `json:"ack_seq"`
	SafeSeq         protocol.Seq `json:"safe_seq"`
	Pending         uint64       `json:"pending"`
	OldestPendingAt *string      `json:"oldest_pending_at"`
}

// Feed is how far the agent has followed one feed. State is one of waiting,
// snapshot and tail.
type Feed struct {
	Feed   string `json:"feed"`
	Epoch  string `json:"epoch"`
	Offset uint64 `json:"offset"`
	State  string `json:"state"`
	Behind uint64 `json:"behind"`
}

// Clock is how far the machine's clock is from the hub's.
type Clock struct {
	OffsetMs *int64 `json:"offset_ms"`
}

// Disk is the room for the log. State is one of ok, trim, low, reserve and
// full.
type Disk struct {
	State     string `json:"state"`
	FreeBytes uint64 `json:"free_bytes"`
	DataBytes uint64 `json:"data_bytes"`
}

// Exception is a row of GET /v1/exceptions: something that a person has to
// resolve.
type Exception = ledger.ExceptionDocument

// ChangedOrders are orders that others changed, as they are now.
type ChangedOrders struct {
	Orders []pickup.Document
	At     string // the position behind them
	More   bool   // there are others behind it
}

// Event is one event of the agent's own stream as GET /v1/events shows it.
// Name is one of sale, return, void, movement, order and day. An event without
// a name is not shown, but moves the reader on. Two documents of one event have
// its number both.
type Event struct {
	Seq  protocol.Seq
	Name string
	Data []byte // its document
}
