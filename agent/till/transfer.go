package till

import (
	"context"

	"counterpart/protocol/ledger"
	"counterpart/protocol/stock"
)

// Transfers lists goods on their way to this store and from it, of one state or
// of any, behind one and at most limit.
func (t *Till) Transfers(ctx context.Context, state string, limit int, after string) (docs []stock.TransferDocument, next *string, err error) {
	err = t.o.Driver.View(ctx, func(r ledger.Reader) error {
		docs, next, err = ledger.TransferPage(r, t.origin().Store, state, after, limit)
		return err
	})
	return docs, next, err
}

// transferWarning says what staff should know of the transfer that a movement
// belongs to, where it is not as sent.
func transferWarning(r ledger.Reader, at ledger.TransferAt) ([]stock.MovementWarning, error) {
	t, _, err := ledger.ReadTransfer(r, at)
	if err != nil {
		return nil, err
	}
	var warnings []stock.MovementWarning
	for _, kind := range stock.TransferBroken {
		if len(t.Broken()[kind]) > 0 {
			e := ledger.Exception{Kind: kind}
			warnings = append(warnings, stock.MovementWarning{Code: kind, Message: e.Detail()})
		}
	}
	return warnings, nil
}
