package ledger

import (
	"fmt"

	"counterpart/protocol"

	"google.golang.org/protobuf/encoding/protowire"
)

// A receipts is the row of all receipts whose numbers differ in their last digit
// only. A till numbers its receipts one after the other, so that of ten sales
// one makes a new row, and a batch puts a tenth of the rows.
type receipts struct {
	slots [receiptSlots]receiptSlot
}

// receiptSlots are one for each digit, and one for a number that ends in none.
const receiptSlots = 11

// receiptSlot is a receipt as it is stored, or decoded once it was asked for.
type receiptSlot struct {
	raw     []byte
	receipt *Receipt
}

const receiptsPrefix = "receipts" + sep

// receiptPlace is the row of a receipt number and the slot in it.
func receiptPlace(no protocol.ReceiptNo) (Key, int) {
	stem, slot := receiptStem(no)
	return Key{States, receiptsPrefix + stem}, slot
}

// receiptsKey is the row of a receipt number. That of the number before is
// mostly the same.
func (f *fold) receiptsKey(no protocol.ReceiptNo) Key {
	if stem, _ := receiptStem(no); f.receipts.ID == "" || f.receipts.ID[len(receiptsPrefix):] != stem {
		f.receipts, _ = receiptPlace(no)
	}
	return f.receipts
}

func receiptStem(no protocol.ReceiptNo) (stem string, slot int) {
	last := len(no) - 1
	if last < 0 || no[last] < '0' || no[last] > '9' {
		return string(no), receiptSlots - 1
	}
	return string(no[:last]), int(no[last] - '0')
}

// at decodes a receipt on first use.
func (r *receipts) at(slot int) (*Receipt, error) {
	s := &r.slots[slot]
	if s.receipt == nil {
		var err error
		if s.receipt, err = decodeReceipt(s.raw); err != nil {
			s.receipt = nil
			return nil, err
		}
	}
	return s.receipt, nil
}

// Encode writes the row: each receipt under the number of its slot.
func (r *receipts) Encode() []byte {
	var f fields
	for i := range r.slots {
		s := &r.slots[i]
		if s.receipt != nil {
			s.raw = s.receipt.Encode()
		}
		if len(s.raw) > 0 {
			if f == nil {
				f = make(fields, 0, 8+2*len(s.raw)*(len(r.slots)-i))
			}
			f.element(protowire.Number(i+1), s.raw)
		}
	}
	return f
}

func decodeReceipts(b []byte) (*receipts, error) {
	r := &receipts{}
	return r, decodeFields("receipts", b, func(num protowire.Number, v value) error {
		if num >= 1 && int(num) <= len(r.slots) {
			r.slots[num-1].raw = v.data
		}
		return nil
	})
}

// receipt finds a receipt that the caller is about to change in the row of key,
// which was loaded.
func (s *set) receipt(key Key, no protocol.ReceiptNo) (*Receipt, error) {
	_, slot := receiptStem(no)
	row, err := change(s, key, decodeReceipts)
	if err != nil {
		return nil, err
	}
	receipt, err := row.at(slot)
	if err != nil {
		err = fmt.Errorf("row %q: %w", key.ID, err)
	}
	return receipt, err
}

// ReadReceipt reads what is known of a receipt number.
func ReadReceipt(r Reader, no protocol.ReceiptNo) (*Receipt, error) {
	key, slot := receiptPlace(no)
	values, err := r.Load([]Key{key})
	if err != nil {
		return nil, err
	}
	row, err := decodeReceipts(values[0])
	if err != nil {
		return nil, err
	}
	return row.at(slot)
}
