package hub

import (
	"context"
	"time"

	"counterpart/protocol/ledger"
)

// Mark is how far a database of the hub has come. It grows with each start and each
// event that the hub logs of its own, so of two copies of one database the one with
// the smaller mark lacks something that the hub has said since, whoever heard it.
type Mark struct {
	Identity Identity `json:"identity"`
	Epoch    uint64   `json:"epoch"`
	Count    uint64   `json:"count"`
}

const noteMark = "mark"

// ReadMark reads how far a database has come.
func ReadMark(r ledger.Reader) (m Mark, err error) {
	if m.Identity, m.Epoch, err = Life(r); err == nil {
		m.Count, err = counter(r, noteMark)
	}
	return m, err
}

// before tells whether the mark is that of an older copy of the same database.
func (m Mark) before(seen Mark) bool {
	return m.Identity == seen.Identity && (m.Epoch < seen.Epoch || m.Epoch == seen.Epoch && m.Count < seen.Count)
}

// countMark counts a start, or an event of the hub's own.
func countMark(tx ledger.Tx) error {
	n, err := counter(tx, noteMark)
	if err != nil {
		return err
	}
	return setCounter(tx, noteMark, n+1)
}

// RenewIfOlder begins another epoch in a database that lacks what was seen of it:
// somebody put an older copy in its place without the command restore. It is called
// before New.
func RenewIfOlder(ctx context.Context, d ledger.Driver, seen Mark, now time.Time) (older bool, err error) {
	err = d.Update(ctx, func(tx ledger.Tx) error {
		m, err := ReadMark(tx)
		if older = m.before(seen); !older || err != nil {
			return err
		}
		accepted, err := GapsAccepted(tx)
		if err != nil {
			return err
		}
		_, err = Renew(tx, Renewal{Identity: m.Identity, Above: seen.Epoch, Now: now, AcceptGaps: accepted})
		return err
	})
	return older, err
}
