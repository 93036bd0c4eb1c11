package main

import (
	"context"
	"fmt"
	"net/http"
	"strconv"
	"sync"
	"sync/atomic"

	"golang.org/x/sync/errgroup"

	"counterpart/protocol"
	"counterpart/test/fleet"
	"counterpart/test/process"
)

const (
	// linesMax is how many lines one document can have.
	linesMax = 2_000
	// refusalsShown bounds how many refusals are kept to be shown.
	refusalsShown = 20
	// piece is one piece as a quantity.
	piece protocol.Quantity = 1000
)

// A delivery is one document on its way into an agent.
type delivery struct {
	shop    int
	kind    kind
	lines   int
	total   int64 // what its document has to come to
	request process.Request
}

// A feeder plays the tills of all shops.
type feeder struct {
	in     *input
	fleet  *fleet.Fleet
	native bool
	// members are the ids of the file's customers at the hub.
	members map[string]string

	total int64        // deliveries in all
	done  atomic.Int64 // deliveries confirmed or refused

	mu       sync.Mutex
	receipts []map[string]bool // confirmed sales and returns, by shop
	adjusted int               // confirmed adjustments
	refused  int
	refusals []string
}

func newFeeder(in *input, f *fleet.Fleet, native bool, members map[string]string) *feeder {
	feeder := &feeder{in: in, fleet: f, native: native, members: members, receipts: make([]map[string]bool, len(in.shops))}
	for i := range feeder.receipts {
		feeder.receipts[i] = map[string]bool{}
	}
	for _, b := range in.baskets {
		feeder.total += int64((len(b.lines) + linesMax - 1) / linesMax)
	}
	return feeder
}

// progress is the share of the deliveries that are through.
func (f *feeder) progress() float64 { return float64(f.done.Load()) / float64(max(f.total, 1)) }

// run feeds every basket to the agent of its shop. The baskets of a shop go one
// after the other, in the order of the file; the shops do not wait for each
// other.
func (f *feeder) run(ctx context.Context) error {
	queues := make([][]basket, len(f.in.shops))
	for _, b := range f.in.baskets {
		queues[b.shop] = append(queues[b.shop], b)
	}
	group, ctx := errgroup.WithContext(ctx)
	for shop, queue := range queues {
		group.Go(func() error {
			for _, b := range queue {
				for part, lines := 0, b.lines; len(lines) > 0; part++ {
					n := min(len(lines), linesMax)
					d, err := f.delivery(b, part, lines[:n])
					if err != nil {
						return err
					}
					if err := f.deliver(ctx, f.fleet.Machines[shop], d); err != nil {
						return fmt.Errorf("basket %s: %w", b.id, err)
					}
					lines = lines[n:]
				}
			}
			return nil
		})
	}
	return group.Wait()
}

// deliver sends a document until the agent has answered, and notes the answer.
func (f *feeder) deliver(ctx context.Context, m *fleet.Machine, d delivery) error {
	answer, err := m.Persist(ctx, d.request)
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	var doc process.SaleDocument
	if err == nil && d.kind != adjusted {
		err = answer.Into(&doc)
		if err == nil && doc.Total != d.total {
			err = fmt.Errorf("%s comes to %d, not to %d", doc.ReceiptNo, doc.Total, d.total)
		}
	}
	f.done.Add(1)
	f.mu.Lock()
	defer f.mu.Unlock()
	switch {
	case err != nil:
		f.refused++
		if len(f.refusals) < refusalsShown {
			f.refusals = append(f.refusals, fmt.Sprintf("%s of %s: %v", d.request.Key, f.in.shops[d.shop].ID, err))
		}
	case d.kind == adjusted:
		f.adjusted++
	case f.receipts[d.shop][doc.ReceiptNo]:
		f.refused++
		f.refusals = append(f.refusals, fmt.Sprintf("receipt %s was given twice", doc.ReceiptNo))
	default:
		f.receipts[d.shop][doc.ReceiptNo] = true
	}
	return nil
}

// delivery makes the request for one part of a basket; an ordinary basket has
// only one.
func (f *feeder) delivery(b basket, part int, lines []line) (delivery, error) {
	id := b.id
	if part > 0 {
		id += "/" + strconv.Itoa(part+1)
	}
	d := delivery{shop: b.shop, kind: b.kind, lines: len(lines)}
	for _, l := range lines {
		d.total += l.amount
	}
	if b.kind == returned {
		d.total = -d.total
	}
	var external *process.External
	if !f.native {
		external = &process.External{
			Source: f.in.format, ID: id, ReceiptNo: id, Total: d.total,
			OccurredAt: b.at.Format("2006-01-02T15:04:05Z07:00"), BusinessDate: b.at.Format("2006-01-02"),
		}
	}
	path, body := "", any(nil)
	switch b.kind {
	case sold:
		sale := process.Sale{Lines: asSold(lines), Member: f.members[b.customer], External: external}
		if d.total > 0 {
			sale.Tenders = []process.Tender{{Type: tenderOf(b.id), Amount: d.total}}
		}
		path, body = "/v1/sales", sale
	case returned:
		path, body = "/v1/returns", process.Return{Lines: asSold(lines), Reason: "brought back", External: external}
	case adjusted:
		path, body = "/v1/stock/movements", adjustment(id, lines)
	}
	var err error
	d.request, err = process.JSON(http.MethodPost, path, "replay-"+b.kind.String()+"-"+id, body)
	return d, err
}

// asSold writes lines as a till does: with a price where there is one, else
// with the amount.
func asSold(lines []line) []process.Line {
	list := make([]process.Line, len(lines))
	for i, l := range lines {
		list[i] = process.Line{Code: l.sku, Quantity: protocol.Quantity(l.pieces) * piece, UnitPrice: l.price}
		if l.price == nil {
			list[i].Amount = &lines[i].amount
		}
	}
	return list
}

func adjustment(id string, lines []line) process.Movement {
	m := process.Movement{Type: "adjustment", Reference: id, Reason: "written off"}
	if lines[0].note != "" {
		m.Reason = lines[0].note
	}
	for _, l := range lines {
		m.Lines = append(m.Lines, process.MovementLine{Code: l.sku, Quantity: protocol.Quantity(l.pieces) * piece})
	}
	return m
}
