package hub

import (
	"context"
	"encoding/binary"
	"fmt"
	"strconv"
	"strings"
	"time"

	"counterpart/protocol"
	"counterpart/protocol/ledger"
)

const (
	// orderKeysKept is how long whom an order is for can be read after the last order
	// of its day was over, in running time.
	orderKeysKept = 30 * 24 * time.Hour
	// orderKeysEvery is how often the secrets are looked through.
	orderKeysEvery = 12 * time.Hour
	// noteOrderSecret rows say when an order was last open whose key follows from a
	// secret.
	noteOrderSecret = "order_secret"
	// orderSecretsAtOnce bounds how many secrets one look goes through: years of them.
	orderSecretsAtOnce = 10_000
)

// forgetOrders deletes the secrets of days of which no order was open for long, and
// with them whom those orders were for. Nothing is logged about it: it is no loss of
// the chain's, and who asks finds the fields closed.
func (h *Hub) forgetOrders(ctx context.Context) error {
	now := h.running()
	if h.keys == nil || h.keys.Locked() || now-h.ordersLooked < orderKeysEvery {
		return nil
	}
	h.ordersLooked = now
	names, err := h.keys.Secrets(ctx, orderSecretName, "", orderSecretsAtOnce)
	if err != nil || len(names) == 0 {
		return err
	}
	var rows []ledger.Row
	var old []string
	err = h.view(ctx, func(r ledger.Reader) error {
		rows, old = nil, nil
		inUse, err := openSecrets(r)
		if err != nil {
			return err
		}
		inUse[h.secretOfNow()] = true
		for _, name := range names {
			with, err := strconv.ParseUint(strings.TrimPrefix(name, orderSecretName), 10, 32)
			if err != nil {
				return fmt.Errorf("secret %q: %w", name, err)
			}
			b, err := ledger.Note(r, noteOrderSecret, name)
			if err != nil {
				return err
			}
			switch {
			case len(b) != 8 || inUse[uint32(with)]:
				rows = append(rows, ledger.NoteRow(binary.BigEndian.AppendUint64(nil, uint64(now)), noteOrderSecret, name))
			case now-time.Duration(binary.BigEndian.Uint64(b)) >= orderKeysKept:
				old = append(old, name)
				rows = append(rows, ledger.NoteRow(nil, noteOrderSecret, name))
			}
		}
		return nil
	})
	if err == nil {
		err = h.dropOrderSecrets(ctx, old)
	}
	if err != nil || len(rows) == 0 {
		return err
	}
	return h.driver.Update(ctx, func(tx ledger.Tx) error { return tx.Write(rows) })
}

// openSecrets are those from which the keys of open orders follow.
func openSecrets(r ledger.Reader) (map[uint32]bool, error) {
	inUse := map[uint32]bool{}
	return inUse, ledger.ScanStores(r, func(store *protocol.StoreRecord) (bool, error) {
		open, err := openParts(r, store.ID)
		if err != nil {
			return false, err
		}
		for _, p := range open {
			part, err := ledger.ReadPart(r, store.ID, p.id)
			if err != nil {
				return false, err
			}
			if o, _ := part.Order(); o != nil {
				inUse[o.SealedWith] = true
			}
		}
		return true, nil
	})
}

func (h *Hub) dropOrderSecrets(ctx context.Context, names []string) error {
	h.sealing.mu.Lock()
	defer h.sealing.mu.Unlock()
	if len(names) > 0 {
		clear(h.sealing.known)
	}
	return h.keys.DropSecrets(ctx, names)
}
