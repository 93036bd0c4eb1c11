package sale

import (
	"encoding/json"
	"strconv"
	"unicode/utf8"

	"counterpart/protocol"
)

// AppendJSON writes the document as encoding/json does, byte for byte, without
// looking at its types. Every answer to a till is one.
func (d *Document) AppendJSON(b []byte) []byte {
	b = appendText(append(b, `{"type":`...), string(d.Type))
	b = appendText(append(b, `,"event_id":`...), d.EventID)
	b = appendText(append(b, `,"inc":`...), d.Inc)
	b = strconv.AppendUint(append(b, `,"seq":`...), uint64(d.Seq), 10)
	b = appendText(append(b, `,"store":`...), string(d.Store))
	b = appendText(append(b, `,"agent":`...), string(d.Agent))
	b = appendText(append(b, `,"till":`...), string(d.Till))
	b = appendText(append(b, `,"receipt_no":`...), string(d.ReceiptNo))
	b = appendOrNull(append(b, `,"original_receipt_no":`...), d.OriginalReceiptNo)
	b = appendText(append(b, `,"business_date":`...), d.BusinessDate)
	b = appendText(append(b, `,"at":`...), d.At)
	b = appendOrNull(append(b, `,"staff":`...), d.Staff)
	b = appendOrNull(append(b, `,"member_id":`...), d.MemberID)
	b = appendText(append(b, `,"currency":`...), d.Currency)
	b = appendList(append(b, `,"lines":`...), d.Lines, (*DocumentLine).appendJSON)
	b = appendList(append(b, `,"taxes":`...), d.Taxes, (*DocumentTax).appendJSON)
	b = appendList(append(b, `,"tenders":`...), d.Tenders, (*DocumentTender).appendJSON)
	b = appendInt(append(b, `,"rounding_minor":`...), d.RoundingMinor)
	b = appendInt(append(b, `,"total_minor":`...), d.TotalMinor)
	b = appendInt(append(b, `,"change_minor":`...), d.ChangeMinor)
	b = appendInt(append(b, `,"points_earned":`...), d.PointsEarned)
	if d.PointsRedeemed != 0 {
		b = appendInt(append(b, `,"points_redeemed":`...), d.PointsRedeemed)
	}
	if len(d.Accounts) > 0 {
		b = appendList(append(b, `,"accounts":`...), d.Accounts, (*DocumentAccount).appendJSON)
	}
	if d.OrderID != "" {
		b = appendText(append(b, `,"order_id":`...), string(d.OrderID))
	}
	b = d.Fiscal.appendJSON(append(b, `,"fiscal":`...))
	b = strconv.AppendBool(append(b, `,"training":`...), d.Training)
	b = strconv.AppendBool(append(b, `,"voided":`...), d.Voided)
	b = d.External.appendJSON(append(b, `,"external":`...))
	b = appendList(append(b, `,"warnings":`...), d.Warnings, (*DocumentWarning).appendJSON)
	return append(b, '}')
}

func (l *DocumentLine) appendJSON(b []byte) []byte {
	b = strconv.AppendInt(append(b, `{"line":`...), int64(l.Line), 10)
	b = appendText(append(b, `,"sku":`...), string(l.SKU))
	b = appendOrNull(append(b, `,"gtin":`...), l.GTIN)
	b = appendOrNull(append(b, `,"name":`...), l.Name)
	b = appendQuantity(append(b, `,"qty":`...), l.Qty)
	b = appendInt(append(b, `,"unit_price_minor":`...), l.UnitPriceMinor)
	b = appendInt(append(b, `,"discount_minor":`...), l.DiscountMinor)
	b = appendInt(append(b, `,"amount_minor":`...), l.AmountMinor)
	b = appendOrNull(append(b, `,"tax_code":`...), l.TaxCode)
	b = appendQuantity(append(b, `,"returned_qty":`...), l.ReturnedQty)
	b = appendList(append(b, `,"discounts":`...), l.Discounts, (*DocumentDiscount).appendJSON)
	return append(b, '}')
}

func (d *DocumentDiscount) appendJSON(b []byte) []byte {
	b = appendText(append(b, `{"type":`...), d.Type)
	b = appendOrNull(append(b, `,"id":`...), d.ID)
	b = appendOrNull(append(b, `,"reason":`...), d.Reason)
	b = appendInt(append(b, `,"amount_minor":`...), d.AmountMinor)
	return append(b, '}')
}

