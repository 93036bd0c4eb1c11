package ledger

import (
	"encoding/hex"
	"encoding/json"
	"fmt"

	"counterpart/protocol"
)

// Identity is who writes a machine's own stream: which log, under which receipt
// series, and where it came from. It belongs to the machine and is no event.
type Identity struct {
	Inc    protocol.Inc
	Series string // of receipt numbers; no two streams of an agent share one
	Boot   uint32 // how often the process has started
	// Cause says why the stream was begun anew; empty for a first stream.
	Cause ForkCause
	// Parent is the stream that this one goes on from, and its last event; zero
	// for a first stream and for a replacement of a machine that is lost.
	Parent protocol.StreamPos
	// Sealed are earlier streams whose events above Safe are not yet all logged
	// again in Inc.
	Sealed []Sealed
}

// Sealed is a stream that nobody writes any more, on its way to being cut back
// to what the hub has safely.
type Sealed struct {
	Inc  protocol.Inc
	Safe protocol.Seq // the last event that stays where it is
	Next protocol.Seq // the next event to log again
}

// ForkCause says why a stream was begun anew.
type ForkCause string

// The causes.
const (
	CauseRestore ForkCause = "restore" // the database was restored from a copy
	CauseReplace ForkCause = "replace" // the machine stands in for one that is lost
	CauseWitness ForkCause = "witness" // the database is older than its witness, or on another machine
	CauseHub     ForkCause = "hub"     // the hub holds other events of the stream
)

const (
	identityNote = "identity"
	writerNote   = "writer"
	// FirstSeries is the receipt series of a stream that was not forked.
	FirstSeries = "1"
)

// forkSeries makes the receipt series of a forked stream from its inc, so that
// copies that fork apart never print one number.
func forkSeries(inc protocol.Inc) string { return "F" + hex.EncodeToString(inc[:4]) }

type identityRow struct {
	Inc       string       `json:"inc"`
	Series    string       `json:"series"`
	Boot      uint32       `json:"boot"`
	Cause     ForkCause    `json:"cause,omitempty"`
	ParentInc string       `json:"parent_inc,omitempty"`
	ParentSeq protocol.Seq `json:"parent_seq,omitempty"`
	Sealed    []sealedRow  `json:"sealed,omitempty"`
}

type sealedRow struct {
	Inc  string       `json:"inc"`
	Safe protocol.Seq `json:"safe"`
	Next protocol.Seq `json:"next"`
}

// ReadIdentity reads who writes this machine's stream; nil where nobody did
// yet.
func ReadIdentity(r Reader) (*Identity, error) {
	b, err := Note(r, identityNote)
	if err != nil || b == nil {
		return nil, err
	}
	id, err := decodeIdentity(b)
	if err != nil {
		return nil, fmt.Errorf("identity: %w", err)
	}
	return id, nil
}

func decodeIdentity(b []byte) (*Identity, error) {
	var row identityRow
	if err := json.Unmarshal(b, &row); err != nil {
		return nil, err
	}
	id := &Identity{Series: row.Series, Boot: row.Boot, Cause: row.Cause}
	var err error
	if id.Inc, err = protocol.ParseInc(row.Inc); err != nil {
		return nil, err
	}
	if row.ParentInc != "" {
		id.Parent.Seq = row.ParentSeq
		if id.Parent.Inc, err = protocol.ParseInc(row.ParentInc); err != nil {
			return nil, err
		}
	}
	for _, s := range row.Sealed {
		inc, err := protocol.ParseInc(s.Inc)
		if err != nil {
			return nil, err
		}
		id.Sealed = append(id.Sealed, Sealed{Inc: inc, Safe: s.Safe, Next: s.Next})
	}
	return id, nil
}

func writeIdentity(tx Tx, id *Identity) error {
	row := identityRow{Inc: id.Inc.String(), Series: id.Series, Boot: id.Boot, Cause: id.Cause}
	if !id.Parent.Inc.IsZero() {
		row.ParentInc, row.ParentSeq = id.Parent.Inc.String(), id.Parent.Seq
	}
	for _, s := range id.Sealed {
		row.Sealed = append(row.Sealed, sealedRow{Inc: s.Inc.String(), Safe: s.Safe, Next: s.Next})
	}
	b, err := json.Marshal(row)
	if err != nil {
		return err
	}
	if err := SetNote(tx, id.Inc[:], writerNote); err != nil {
		return err
	}
	return SetNote(tx, b, identityNote)
}

// Writer is the inc of the present identity, at the cost of one small row. It
// is zero before the first start.
func Writer(r Reader) (inc protocol.Inc, err error) {
	b, err := Note(r, writerNote)
	copy(inc[:], b)
	return inc, err
}

// StartIdentity counts a start of the process. The first start of a database
// makes its identity: fresh is 128 random bits, and cause is CauseReplace for a
// machine that stands in for another, else empty.
func StartIdentity(tx Tx, fresh protocol.Inc, cause ForkCause) (*Identity, error) {
	id, err := ReadIdentity(tx)
	if err != nil {
		return nil, err
	}
	if id == nil {
		id = &Identity{Inc: fresh, Series: FirstSeries, Cause: cause}
		if cause != "" {
			id.Series = forkSeries(fresh)
		}
	}
	id.Boot++
	return id, writeIdentity(tx, id)
}
