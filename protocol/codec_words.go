package protocol

// words numbers the words that an enum of the wire names: the number is the
// index, and 0 is no word. A word that is not listed travels as text beside the
// enum, so that what a later version says survives.
type words[W ~string] []W

var (
	kindWords     = words[Kind]{"", KindSale, KindMovement, KindCountSeen, KindStockLoad, KindCatalog, KindReissue}
	unitWords     = words[Unit]{"", Each, Kg, Litre, Metre}
	saleWords     = words[SaleType]{"", SaleSale, SaleReturn, SaleVoid}
	tenderWords   = words[TenderType]{"", Cash, Card, GiftCard, Voucher, PointsPay, OnAccount, OtherPay}
	movementWords = words[MovementType]{"", Receipt, Adjustment, Count, TransferOut, TransferIn}
)

// number returns the enum's number of word, or 0 and the text to send.
func (w words[W]) number(word W) (n int32, text string) {
	for i, known := range w {
		if known == word {
			return int32(i), ""
		}
	}
	return 0, string(word)
}

// word is the inverse of number. A number that the enum does not list, and a
// text beside a number, are wrong.
func (w words[W]) word(c *check, what string, n int32, text string) W {
	if n == 0 {
		return W(text)
	}
	if n < 0 || int(n) >= len(w) || text != "" {
		c.failf("%s %d %q is not known", what, n, clip(text))
		return ""
	}
	return w[n]
}
