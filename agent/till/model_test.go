package till_test

import (
	"context"
	"fmt"
	"slices"
	"testing"

	"counterpart/protocol"
	"counterpart/protocol/ledger"
	"counterpart/protocol/sale"

	"pgregory.net/rapid"
)

// model is what a shop with a notebook would know. It shares no code with what
// it checks.
type model struct {
	onHand   map[string]int
	damaged  map[string]int
	receipts []*modelReceipt
	day      int
	printed  map[string]int
	logged   int
}

type modelReceipt struct {
	no       protocol.ReceiptNo
	till     string
	day      int
	training bool
	skus     []string
	sold     []int
	returned []int
	voided   bool
}

var modelPrices = map[string]int{"PEN-01": 250, "CUP": 999, "GIFT-WRAP": 100}

// modelStocked lists what the notebook counts.
var modelStocked = []string{"PEN-01", "CUP"}

func (m *model) move(sku string, n int) {
	if sku != "GIFT-WRAP" {
		m.onHand[sku] += n
	}
}

// number is the next receipt number of a till.
func (m *model) number(till string, training bool) protocol.ReceiptNo {
	series := "1"
	if training {
		series = "T1"
	}
	key := till + "-" + series
	m.printed[key]++
	m.logged++
	return protocol.ReceiptNo(fmt.Sprintf("a1-%s-%d", key, m.printed[key]))
}

// noon is the middle of the model's day; after four weeks the dates come again.
func (m *model) noon() string { return fmt.Sprintf("2026-11-%02dT12:00:00Z", 1+m.day%28) }

// TestShopFollowsModel lets random days of a shop run and compares the book
// with the notebook after every act, and with the replayed log at the end.
func TestShopFollowsModel(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		s := open(t, ledger.NewMemory())
		m := &model{onHand: map[string]int{}, damaged: map[string]int{}, printed: map[string]int{}}
		s.clock.set(m.noon())
		rt.Repeat(map[string]func(*rapid.T){
			"sell":     func(rt *rapid.T) { m.sell(rt, s) },
			"return":   func(rt *rapid.T) { m.takeBack(rt, s) },
			"void":     func(rt *rapid.T) { m.void(rt, s) },
			"move":     func(rt *rapid.T) { m.movement(rt, s) },
			"next day": func(*rapid.T) { m.day++; s.clock.set(m.noon()) },
			"": func(rt *rapid.T) {
				for _, sku := range modelStocked {
					l := s.level(protocol.SKU(sku))
					if l.OnHand() != protocol.Quantity(m.onHand[sku])*1000 || l.Quantity(protocol.Damaged) != protocol.Quantity(m.damaged[sku])*1000 {
						rt.Fatalf("%s: the book says %s on hand and %s damaged, the model %d and %d", sku, l.OnHand(), l.Quantity(protocol.Damaged), m.onHand[sku], m.damaged[sku])
					}
				}
			},
		})
		if n := len(s.events()); n != m.logged {
			rt.Errorf("%d events, the model has %d", n, m.logged)
		}
		s.verify()
	})
}

func (m *model) sell(rt *rapid.T, s *shopTest) {
	r := &modelReceipt{till: rapid.SampledFrom([]string{"1", "2"}).Draw(rt, "till"), day: m.day, training: rapid.IntRange(0, 4).Draw(rt, "training") == 0}
	lines, total := "", 0
	for i := range rapid.IntRange(1, 4).Draw(rt, "lines") {
		sku := rapid.SampledFrom([]string{"PEN-01", "CUP", "GIFT-WRAP"}).Draw(rt, "sku")
		n := rapid.IntRange(1, 5).Draw(rt, "qty")
		code := rapid.SampledFrom([]string{sku, map[string]string{"PEN-01": "4006381333931", "CUP": "5000112637922"}[sku]}).Draw(rt, "code")
		if code == "" {
			code = sku
		}
		if i > 0 {
			lines += ","
		}
		lines += fmt.Sprintf(`{"code":%q,"qty":%d}`, code, n)
		total += n * modelPrices[sku]
		r.skus, r.sold, r.returned = append(r.skus, sku), append(r.sold, n), append(r.returned, 0)
	}
	a, err := s.trySell(fmt.Sprintf(`{"till":%q,"training":%v,"lines":[%s],"tenders":[{"type":"cash","amount_minor":%d}]}`, r.till, r.training, lines, total+7))
	if err != nil {
		rt.Fatal(err)
	}
	doc := document[sale.Document](rt, a)
	r.no = m.number(r.till, r.training)
	if doc.ReceiptNo != r.no || int(doc.TotalMinor) != total || doc.ChangeMinor != 7 {
		rt.Fatalf("receipt %s over %d, the model says %s over %d", doc.ReceiptNo, doc.TotalMinor, r.no, total)
	}
	m.receipts = append(m.receipts, r)
	below := 0
	if !r.training {
		for i, sku := range r.skus {
			m.move(sku, -r.sold[i])
		}
		for _, sku := range r.skus {
			if m.onHand[sku] < 0 {
				below++
			}
		}
	}
	if len(doc.Warnings) != below {
		rt.Fatalf("%d warnings, the model says %d: %v", len(doc.Warnings), below, doc.Warnings)
	}
}

