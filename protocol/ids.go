package protocol

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"strconv"
	"strings"
)

// Identifiers of ours match [A-Za-z0-9_-]{1,64}; they are safe in topics,
// paths and file names. A SKU is free text and never part of a topic.
type (
	StoreID  string
	AgentID  string
	TillID   string // [A-Za-z0-9_]{1,16}, so that it may stand in a receipt number
	StaffID  string
	MemberID string
	ZoneID   string
	SKU      string // up to 64 bytes of UTF-8 without control characters, case-sensitive
)

// HubAgent is the agent identifier under which the hub writes its own streams.
// No store machine may use it.
const HubAgent AgentID = "hub"

// ChainStore is the store of the hub's chain-wide stream (catalogue, prices,
// taxes, store records). It is empty, which no real store identifier can be.
const ChainStore StoreID = ""

// ValidID tells whether s is an identifier of ours.
func ValidID(s string) bool {
	if len(s) == 0 || len(s) > 64 {
		return false
	}
	for i := range len(s) {
		c := s[i]
		if !(c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '_' || c == '-') {
			return false
		}
	}
	return true
}

// ValidTill tells whether s may name a till or a receipt series.
func ValidTill(s string) bool {
	return len(s) <= 16 && ValidID(s) && !strings.Contains(s, "-")
}

// ValidSKU tells whether s may be a SKU.
func ValidSKU(s string) bool { return ValidText(s, 64) && s != "" }

// Inc names one incarnation of a log: 128 random bits made when the log is
// created or forked. Two logs never share one.
type Inc [16]byte

func (i Inc) String() string { return hex.EncodeToString(i[:]) }

// IsZero tells whether i was never set.
func (i Inc) IsZero() bool { return i == Inc{} }

// ParseInc reads the 32 hexadecimal digits that String writes.
func ParseInc(s string) (Inc, error) {
	var i Inc
	b, err := hex.DecodeString(s)
	if err != nil || len(b) != len(i) {
		return i, fmt.Errorf("inc %q is not 32 hexadecimal digits", s)
	}
	copy(i[:], b)
	return i, nil
}

// Seq numbers the events of one stream, gapless from 1; 0 means none.
type Seq uint64

// EventID names an event once and for ever: the stream and the number under
// which it was first logged.
type EventID struct {
	Inc Inc
	Seq Seq
}

func (id EventID) String() string {
	return id.Inc.String() + "-" + strconv.FormatUint(uint64(id.Seq), 10)
}

// ParseEventID reads the text that String writes.
func ParseEventID(s string) (id EventID, err error) {
	inc, seq, _ := strings.Cut(s, "-")
	if id.Inc, err = ParseInc(inc); err != nil {
		return EventID{}, err
	}
	n, err := strconv.ParseUint(seq, 10, 64)
	if err != nil || n == 0 || strconv.FormatUint(n, 10) != seq {
		return EventID{}, fmt.Errorf("event id %q has no number", s)
	}
	id.Seq = Seq(n)
	return id, nil
}

// IsZero tells whether id was never set.
func (id EventID) IsZero() bool { return id == EventID{} }

// Hash is the head of a hash chain: SHA-256 over the previous hash and an
// event's bytes.
type Hash [sha256.Size]byte

func (h Hash) String() string { return hex.EncodeToString(h[:]) }

// Origin says whose stream it is. It is fixed for the life of a stream and is
// bound into the first hash, so that events cannot be moved to another stream.
type Origin struct {
	Store StoreID
	Agent AgentID
	Inc   Inc
}

// Genesis is the hash before the first event of the stream.
func (o Origin) Genesis() Hash {
	return sha256.Sum256([]byte("counterpart/1\n" + string(o.Store) + "\n" + string(o.Agent) + "\n" + o.Inc.String() + "\n"))
}

// ReceiptNo is {agent}-{till}-{series}-{n}, with n gapless from 1 in its
// series. A new stream opens a new series, so a number is never printed twice.
type ReceiptNo string

// NewReceiptNo composes a receipt number.
func NewReceiptNo(agent AgentID, till TillID, series string, n uint64) ReceiptNo {
	return ReceiptNo(string(agent) + "-" + string(till) + "-" + series + "-" + strconv.FormatUint(n, 10))
}
