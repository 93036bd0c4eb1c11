package till

import (
	"errors"
	"strings"

	"counterpart/protocol"
	"counterpart/protocol/gtin"
	"counterpart/protocol/ledger"
	"counterpart/protocol/sale"
)

// found is what this store knows about a code. Item is nil where nobody knows
// the code; SKU, and GTIN where there is one, then say what an open item is
// kept under.
type found struct {
	sale.Resolved
	// ask says that the code carries a price or weight that cannot be
	// believed, so that the till must ask and never guess.
	ask bool
	// err is why the code cannot be used, nil where it can. Item may be set
	// beside it: the likeliest of several.
	err *protocol.Error
}

// resolver looks codes up in one state of the store.
type resolver struct {
	r        ledger.Reader
	patterns []gtin.Pattern
	// nothing says what is safe after a refusal, such as "Nothing was sold.".
	nothing string
}

// itemBytesMax bounds a SKU.
const itemBytesMax = 64

// resolve looks up codes in their order: an exact SKU; else the exact text
// among the codes; else any GTIN that the text stands for; else the item in a
// weighed code. An empty code is left out.
func (v resolver) resolve(codes []string) ([]found, error) {
	all := make([]found, len(codes))
	skus := make([]protocol.SKU, len(codes))
	for i, code := range codes {
		skus[i] = protocol.SKU(code)
		if len(code) > itemBytesMax {
			skus[i] = ""
		}
	}
	items, err := ledger.ReadItems(v.r, skus)
	if err != nil {
		return nil, err
	}
	var missing []int // lines whose item is known by SKU only so far
	for i, code := range codes {
		switch {
		case code == "":
		case items[i] != nil:
			all[i].Item = items[i]
		default:
			if all[i], err = v.byCode(code); err != nil {
				return nil, err
			}
			if all[i].Item == nil && all[i].SKU != "" && all[i].known() {
				missing = append(missing, i)
			}
		}
	}
	if err := v.readMissing(all, missing); err != nil {
		return nil, err
	}
	for i := range all {
		if it := all[i].Item; it != nil {
			all[i].SKU, all[i].GTIN = it.SKU, it.GTIN
			all[i].weigh()
		}
	}
	return all, nil
}

// known tells whether a code was found among those of the catalogue; such a
// code has a multiplier.
func (f *found) known() bool { return f.Multiplier != 0 }

// readMissing reads the items that were found by another code than their SKU.
func (v resolver) readMissing(all []found, missing []int) error {
	if len(missing) == 0 {
		return nil
	}
	skus := make([]protocol.SKU, len(missing))
	for n, i := range missing {
		skus[n] = all[i].SKU
	}
	items, err := ledger.ReadItems(v.r, skus)
	if err != nil {
		return err
	}
	for n, i := range missing {
		all[i].Item = items[n]
	}
	return nil
}

// weigh drops the weight of a code whose item is not sold by weight.
func (f *found) weigh() {
	if f.QuantityFromCode != nil && f.Item.Unit != protocol.Kg {
		f.QuantityFromCode = nil
	}
}

// byCode looks a code up that is no SKU. An item that was found is named by
// its SKU and multiplier, and not read yet.
func (v resolver) byCode(code string) (found, error) {
	text := strings.TrimSpace(code)
	owners, err := ledger.ReadCode(v.r, text)
	if err != nil {
		return found{}, err
	}
	if len(owners) > 0 {
		return v.owned(code, owners), nil
	}
	candidates, scanErr := gtin.Scan(text)
	for _, c := range candidates {
		if string(c.GTIN) == text {
			continue
		}
		more, err := ledger.ReadCode(v.r, string(c.GTIN))
		if err != nil {
			return found{}, err
		}
		owners = append(owners, more...)
	}
	if len(owners) > 0 {
		return v.owned(code, owners), nil
	}
	weighed, ok, err := v.weighed(code, text, candidates)
	if err != nil || ok {
		return weighed, err
	}
	return v.unknown(code, text, candidates, scanErr), nil
}