func (m *model) takeBack(rt *rapid.T, s *shopTest) {
	if len(m.receipts) == 0 {
		return
	}
	r := rapid.SampledFrom(m.receipts).Draw(rt, "receipt")
	line := rapid.IntRange(0, len(r.skus)-1).Draw(rt, "line")
	n := rapid.IntRange(1, 5).Draw(rt, "qty")
	to := rapid.SampledFrom([]string{"on_hand", "damaged"}).Draw(rt, "to")
	a, err := s.tryReturn(fmt.Sprintf(`{"till":"3","receipt_no":%q,"lines":[{"line":%d,"qty":%d,"to":%q}],"tenders":[{"type":"cash","amount_minor":%d}]}`,
		r.no, line+1, n, to, n*modelPrices[r.skus[line]]))
	switch {
	case r.voided:
		wantCode(rt, err, protocol.AlreadyVoided)
		return
	case n > r.sold[line]-r.returned[line]:
		wantCode(rt, err, protocol.OverReturn)
		return
	case err != nil:
		rt.Fatal(err)
	}
	if no := m.number("3", r.training); document[sale.Document](rt, a).ReceiptNo != no {
		rt.Fatalf("return %s, the model says %s", a.Body, no)
	}
	r.returned[line] += n
	if r.training {
		return
	}
	m.move(r.skus[line], n)
	if to == "damaged" && r.skus[line] != "GIFT-WRAP" {
		m.damaged[r.skus[line]] += n
	}
}

func (m *model) void(rt *rapid.T, s *shopTest) {
	if len(m.receipts) == 0 {
		return
	}
	r := rapid.SampledFrom(m.receipts).Draw(rt, "receipt")
	_, err := s.tryVoid(r.no)
	switch {
	case r.voided:
		wantCode(rt, err, protocol.AlreadyVoided)
		return
	case r.day%28 != m.day%28 || slices.Max(r.returned) > 0:
		wantCode(rt, err, protocol.Conflict)
		return
	case err != nil:
		rt.Fatal(err)
	}
	m.number(r.till, r.training)
	r.voided = true
	if !r.training {
		for i, sku := range r.skus {
			m.move(sku, r.sold[i])
		}
	}
	doc, err := s.till.Sale(context.Background(), r.no)
	if err != nil || !doc.Voided {
		rt.Fatalf("%s is not voided: %v", r.no, err)
	}
}

func (m *model) movement(rt *rapid.T, s *shopTest) {
	sku := rapid.SampledFrom(modelStocked).Draw(rt, "sku")
	n := rapid.IntRange(1, 20).Draw(rt, "qty")
	kind := rapid.SampledFrom([]string{"receipt", "adjustment", "damage", "count", "transfer_out", "transfer_in"}).Draw(rt, "type")
	m.logged++
	switch kind {
	case "receipt", "transfer_in":
		m.move(sku, n)
	case "transfer_out", "adjustment":
		m.move(sku, -n)
	case "damage":
		m.damaged[sku] += n
	case "count":
		m.onHand[sku] = n
	}
	body := map[string]string{
		"receipt":      `{"type":"receipt","lines":[{"code":%q,"qty":%d}]}`,
		"adjustment":   `{"type":"adjustment","reason":"gone","lines":[{"code":%q,"qty":-%d}]}`,
		"damage":       `{"type":"adjustment","reason":"broken","lines":[{"code":%q,"qty":%d,"state":"damaged"}]}`,
		"count":        `{"type":"count","lines":[{"code":%q,"qty":%d}]}`,
		"transfer_out": `{"type":"transfer_out","to_store":"s2","lines":[{"code":%q,"qty":%d}]}`,
		"transfer_in":  `{"type":"transfer_in","transfer_id":"t","lines":[{"code":%q,"qty":%d}]}`,
	}[kind]
	if _, err := s.tryMove(fmt.Sprintf(body, sku, n)); err != nil {
		rt.Fatal(err)
	}
}
