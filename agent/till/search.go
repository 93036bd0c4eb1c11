package till

import (
	"context"
	"iter"
	"slices"
	"strings"
	"sync"
	"unicode"

	"counterpart/protocol"
	"counterpart/protocol/ledger"
	"counterpart/protocol/stock"
)

// Limits of a page of items.
const (
	itemsDefault = 50
	itemsMax     = 500
)

// afterExact is the place behind a page that held nothing but the exact hit.
// It sorts before every SKU that a shop would use.
const afterExact = " "

// Items finds items for the till, a page at a time. What q means as a code
// comes first; then follow, in the order of SKUs, the items that have every
// word of q in their name, brand or SKU, however it is written. An empty q
// finds all items. The second result is where the next page begins, nil at the
// end.
func (t *Till) Items(ctx context.Context, q string, limit int, after string) ([]stock.ItemDocument, *string, error) {
	if limit <= 0 {
		limit = itemsDefault
	}
	limit = min(limit, itemsMax)
	var docs []stock.ItemDocument
	var next *string
	err := t.o.Driver.View(ctx, func(r ledger.Reader) error {
		exact, err := t.exactItems(r, q)
		if err != nil {
			return err
		}
		rows, err := t.items.rows(r)
		if err != nil {
			return err
		}
		var skus []protocol.SKU
		if after == "" {
			skus = append(skus, exact[:min(len(exact), limit)]...)
		}
		last := after
		for row := range rows.matching(strings.Fields(foldText(q)), protocol.SKU(after)) {
			if slices.Contains(exact, row.sku) {
				continue
			}
			if len(skus) >= limit {
				if last == "" {
					last = afterExact
				}
				next = &last
				break
			}
			skus, last = append(skus, row.sku), string(row.sku)
		}
		docs, err = t.itemDocuments(r, skus)
		return err
	})
	return docs, next, err
}

// ItemsOf shows items by their SKUs, without those that the catalogue does not
// know.
func (t *Till) ItemsOf(ctx context.Context, skus []protocol.SKU) (docs []stock.ItemDocument, err error) {
	err = t.o.Driver.View(ctx, func(r ledger.Reader) (err error) {
		docs, err = t.itemDocuments(r, skus)
		return err
	})
	return docs, err
}

// exactItems are the items that q names as a code or SKU: one, none, or two
// where a code is ambiguous.
func (t *Till) exactItems(r ledger.Reader, q string) ([]protocol.SKU, error) {
	if strings.TrimSpace(q) == "" {
		return nil, nil
	}
	all, err := resolver{r: r, patterns: t.o.Patterns}.resolve([]string{q})
	if err != nil || all[0].Item == nil {
		return nil, err
	}
	skus := []protocol.SKU{all[0].SKU}
	if e := all[0].err; e != nil {
		if both, ok := e.Members["skus"].([]protocol.SKU); ok {
			skus = both
		}
	}
	return skus, nil
}

// itemIndex holds the folded text of every item in memory, so that a search
// reads no catalogue. It is made again when the catalogue's feed has moved.
type itemIndex struct {
	mu     sync.Mutex
	cursor ledger.Cursor
	list   itemRows
}

// itemRows are sorted by SKU and never changed once they are made.
type itemRows []itemRow

type itemRow struct {
	sku  protocol.SKU
	text string // name, brand and SKU, folded, a line each
}

// rows is the index of the catalogue as r sees it.
func (x *itemIndex) rows(r ledger.Reader) (itemRows, error) {
	cursor, err := ledger.ReadCursor(r, protocol.FeedCatalog)
	if err != nil {
		return nil, err
	}
	x.mu.Lock()
	defer x.mu.Unlock()
	if x.list != nil && x.cursor == cursor {
		return x.list, nil
	}
	list := make(itemRows, 0, len(x.list))
	err = ledger.ScanItems(r, "", func(it *protocol.Item) (bool, error) {
		list = append(list, itemRow{sku: it.SKU, text: foldText(it.Name + "\n" + it.Brand + "\n" + string(it.SKU))})
		return true, nil
	})
	if err != nil {
		return nil, err
	}
	// Without the feed's tail rows still stream in under one cursor.
	if cursor.Tail {
		x.cursor, x.list = cursor, list
	}
	return list, nil
}

// matching yields the rows above after that hold every word.
func (rows itemRows) matching(words []string, after protocol.SKU) iter.Seq[itemRow] {
	return func(yield func(itemRow) bool) {
		for _, row := range rows {
			if row.sku <= after || !holdsAll(row.text, words) {
				continue
			}
			if !yield(row) {
				return
			}
		}
	}
}

func holdsAll(text string, words []string) bool {
	for _, w := range words {
		if !strings.Contains(text, w) {
			return false
		}
	}
	return true
}

// foldText writes text so that two ways of typing it are the same: without
// case; with one i for the four of Turkish and Azerbaijani and the plain
// letters that keyboards without theirs offer; with Persian letters for the
// Arabic ones that look like them; and with ASCII digits.
func foldText(s string) string {
	ascii := true
	for i := range len(s) {
		if s[i] >= 0x80 {
			ascii = false
			break
		}
	}
	if ascii {
		return strings.ToLower(s)
	}
	return strings.Map(foldRune, s)
}

// foldedRunes are the letters that fold to another than their lower case.
var foldedRunes = map[rune]rune{
	'İ': 'i', 'ı': 'i', 'Ə': 'e', 'ə': 'e', 'Ş': 's', 'ş': 's', 'Ç': 'c', 'ç': 'c', 'Ğ': 'g', 'ğ': 'g', 'Ö': 'o', 'ö': 'o', 'Ü': 'u', 'ü': 'u',
	'ي': 'ی', 'ى': 'ی', 'ك': 'ک',
	'\u0306': -1, '\u0307': -1, '\u0308': -1, '\u0327': -1, // what decomposed Ğ, İ, Ö, Ü, Ş and Ç leave
	'\u200c': -1, // the space without width of Persian
}

func foldRune(r rune) rune {
	switch {
	case r < 0x80:
		if 'A' <= r && r <= 'Z' {
			r += 'a' - 'A'
		}
		return r
	case '\u06F0' <= r && r <= '\u06F9':
		return '0' + r - '\u06F0'
	case '\u0660' <= r && r <= '\u0669':
		return '0' + r - '\u0660'
	}
	if to, ok := foldedRunes[r]; ok {
		return to
	}
	return unicode.ToLower(r)
}
