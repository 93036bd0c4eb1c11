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
	others := make([]int, 0, len(codes)) // lines whose code is no SKU
	for i, code := range codes {
		switch {
		case code == "":
		case items[i] != nil:
			all[i].Item = items[i]
		default:
			others = append(others, i)
		}
	}
	if err := v.byCode(all, codes, others); err != nil {
		return nil, err
	}
	missing := others[:0] // lines whose item is known by SKU only so far
	for _, i := range others {
		if all[i].Item == nil && all[i].SKU != "" && all[i].known() {
			missing = append(missing, i)
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

// byCode looks up the codes of some lines that are no SKU, all of them at once.
// An item that was found is named by its SKU and multiplier, and not read yet.
func (v resolver) byCode(all []found, codes []string, lines []int) error {
	if len(lines) == 0 {
		return nil
	}
	texts := make([]string, len(lines))
	for n, i := range lines {
		texts[n] = strings.TrimSpace(codes[i])
	}
	owners, err := ledger.ReadCodes(v.r, texts)
	if err != nil {
		return err
	}
	scans := make([]scanned, len(lines))
	var forms []string // the other forms of all codes that are not known as they stand
	for n, text := range texts {
		if len(owners[n]) > 0 {
			continue
		}
		scans[n].candidates, scans[n].err = gtin.Scan(text)
		for _, c := range scans[n].candidates {
			if string(c.GTIN) != text {
				forms = append(forms, string(c.GTIN))
				scans[n].forms++
			}
		}
	}
	others, err := ledger.ReadCodes(v.r, forms)
	if err != nil {
		return err
	}
	for n, i := range lines {
		for _, more := range others[:scans[n].forms] {
			owners[n] = append(owners[n], more...)
		}
		others = others[scans[n].forms:]
		if len(owners[n]) > 0 {
			all[i] = v.owned(codes[i], owners[n])
		} else if all[i], err = v.notOwned(codes[i], texts[n], scans[n]); err != nil {
			return err
		}
	}
	return nil
}

// scanned is what a code can be as a barcode.
type scanned struct {
	candidates []gtin.Candidate
	err        error
	forms      int // how many of them are other than the code as it stands
}

// notOwned is a code that no item carries: one with a weight or price in it, or
// one that nobody knows.
func (v resolver) notOwned(code, text string, s scanned) (found, error) {
	weighed, ok, err := v.weighed(code, text, s.candidates)
	if err != nil || ok {
		return weighed, err
	}
	return v.unknown(code, text, s.candidates, s.err), nil
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
