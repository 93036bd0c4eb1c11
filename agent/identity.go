package agent

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"fmt"

	"counterpart/protocol"
	"counterpart/protocol/ledger"
)

// identity is who writes this database's own stream. It is made once, with the
// database, and counts the starts.
type identity struct {
	Inc    string `json:"inc"`
	Series string `json:"series"` // of receipt numbers; a new stream opens a new one
	Boot   uint32 `json:"boot"`
}

const (
	identityNote = "identity"
	firstSeries  = "1"
)

// start reads the identity, making it at the first start, and counts this one.
func start(ctx context.Context, d ledger.Driver) (id identity, inc protocol.Inc, err error) {
	var fresh protocol.Inc
	if _, err := rand.Read(fresh[:]); err != nil {
		return id, inc, err
	}
	err = d.Update(ctx, func(tx ledger.Tx) error {
		b, err := ledger.Note(tx, identityNote)
		if err != nil {
			return err
		}
		id = identity{Inc: fresh.String(), Series: firstSeries}
		if b != nil {
			if err := json.Unmarshal(b, &id); err != nil {
				return fmt.Errorf("identity: %w", err)
			}
		}
		if inc, err = protocol.ParseInc(id.Inc); err != nil {
			return err
		}
		id.Boot++
		if b, err = json.Marshal(id); err != nil {
			return err
		}
		return ledger.SetNote(tx, b, identityNote)
	})
	return id, inc, err
}
