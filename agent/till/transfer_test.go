package till_test

import (
	"context"
	"testing"

	"counterpart/protocol"
	"counterpart/protocol/stock"
)

func (s *shopTest) transfers(state string) []stock.TransferDocument {
	s.t.Helper()
	docs, _, err := s.till.Transfers(context.Background(), state, 10, "")
	if err != nil {
		s.t.Fatal(err)
	}
	return docs
}

// TestTransferAtTheStore: staff see what left and what is on its way, receive it
// in parts, and are told where it differs; nothing that came is refused.
func TestTransferAtTheStore(t *testing.T) {
	eachDriver(t, func(t *testing.T, s *shopTest) {
		s.receive("PEN-01", 10)
		out := s.move(`{"type":"transfer_out","to_store":"s2","reference":"van 3","lines":[{"code":"PEN-01","qty":4}]}`)
		if sent := s.transfers("sent"); len(sent) != 1 || sent[0].ID != *out.TransferID || *sent[0].ToStore != "s2" || *sent[0].Reference != "van 3" || sent[0].Lines[0].Sent != 4000 || *sent[0].Lines[0].Name != "Pen" {
			t.Errorf("sent: %+v", sent)
		}
		s.hubLogs(hubOrigin, &protocol.Event{
			Kind: protocol.KindTransfer, Moves: []protocol.Move{{SKU: "CUP", State: protocol.Incoming, Delta: 12_000}},
			Transfer: &protocol.Transfer{ID: "in-1", From: "s3", Change: protocol.TransferSent, Lines: []protocol.TransferLine{{Item: protocol.ItemRef{SKU: "CUP"}, Quantity: 12_000}}},
		})
		if open := s.transfers("open"); len(open) != 1 || *open[0].FromStore != "s3" || open[0].Lines[0].Incoming != 12_000 {
			t.Errorf("open: %+v", open)
		}
		part := s.move(`{"type":"transfer_in","transfer_id":"in-1","lines":[{"code":"CUP","qty":5}]}`)
		if len(part.Warnings) != 1 || part.Warnings[0].Code != stock.TransferDiffers {
			t.Errorf("a part came: %+v", part.Warnings)
		}
		rest := s.move(`{"type":"transfer_in","transfer_id":"in-1","lines":[{"code":"CUP","qty":7}]}`)
		if level := s.level("CUP"); len(rest.Warnings) != 0 || level.Quantity(protocol.Incoming) != 0 || level.OnHand() != 12_000 || len(s.work()) != 0 {
			t.Errorf("all came: %+v, %+v, %+v", rest.Warnings, level, s.work())
		}
		unknown := s.move(`{"type":"transfer_in","transfer_id":"in-2","lines":[{"code":"CUP","qty":1}]}`)
		if len(unknown.Warnings) != 1 || unknown.Warnings[0].Code != stock.TransferUnknown || s.level("CUP").OnHand() != 13_000 {
			t.Errorf("nobody sent it: %+v", unknown.Warnings)
		}
		none := s.move(`{"type":"transfer_in","transfer_id":"in-3","lines":[{"code":"CUP","qty":0}]}`)
		if s.level("CUP").OnHand() != 13_000 || len(none.Warnings) != 1 {
			t.Errorf("nothing came: %+v", none.Warnings)
		}
		docs, next, err := s.till.Transfers(context.Background(), "", 2, "")
		if err != nil || len(docs) != 2 || next == nil {
			t.Fatalf("%+v, %v, %v", docs, next, err)
		}
		if more, last, err := s.till.Transfers(context.Background(), "", 2, *next); err != nil || len(more) != 2 || last != nil || more[0].ID <= docs[1].ID {
			t.Errorf("the following page is %+v, %v, %v", more, last, err)
		}
		_, _, err = s.till.Transfers(context.Background(), "", 2, "no page")
		wantCode(t, err, protocol.OutOfRangeCode)
		s.verify()
	})
}
