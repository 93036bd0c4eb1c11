package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"counterpart/protocol"
	"counterpart/protocol/ledger"
	"counterpart/protocol/ledger/bolt"
	"counterpart/test/bench/floor"
	"counterpart/test/process"
	"counterpart/test/retail"
)

// backlogPace is the mean time between two sales of the backlog, so that
// 100,000 of them are about ten days of a busy till.
const backlogPace = 8641 * time.Millisecond

// A specimen is one sale of three lines as a real agent logged it. The sales of
// a backlog are made after it, since a till would take minutes for them.
type specimen struct {
	clock protocol.Clock
	event *protocol.Event
}

// sellSpecimen makes a sale of three lines at an agent that runs, without an
// idempotency key, as PERF's sale has none.
func sellSpecimen(ctx context.Context, agent *process.Agent, items []retail.Item) error {
	request, err := saleRequest(items, 0, 1, "")
	if err != nil {
		return err
	}
	_, err = agent.Send(ctx, request)
	return err
}

// readSpecimen reads the last sale of an agent that was stopped.
func readSpecimen(r ledger.Reader, o protocol.Origin) (specimen, error) {
	stream, err := ledger.ReadStream(r, o)
	if err != nil {
		return specimen{}, err
	}
	record, ok, err := ledger.ReadEvent(r, protocol.EventID{Inc: o.Inc, Seq: stream.Seq})
	if err != nil || !ok {
		return specimen{}, errors.Join(err, errors.New("the agent logged nothing"))
	}
	event, err := protocol.DecodeEvent(record.Body)
	if err != nil {
		return specimen{}, err
	}
	if event.Sale == nil || len(event.Sale.Lines) != saleLines || len(event.Moves) != saleLines {
		return specimen{}, fmt.Errorf("the agent logged another event than a sale of %d lines", saleLines)
	}
	return specimen{clock: protocol.Clock{WallMs: record.WallMs, MonoMs: record.MonoMs}, event: event}, nil
}

// sale is the n-th sale after the specimen: other items, prices and tax, and
// the next receipt number.
func (s *specimen) sale(n int, items []retail.Item) (protocol.Clock, *protocol.Event) {
	event, sale := *s.event, *s.event.Sale
	event.Sale, event.Moves = &sale, nil
	sale.Lines, sale.Taxes, sale.Tenders = nil, nil, nil
	sale.Number += uint64(n)
	sale.Total = 0
	sums := map[string]protocol.Money{}
	var codes []string
	for i, line := range s.event.Sale.Lines {
		item := &items[floor.ItemOf(n, i, len(items))]
		price := protocol.Money(item.Price)
		line.Item.SKU, line.UnitPrice, line.Amount, line.TaxCode = protocol.SKU(item.SKU), price, price, item.TaxCode
		sale.Lines = append(sale.Lines, line)
		move := s.event.Moves[i]
		move.SKU = line.Item.SKU
		event.Moves = append(event.Moves, move)
		if _, known := sums[item.TaxCode]; !known {
			codes = append(codes, item.TaxCode)
		}
		sums[item.TaxCode] += price
		sale.Total += price
	}
	for _, code := range codes {
		rate := map[string]protocol.RatePPM{retail.TaxStandard: 200_000, retail.TaxReduced: 50_000}[code]
		tax := sums[code] * protocol.Money(rate) / (1_000_000 + protocol.Money(rate))
		sale.Taxes = append(sale.Taxes, protocol.TaxAmount{Code: code, Rate: rate, Net: sums[code] - tax, Tax: tax})
	}
	tender := s.event.Sale.Tenders[0]
	tender.Amount = sale.Total
	sale.Tenders = []protocol.Tender{tender}
	// Uneven steps, as shoppers come.
	past := int64(n)*backlogPace.Milliseconds() + int64(n*2654435761%4096)
	return protocol.Clock{WallMs: s.clock.WallMs + past, MonoMs: s.clock.MonoMs + past}, &event
}

// backlogChunk is how many sales of a backlog one transaction takes.
const backlogChunk = 1_000

// writeBacklog logs n sales in the database of an agent that was stopped, by
// the code by which the agent logs them.
func writeBacklog(ctx context.Context, data string, o protocol.Origin, n int, items []retail.Item) (err error) {
	db, err := bolt.Open(filepath.Join(data, "agent.db"), bolt.Options{Kind: "agent", Owner: string(o.Store) + "/" + string(o.Agent)})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	var s specimen
	err = db.View(ctx, func(r ledger.Reader) (err error) {
		s, err = readSpecimen(r, o)
		return err
	})
	for from := 1; from <= n && err == nil; from += backlogChunk {
		err = db.Update(ctx, func(tx ledger.Tx) error {
			for i := from; i < min(from+backlogChunk, n+1); i++ {
				clock, event := s.sale(i, items)
				if _, err := ledger.Log(tx, o, clock, event); err != nil {
					return err
				}
			}
			return nil
		})
	}
	return err
}

// copyFolder copies the data of a program that was stopped and makes the copy
// durable: what is still to be written would be charged to the next commit.
func copyFolder(to, from string) error {
	return filepath.WalkDir(from, func(path string, entry os.DirEntry, err error) error {
		if err != nil {
			return err
		}
		name, err := filepath.Rel(from, path)
		if err != nil {
			return err
		}
		if entry.IsDir() {
			return os.MkdirAll(filepath.Join(to, name), 0o700)
		}
		return copyFile(filepath.Join(to, name), path)
	})
}

func copyFile(to, from string) (err error) {
	source, err := os.Open(from)
	if err != nil {
		return err
	}
	defer source.Close()
	target, err := os.OpenFile(to, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, target.Close()) }()
	if _, err := io.Copy(target, source); err != nil {
		return err
	}
	return target.Sync()
}
