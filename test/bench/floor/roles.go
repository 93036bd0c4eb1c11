package floor

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"time"

	mqtt "github.com/eclipse/paho.mqtt.golang"
	"github.com/klauspost/compress/zstd"
	"golang.org/x/sync/errgroup"
)

// upTopic is where the frames of the drain and of the herd go.
const upTopic = "floor/up"

// edge is the shop of the drain: an outbox of n sales on disk that it sends in
// frames once it is told to and the broker answers.
func edge(ctx context.Context, d *desk, o options) error {
	_, err := os.Stat(o.path)
	missing := errors.Is(err, fs.ErrNotExist)
	store, err := openSales(o.path)
	if err != nil {
		return err
	}
	defer store.Close()
	if missing {
		if err := store.fill("s1", o.n); err != nil {
			return err
		}
	}
	packer, err := newPacker()
	if err != nil {
		return err
	}
	d.tell(Note{What: "ready"})
	if _, err := d.hear(ctx); err != nil {
		return err
	}
	client, err := connectAtLast(ctx, o.broker)
	if err != nil {
		return err
	}
	defer client.Disconnect(quiesce)
	d.tell(Note{What: "connected"})
	var flight []mqtt.Token
	for after := uint64(0); ; {
		sales, last, err := store.outbox(after)
		if err != nil {
			return err
		}
		if len(sales) == 0 {
			break
		}
		flight, after = append(flight, client.Publish(upTopic, 1, false, packer.pack(sales))), last
		if len(flight) >= framesInFlight {
			if err := wait(ctx, flight[0]); err != nil {
				return err
			}
			flight = flight[1:]
		}
	}
	for _, token := range flight {
		if err := wait(ctx, token); err != nil {
			return err
		}
	}
	d.tell(Note{What: "sent"})
	<-ctx.Done()
	return nil
}

// sink is the centre of the drain and of the herd: it keeps each frame in one
// transaction and tells when it has the first and all n sales.
func sink(ctx context.Context, d *desk, o options) error {
	store, err := openSales(o.path)
	if err != nil {
		return err
	}
	defer store.Close()
	decoder, err := zstd.NewReader(nil, zstd.WithDecoderConcurrency(1))
	if err != nil {
		return err
	}
	failed := make(chan error, 1)
	kept := 0
	client, err := connect(ctx, o.broker, func(frame []byte) {
		fresh, err := store.keepFrame(decoder, frame)
		if err != nil {
			select {
			case failed <- err:
			default:
			}
			return
		}
		if kept == 0 && fresh > 0 {
			d.tell(Note{What: "first", N: fresh})
		}
		if kept += fresh; kept >= o.n && kept-fresh < o.n {
			d.tell(Note{What: "all", N: kept})
		}
	})
	if err != nil {
		return err
	}
	defer client.Disconnect(quiesce)
	if err := subscribe(ctx, client, upTopic); err != nil {
		return err
	}
	d.tell(Note{What: "ready"})
	select {
	case <-ctx.Done():
		return nil
	case err := <-failed:
		return err
	}
}

// keepFrame parses a frame and keeps its sales in one transaction.
func (s *Store) keepFrame(decoder *zstd.Decoder, frame []byte) (int, error) {
	var sales []Sale
	var texts [][]byte
	err := unpack(decoder, frame, func(sale Sale, text []byte) error {
		sales, texts = append(sales, sale), append(texts, text)
		return nil
	})
	if err != nil {
		return 0, err
	}
	return s.keep(sales, texts)
}

// connectsAtOnce bounds how many clients of the herd connect at a time.
const connectsAtOnce = 32

// herd is n shops that each send one frame at the same moment.
func herd(ctx context.Context, d *desk, o options) error {
	packer, err := newPacker()
	if err != nil {
		return err
	}
	clients, frames := make([]mqtt.Client, o.n), make([][]byte, o.n)
	for i := range frames {
		var sales [][]byte
		for n := range FrameSales {
			sale := NewSale(fmt.Sprintf("s%d", i+1), n+1)
			text, err := sale.JSON()
			if err != nil {
				return err
			}
			sales = append(sales, text)
		}
		frames[i] = packer.pack(sales)
	}
	group, groupCtx := errgroup.WithContext(ctx)
	group.SetLimit(connectsAtOnce)
	for i := range clients {
		group.Go(func() (err error) {
			clients[i], err = connect(groupCtx, o.broker, nil)
			return err
		})
	}
	if err := group.Wait(); err != nil {
		return err
	}
	d.tell(Note{What: "ready"})
	if _, err := d.hear(ctx); err != nil {
		return err
	}
	d.tell(Note{What: "begin"})
	tokens := make([]mqtt.Token, o.n)
	for i, client := range clients {
		tokens[i] = client.Publish(upTopic, 1, false, frames[i])
	}
	for _, token := range tokens {
		if err := wait(ctx, token); err != nil {
			return err
		}
	}
	d.tell(Note{What: "sent"})
	<-ctx.Done()
	return nil
}

// source is machine A of the chain: at each word it commits and publishes n
// sales at the pace of a till, and tells when each commit began.
func source(ctx context.Context, d *desk, o options) error {
	store, err := openSales(o.path)
	if err != nil {
		return err
	}
	defer store.Close()
	client, err := connect(ctx, o.broker, nil)
	if err != nil {
		return err
	}
	defer client.Disconnect(quiesce)
	d.tell(Note{What: "ready"})
	for n := 0; ; {
		if _, err := d.hear(ctx); err != nil {
			return err
		}
		ticker := time.NewTicker(o.pace)
		var times []int64
		for range o.n {
			select {
			case <-ticker.C:
			case <-ctx.Done():
				return ctx.Err()
			}
			n++
			sale := NewSale("s1", n)
			text, err := sale.JSON()
			if err != nil {
				return err
			}
			times = append(times, time.Now().UnixNano())
			if _, err := store.keep([]Sale{sale}, [][]byte{text}); err != nil {
				return err
			}
			client.Publish(o.to, 1, false, text)
		}
		ticker.Stop()
		d.tell(Note{What: "begun", Times: times})
	}
}

// relay is the hub of the chain, which commits what comes and passes it on, or
// machine B, which commits and tells when n sales were durable.
func relay(ctx context.Context, d *desk, o options) error {
	store, err := openSales(o.path)
	if err != nil {
		return err
	}
	defer store.Close()
	texts := make(chan []byte, 1024)
	client, err := connect(ctx, o.broker, func(text []byte) { texts <- text })
	if err != nil {
		return err
	}
	defer client.Disconnect(quiesce)
	if err := subscribe(ctx, client, o.from); err != nil {
		return err
	}
	d.tell(Note{What: "ready"})
	var times []int64
	for {
		select {
		case <-ctx.Done():
			return nil
		case text := <-texts:
			var sale Sale
			if err := json.Unmarshal(text, &sale); err != nil {
				return err
			}
			if _, err := store.keep([]Sale{sale}, [][]byte{text}); err != nil {
				return err
			}
			if o.to != "" {
				client.Publish(o.to, 1, false, text)
				continue
			}
			if times = append(times, time.Now().UnixNano()); len(times) == o.n {
				d.tell(Note{What: "durable", Times: times})
				times = nil
			}
		}
	}
}
