package till

import (
	"context"
	"net/http"

	"counterpart/protocol"
	"counterpart/protocol/ledger"
	"counterpart/protocol/loyalty"
)

// Said is where what somebody said is logged: the kept answer to a contact. What it
// was is kept nowhere but sealed.
type Said struct {
	Entry string `json:"entry"`
}

// WriteContact logs what was said to or by a member; the answer is a Said. One that
// closes an entry is refused where that is not open, or is not of this store.
func (t *Till) WriteContact(ctx context.Context, c protocol.Call, contact *protocol.Contact) (protocol.Answer, error) {
	return t.do(ctx, c, nil, func(a *act) (outcome, error) {
		if !contact.Closes.IsZero() {
			at := ledger.MemberAt{Store: a.origin().Store, Member: contact.Member}
			e, err := ledger.ReadTimelineEntry(a.tx, at, loyalty.EntryID{AtMs: contact.ClosesAtMs, Event: contact.Closes})
			if err == nil && e == nil {
				err = protocol.Refuse(protocol.NotFound, "This store has no such entry. Nothing was recorded. Look at the timeline.")
			}
			if err == nil {
				err = e.MayClose()
			}
			if err != nil {
				return outcome{}, err
			}
		}
		if err := a.log(&protocol.Event{Kind: protocol.KindContact, Contact: contact}); err != nil {
			return outcome{}, err
		}
		return outcome{http.StatusCreated, Said{loyalty.EntryID{AtMs: a.now.UnixMilli(), Event: a.logged}.String()}}, nil
	})
}
