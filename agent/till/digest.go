package till

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"

	"counterpart/protocol"
	"counterpart/protocol/ledger"
)

// noteDigest is where the last digest is logged: inc and number.
const noteDigest = "digest"

// LogDigest logs what this machine makes of its own events, for the hub to
// compare, if it has logged anything since the last time.
func (t *Till) LogDigest(ctx context.Context) error {
	now, mono, as, appended := t.o.Now(), t.o.Mono(), t.present.Load(), false
	err := t.o.Driver.Update(ctx, func(tx ledger.Tx) error {
		appended = false
		if err := as.check(tx); err != nil {
			return err
		}
		stream, err := ledger.ReadStream(tx, as.origin)
		if err != nil {
			return err
		}
		last, err := ledger.Note(tx, noteDigest)
		if err != nil || stream.Seq == 0 || bytes.Equal(last, position(as.origin.Inc, stream.Seq)) {
			return err
		}
		digest, err := ledger.Digest(tx, as.origin)
		if err != nil || digest == nil {
			return err
		}
		shop, err := t.readShop(tx)
		if err != nil {
			return err
		}
		a := &act{desk: desk{Till: t, as: as, r: tx, now: now, shop: shop}, tx: tx, mono: mono}
		if err := a.log(&protocol.Event{Kind: protocol.KindDigest, Digest: digest}); err != nil {
			return err
		}
		appended = true
		return ledger.SetNote(tx, position(a.logged.Inc, a.logged.Seq), noteDigest)
	})
	switch {
	case errors.Is(err, errForked):
		return t.Refresh(ctx)
	case err != nil:
		return err
	case appended:
		t.o.Appended()
	}
	return nil
}

func position(inc protocol.Inc, seq protocol.Seq) []byte {
	return binary.BigEndian.AppendUint64(inc[:], uint64(seq))
}
