package fleet

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"counterpart/protocol"
	"counterpart/test/process"
)

// Books are what the hub says was sold in one store, added up.
type Books struct {
	Documents map[string]int // by type
	Lines     int
	Units     map[string]protocol.Quantity // by SKU; sold is above zero
	Money     map[string]int64             // of the lines, by SKU
	Total     int64                        // of the documents
	// Faults are documents that contradict each other: an identifier or receipt
	// number used twice, a receipt number left out, a document of another store.
	Faults []string
}

// ReadBooks adds up all sale documents of a store. It shows each to see, if
// there is one.
func ReadBooks(ctx context.Context, hub *process.Hub, store string, see func(*process.SaleDocument)) (*Books, error) {
	b := &Books{Documents: map[string]int{}, Units: map[string]protocol.Quantity{}, Money: map[string]int64{}}
	events, external, receipts := map[string]bool{}, map[string]bool{}, Receipts{}
	err := hub.Sales(ctx, store, func(doc *process.SaleDocument) error {
		if doc.Store != store {
			b.fault("event %s is of store %s", doc.EventID, doc.Store)
		}
		if once(events, doc.EventID) {
			b.fault("event %s comes twice", doc.EventID)
		}
		if e := doc.External; e != nil && once(external, e.Source+" "+e.ID) {
			b.fault("%s of %s comes twice", e.ID, e.Source)
		}
		if err := receipts.Add(doc.ReceiptNo); err != nil {
			b.fault("%v", err)
		}
		b.add(doc)
		if see != nil {
			see(doc)
		}
		return nil
	})
	b.Faults = append(b.Faults, receipts.Gaps()...)
	return b, err
}

func (b *Books) fault(format string, args ...any) {
	b.Faults = append(b.Faults, fmt.Sprintf(format, args...))
}

// once tells whether the key was there before, and adds it.
func once(seen map[string]bool, key string) bool {
	was := seen[key]
	seen[key] = true
	return was
}

func (b *Books) add(doc *process.SaleDocument) {
	b.Documents[doc.Type]++
	b.Total += doc.Total
	b.Lines += len(doc.Lines)
	for _, line := range doc.Lines {
		b.Units[line.SKU] += line.Quantity
		b.Money[line.SKU] += line.Amount
	}
}

// Receipts are receipt numbers, by series. A number is {agent}-{till}-{series}
// and, behind a last dash, a count from 1.
type Receipts map[string][]int64

// Add files a number. Whether it came before shows in Gaps.
func (r Receipts) Add(number string) error {
	at := strings.LastIndexByte(number, '-')
	if strings.Count(number, "-") < 3 || strings.Contains(number, "--") {
		return fmt.Errorf("%q is no receipt number", number)
	}
	n, err := strconv.ParseInt(number[at+1:], 10, 64)
	if err != nil || n < 1 {
		return fmt.Errorf("%q is no receipt number", number)
	}
	r[number[:at]] = append(r[number[:at]], n)
	return nil
}

// Gaps lists the numbers that are missing or doubled in each series.
func (r Receipts) Gaps() []string {
	var found []string
	for series, numbers := range r {
		slices.Sort(numbers)
		want := int64(1)
		for _, n := range numbers {
			switch {
			case n < want:
				found = append(found, fmt.Sprintf("receipt %s-%d comes twice", series, n))
				continue
			case n > want:
				found = append(found, fmt.Sprintf("receipts %s-%d to %d are missing", series, want, n-1))
			}
			want = n + 1
		}
	}
	slices.Sort(found)
	return found
}
