package hub

import (
	"errors"

	"counterpart/protocol"
	"counterpart/protocol/gtin"
	"counterpart/protocol/ledger"
)

// errAmbiguous is returned where a code belongs to several items.
var errAmbiguous = errors.New("several items carry the code")

// codeBytesMax bounds what is looked up as a code; no scanner sends more.
const codeBytesMax = 2048

// owner finds the item that a code names: an exact SKU first, then a code as it
// is stored, then any scanned form of a GTIN. ok is false where nothing is
// found. An ambiguous code comes with its candidates.
func owner(r ledger.Reader, code string) (o ledger.CodeOwner, ok bool, err error) {
	if len(code) > codeBytesMax {
		return o, false, nil
	}
	if protocol.ValidSKU(code) {
		item, err := ledger.ReadItem(r, protocol.SKU(code))
		if err != nil || item != nil {
			return ledger.CodeOwner{SKU: protocol.SKU(code), Multiplier: 1000}, item != nil, err
		}
	}
	var found []ledger.CodeOwner
	tried := map[string]bool{}
	try := func(form string) error {
		if tried[form] || form == "" {
			return nil
		}
		tried[form] = true
		owners, err := ledger.ReadCode(r, form)
		found = append(found, owners...)
		return err
	}
	if err := try(code); err != nil {
		return o, false, err
	}
	if candidates, err := gtin.Scan(code); err == nil {
		for _, c := range candidates {
			if err := try(string(c.GTIN)); err != nil {
				return o, false, err
			}
		}
	}
	if len(found) == 0 {
		return o, false, nil
	}
	for _, other := range found[1:] {
		if other.SKU != found[0].SKU {
			return found[0], true, errAmbiguous
		}
	}
	return found[0], true, nil
}

// namedItem finds the item that a row is about. A code of several pieces is
// refused: whether its value means the case or the piece cannot be told.
func namedItem(r ledger.Reader, row *Row) (protocol.SKU, *RowError, error) {
	c := row.cell("code")
	o, ok, err := owner(r, c.text)
	if errors.Is(err, errAmbiguous) {
		return "", wrongCell(protocol.Conflict, "code", c, "More than one item carries code "+clip(c.text)+". The row was not applied. Name the item by its SKU."), nil
	}
	if err != nil {
		return "", nil, err
	}
	if !ok {
		return "", wrongCell(protocol.UnknownCode, "code", c, "No item has code "+clip(c.text)+". The row was not applied. Import the item first."), nil
	}
	if o.Multiplier != 1000 {
		return "", wrongCell(protocol.OutOfRangeCode, "code", c, "Code "+clip(c.text)+" stands for "+o.Multiplier.String()+" units of its item. The row was not applied. Name the item by its SKU or by the code of one unit."), nil
	}
	return o.SKU, nil, nil
}
