package ledger

import (
	"bytes"
	"testing"

	"counterpart/protocol"
	"counterpart/protocol/pickup"
	"counterpart/protocol/stock"
)

// rowDecoders are the decoders of everything that the ledger stores.
var rowDecoders = map[string]func([]byte) (aggregate, error){
	"stream":    func(b []byte) (aggregate, error) { return decodeStream(b) },
	"receipt":   func(b []byte) (aggregate, error) { return decodeReceipt(b) },
	"load":      func(b []byte) (aggregate, error) { return decodeLoad(b) },
	"reference": func(b []byte) (aggregate, error) { return decodeReference(b) },
	"feed head": func(b []byte) (aggregate, error) { return decodeFeedHead(b) },
	"code":      func(b []byte) (aggregate, error) { return decodeCodeOwners(b) },
	"peer row":  func(b []byte) (aggregate, error) { return decodePeerRow(b) },
	"cursor":    func(b []byte) (aggregate, error) { return decodeCursor(b) },
	"event ids": func(b []byte) (aggregate, error) { return decodeIDSet(b) },
	"bodies":    func(b []byte) (aggregate, error) { return decodeBodies(b) },
	"transfer":  func(b []byte) (aggregate, error) { return stock.DecodeTransfer(b) },
	"returned":  func(b []byte) (aggregate, error) { return pickup.DecodeReturns(b) },
	"handling":  func(b []byte) (aggregate, error) { return decodeHandling(b) },
}

// FuzzRows demands that no stored row, however damaged, makes a decoder panic,
// and that what is read is written and read again as the same.
func FuzzRows(f *testing.F) {
	s := Stream{Seq: 7, registers: []register{{till: "1", series: "1", last: 3}}}
	f.Add(s.Encode())
	r := Receipt{Store: "s1", Agent: "a1", Event: protocol.EventID{Inc: protocol.Inc{1}, Seq: 2}, Type: protocol.SaleSale, Sold: []protocol.Quantity{1000}, Returned: []protocol.Quantity{500}}
	f.Add(r.Encode())
	l := Load{Total: 5, Applied: 2, Agent: "a1", Parts: []LoadPart{{First: 1, Event: protocol.EventID{Inc: protocol.Inc{1}, Seq: 2}}}}
	f.Add(l.Encode())
	f.Add(bytes.Repeat([]byte{0x0a, 0x02, 0x08, 0x01}, 4))
	f.Fuzz(func(t *testing.T, b []byte) {
		for what, decode := range rowDecoders {
			row, err := decode(b)
			if err != nil {
				continue
			}
			once := row.Encode()
			again, err := decode(once)
			if err != nil || !bytes.Equal(again.Encode(), once) {
				t.Errorf("%s %x: written as %x, then %v, %v", what, b, once, again, err)
			}
		}
		if _, err := decodeException("exception\x00kind\x00subject", b); err != nil {
			return
		}
	})
}