func (t *DocumentTax) appendJSON(b []byte) []byte {
	b = appendText(append(b, `{"tax_code":`...), t.TaxCode)
	b = appendInt(append(b, `,"rate_ppm":`...), t.RatePPM)
	b = appendInt(append(b, `,"net_minor":`...), t.NetMinor)
	b = appendInt(append(b, `,"tax_minor":`...), t.TaxMinor)
	return append(b, '}')
}

func (t *DocumentTender) appendJSON(b []byte) []byte {
	b = appendText(append(b, `{"type":`...), string(t.Type))
	b = appendInt(append(b, `,"amount_minor":`...), t.AmountMinor)
	b = appendOrNull(append(b, `,"ref":`...), t.Ref)
	return append(b, '}')
}

func (e *DocumentAccount) appendJSON(b []byte) []byte {
	b = appendText(append(b, `{"account":`...), string(e.Account))
	b = appendInt(append(b, `,"amount":`...), e.Amount)
	b = append(b, `,"line":`...)
	if e.Line == nil {
		return append(b, "null}"...)
	}
	return append(appendInt(b, *e.Line), '}')
}

func (f *DocumentFiscal) appendJSON(b []byte) []byte {
	if f == nil {
		return append(b, "null"...)
	}
	b = appendOrNull(append(b, `{"device":`...), f.Device)
	b = appendOrNull(append(b, `,"number":`...), f.Number)
	b = appendOrNull(append(b, `,"signature":`...), f.Signature)
	return append(b, '}')
}

func (e *DocumentExternal) appendJSON(b []byte) []byte {
	if e == nil {
		return append(b, "null"...)
	}
	b = appendText(append(b, `{"source":`...), e.Source)
	b = appendText(append(b, `,"id":`...), e.ID)
	b = appendOrNull(append(b, `,"receipt_no":`...), e.ReceiptNo)
	b = appendOrNull(append(b, `,"occurred_at":`...), e.OccurredAt)
	b = appendOrNull(append(b, `,"business_date":`...), e.BusinessDate)
	b = appendInt(append(b, `,"total_minor":`...), e.TotalMinor)
	b = e.Fiscal.appendJSON(append(b, `,"fiscal":`...))
	return append(b, '}')
}

func (w *DocumentWarning) appendJSON(b []byte) []byte {
	b = appendText(append(b, `{"code":`...), w.Code)
	b = append(b, `,"line":`...)
	if w.Line == nil {
		b = append(b, "null"...)
	} else {
		b = appendInt(b, *w.Line)
	}
	b = appendText(append(b, `,"message":`...), w.Message)
	return append(b, '}')
}

func appendList[T any](b []byte, list []T, one func(*T, []byte) []byte) []byte {
	if list == nil {
		return append(b, "null"...)
	}
	b = append(b, '[')
	for i := range list {
		if i > 0 {
			b = append(b, ',')
		}
		b = one(&list[i], b)
	}
	return append(b, ']')
}

func appendInt[T ~int64 | ~uint32](b []byte, n T) []byte { return strconv.AppendInt(b, int64(n), 10) }

func appendQuantity(b []byte, q protocol.Quantity) []byte {
	if q >= 0 && q%1000 == 0 {
		return strconv.AppendInt(b, int64(q/1000), 10)
	}
	return append(b, q.String()...)
}

func appendOrNull(b []byte, s *string) []byte {
	if s == nil {
		return append(b, "null"...)
	}
	return appendText(b, *s)
}

// appendText writes text as JSON. What encoding/json would escape it is left to
// escape, so that there is one set of rules.
func appendText(b []byte, s string) []byte {
	for i := 0; i < len(s); {
		switch c := s[i]; {
		case c >= utf8.RuneSelf:
			r, n := utf8.DecodeRuneInString(s[i:])
			if r == utf8.RuneError || r == '\u2028' || r == '\u2029' {
				return appendEscaped(b, s)
			}
			i += n
		case c < ' ', c == '"', c == '\\', c == '<', c == '>', c == '&', c == 0x7f:
			return appendEscaped(b, s)
		default:
			i++
		}
	}
	return append(append(append(b, '"'), s...), '"')
}

func appendEscaped(b []byte, s string) []byte {
	text, err := json.Marshal(s)
	if err != nil {
		panic(err) // text can always be written
	}
	return append(b, text...)
}