// owned is the item behind a code, or a refusal where two items have it.
func (v resolver) owned(code string, owners []ledger.CodeOwner) found {
	f := found{Resolved: sale.Resolved{SKU: owners[0].SKU, Multiplier: owners[0].Multiplier}}
	if f.Multiplier <= 0 {
		f.Multiplier = 1000
	}
	for _, o := range owners[1:] {
		if o.SKU == f.SKU {
			continue
		}
		f.err = protocol.Refuse(protocol.Conflict, "Code "+code+" belongs to two items, "+string(f.SKU)+" and "+string(o.SKU)+". "+
			v.nothing+" Enter the one that it is instead of the code, and have the code corrected.").
			With("value", code).With("skus", []protocol.SKU{f.SKU, o.SKU})
		break
	}
	return f
}

// weighed reads a code by the chain's patterns of weighed and priced codes.
func (v resolver) weighed(code, text string, candidates []gtin.Candidate) (found, bool, error) {
	readings := []string{text}
	for _, c := range candidates {
		if c.Digits != text {
			readings = append(readings, c.Digits)
		}
	}
	for _, pattern := range v.patterns {
		for _, digits := range readings {
			w, ok, err := pattern.Match(digits)
			if !ok || err != nil && !errors.Is(err, gtin.ErrVerifier) {
				continue
			}
			f, ok, err := v.weighedItem(code, w.Item)
			if err != nil {
				return found{}, false, err
			}
			if !ok {
				continue
			}
			f.ask = !w.HasPrice && !w.HasWeight
			if w.HasPrice {
				amount := protocol.Money(w.PriceMinor)
				f.AmountFromCode = &amount
			}
			if w.HasWeight {
				quantity := protocol.Quantity(w.WeightThousandths)
				f.QuantityFromCode = &quantity
			}
			return f, true, nil
		}
	}
	return found{}, false, nil
}

// weighedItem finds the item that the digits in a weighed code name, as they
// stand or without the zeros in front.
func (v resolver) weighedItem(code, digits string) (found, bool, error) {
	names := []protocol.SKU{protocol.SKU(digits)}
	if short := strings.TrimLeft(digits, "0"); short != digits && short != "" {
		names = append(names, protocol.SKU(short))
	}
	items, err := ledger.ReadItems(v.r, names)
	if err != nil {
		return found{}, false, err
	}
	for i, name := range names {
		if items[i] != nil {
			return found{Resolved: sale.Resolved{Item: items[i], SKU: items[i].SKU, Multiplier: 1000}}, true, nil
		}
		owners, err := ledger.ReadCode(v.r, string(name))
		if err != nil {
			return found{}, false, err
		}
		if len(owners) > 0 {
			return v.owned(code, owners), true, nil
		}
	}
	return found{}, false, nil
}

// wrongDigitsMin is the shortest run of digits that is taken for a barcode
// that was read wrongly, rather than for a code that nobody knows.
const wrongDigitsMin = 8

// unknown is a code that nobody knows. Digits that cannot be a barcode are
// refused as such, since a wrong digit is likelier than a new item.
func (v resolver) unknown(code, text string, candidates []gtin.Candidate, scanErr error) found {
	f := found{Resolved: sale.Resolved{SKU: sale.OpenSKU(text)}}
	if len(candidates) > 0 {
		f.GTIN = string(candidates[0].GTIN)
		f.SKU = protocol.SKU(f.GTIN)
		return f
	}
	digits := foldText(text)
	if len(digits) < wrongDigitsMin || strings.Trim(digits, "0123456789") != "" {
		return f
	}
	switch {
	case errors.Is(scanErr, gtin.ErrCheckDigit):
		f.err = protocol.Refuse(protocol.BadCheckDigit, "Barcode "+code+" is wrong (last digit). "+v.nothing+" Scan again or type it.")
	case errors.Is(scanErr, gtin.ErrLength):
		f.err = protocol.Refuse(protocol.BadLength, "Barcode "+code+" has a wrong number of digits. "+v.nothing+" Scan again or type it.")
	default:
		return f
	}
	f.err = f.err.With("value", code)
	return f
}

// errUnknown says that nobody knows a code.
func (v resolver) errUnknown(code string) *protocol.Error {
	return protocol.Refuse(protocol.UnknownCode, "Code "+code+" is not in this store's list. "+v.nothing+" Scan it again, or look the item up by its name.").
		With("value", code)
}
