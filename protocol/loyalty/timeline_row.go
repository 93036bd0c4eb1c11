package loyalty

import (
	"fmt"
	"strconv"
	"strings"

	"counterpart/protocol"

	"google.golang.org/protobuf/encoding/protowire"
)

// atDigits is the length of a time in an entry's id: hexadecimal, and smaller the
// later it is, so that the newest entry comes first.
const atDigits = 16

// String is the id as it stands in rows, documents and paths.
func (id EntryID) String() string {
	return fmt.Sprintf("%0*x-%s", atDigits, ^(uint64(id.AtMs) ^ 1<<63), id.Event)
}

// ParseEntryID reads what String writes.
func ParseEntryID(s string) (id EntryID, err error) {
	at, event, ok := strings.Cut(s, "-")
	n, err := strconv.ParseUint(at, 16, 64)
	if !ok || err != nil || len(at) != atDigits || strings.ToLower(at) != at {
		return id, fmt.Errorf("entry id %q has no time", s)
	}
	id.AtMs = int64(^n ^ 1<<63)
	id.Event, err = protocol.ParseEventID(event)
	return id, err
}

// The fields of an entry.
const (
	entryKind protowire.Number = iota + 1
	entryChannel
	entrySealed
	entryReference
	entryStaff
	entryCurrency
	entryOpen
	entryAmount
	entryPoints
	entryEarned
)

// Encode writes the entry; the same entry always gives the same bytes.
func (e *Entry) Encode() (b []byte) {
	for _, f := range []struct {
		num  protowire.Number
		text string
	}{
		{entryKind, e.Kind}, {entryChannel, e.Channel}, {entrySealed, string(e.Sealed)}, {entryReference, e.Reference}, {entryStaff, string(e.Staff)}, {entryCurrency, e.Currency},
	} {
		if f.text != "" {
			b = protowire.AppendString(protowire.AppendTag(b, f.num, protowire.BytesType), f.text)
		}
	}
	for _, f := range []struct {
		num protowire.Number
		n   int64
	}{{entryOpen, int64(protowire.EncodeBool(e.Open))}, {entryAmount, int64(e.Amount)}, {entryPoints, int64(e.Points)}, {entryEarned, int64(e.Earned)}} {
		if f.n != 0 {
			b = protowire.AppendVarint(protowire.AppendTag(b, f.num, protowire.VarintType), protowire.EncodeZigZag(f.n))
		}
	}
	return b
}

// DecodeEntry reads what Encode wrote; fields of later versions are skipped.
func DecodeEntry(b []byte) (*Entry, error) {
	e := &Entry{}
	for len(b) > 0 {
		num, typ, n := protowire.ConsumeTag(b)
		if n < 0 {
			return nil, fmt.Errorf("entry: %w", protowire.ParseError(n))
		}
		b = b[n:]
		var text string
		var v uint64
		switch typ {
		case protowire.BytesType:
			text, n = protowire.ConsumeString(b)
		case protowire.VarintType:
			v, n = protowire.ConsumeVarint(b)
		default:
			n = protowire.ConsumeFieldValue(num, typ, b)
		}
		if n < 0 {
			return nil, fmt.Errorf("entry: %w", protowire.ParseError(n))
		}
		b = b[n:]
		e.set(num, text, protowire.DecodeZigZag(v))
	}
	return e, nil
}

func (e *Entry) set(num protowire.Number, text string, n int64) {
	switch num {
	case entryKind:
		e.Kind = text
	case entryChannel:
		e.Channel = text
	case entrySealed:
		e.Sealed = []byte(text)
	case entryReference:
		e.Reference = text
	case entryStaff:
		e.Staff = protocol.StaffID(text)
	case entryCurrency:
		e.Currency = text
	case entryOpen:
		e.Open = n != 0
	case entryAmount:
		e.Amount = protocol.Money(n)
	case entryPoints:
		e.Points = protocol.Points(n)
	case entryEarned:
		e.Earned = protocol.Points(n)
	}
}
