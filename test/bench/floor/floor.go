// Package floor is what the benchmarks hold Counterpart against: the same work
// done with bare bbolt and a bare MQTT client, without a fold, a hash, an
// acknowledgement after the commit, or anything else that makes it a product.
//
// What it does not do is not its weakness but the point: a floor is the price
// of the machine, and everything above it is ours.
package floor

import (
	"bytes"
	"encoding/json"
	"fmt"
	"time"

	"github.com/klauspost/compress/zstd"
)

// FrameSales is how many sales travel in one frame.
const FrameSales = 100

// Items is how many different items the sales spread over.
const Items = 50_000

// A Line is one line of a sale.
type Line struct {
	SKU      string `json:"sku"`
	Quantity int64  `json:"qty"`
	Price    int64  `json:"price_minor"`
	TaxCode  string `json:"tax_code"`
}

// A Sale is a sale as a till without Counterpart might write it down: JSON of
// 319 bytes on average.
type Sale struct {
	Store   string `json:"store"`
	Till    string `json:"till"`
	Seq     int64  `json:"seq"`
	At      string `json:"at"`
	Receipt string `json:"receipt"`
	Lines   []Line `json:"lines"`
	Total   int64  `json:"total_minor"`
}

// ItemOf is the item of one line of the n-th sale. The programs that are
// measured sell the same.
func ItemOf(n, line, items int) int { return (n*3 + line) * 7919 % items }

// NewSale makes the n-th sale of a store.
func NewSale(store string, n int) Sale {
	at := time.Date(2026, 11, 21, 8, 0, 0, 0, time.UTC).Add(time.Duration(n) * 8641 * time.Millisecond)
	s := Sale{
		Store: store, Till: "1", Seq: int64(n), At: at.Format("2006-01-02T15:04:05.000Z"),
		Receipt: fmt.Sprintf("%s-1-1-%d", store, n),
	}
	for i := range 3 {
		item := ItemOf(n, i, Items)
		price := int64(99 + item%1900)
		s.Lines = append(s.Lines, Line{SKU: fmt.Sprintf("SKU-%05d", item), Quantity: 1000, Price: price, TaxCode: "STD"})
		s.Total += price
	}
	return s
}

// JSON is the sale as it is stored and sent.
func (s *Sale) JSON() ([]byte, error) { return json.Marshal(s) }

// packer compresses frames at the fastest level, which PERF found to be the
// best one.
type packer struct {
	encoder *zstd.Encoder
	text    []byte
}

func newPacker() (*packer, error) {
	encoder, err := zstd.NewWriter(nil, zstd.WithEncoderConcurrency(1), zstd.WithEncoderLevel(zstd.SpeedFastest))
	return &packer{encoder: encoder}, err
}

// pack makes one frame of sales, a line each.
func (p *packer) pack(sales [][]byte) []byte {
	p.text = p.text[:0]
	for _, s := range sales {
		p.text = append(append(p.text, s...), '\n')
	}
	return p.encoder.EncodeAll(p.text, nil)
}

// unpack parses a frame and calls each for every sale with its bytes.
func unpack(decoder *zstd.Decoder, frame []byte, each func(Sale, []byte) error) error {
	text, err := decoder.DecodeAll(frame, nil)
	if err != nil {
		return fmt.Errorf("unpack: %w", err)
	}
	for line := range bytes.Lines(text) {
		var s Sale
		if err := json.Unmarshal(line, &s); err != nil {
			return fmt.Errorf("parse: %w", err)
		}
		if err := each(s, line); err != nil {
			return err
		}
	}
	return nil
}
