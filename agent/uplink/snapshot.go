package uplink

import (
	"bufio"
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"counterpart/protocol"
	"counterpart/protocol/ledger"

	"github.com/hashicorp/go-retryablehttp"
	"github.com/klauspost/compress/zstd"
)

const (
	snapshotBytesMax   = 512 << 20
	snapshotTimeout    = 10 * time.Minute
	snapshotMemoryMax  = 64 << 20
	snapshotRetriesMax = 4
)

// newHTTPClient makes the client for single requests to the hub. It follows no
// proxy of the environment, since hub addresses are configured.
func newHTTPClient() *http.Client {
	t := http.DefaultTransport.(*http.Transport).Clone()
	t.Proxy = nil
	return &http.Client{Transport: t, Timeout: connectTimeout}
}

// fetch loads a feed's snapshot: it is checked as a whole before the first row
// is applied, and the cursor moves last, so that an interrupted load is begun
// again.
func (u *Uplink) fetch(ctx context.Context, feed protocol.FeedID) Applied {
	in := Applied{Feed: feed}
	body, pos, err := u.download(ctx, feed)
	if err != nil {
		in.Err = fmt.Errorf("snapshot of %s: %w", feed, err)
		return in
	}
	if err := u.load(ctx, feed, body); err != nil {
		in.Err = fmt.Errorf("snapshot of %s: %w", feed, err)
		return in
	}
	return MoveCursor(ctx, u.o.Driver, ledger.Cursor{FeedPos: pos})
}

func (u *Uplink) download(ctx context.Context, feed protocol.FeedID) ([]byte, protocol.FeedPos, error) {
	pos := protocol.FeedPos{Feed: feed}
	ctx, cancel := context.WithTimeout(ctx, snapshotTimeout)
	defer cancel()
	client := retryablehttp.NewClient()
	client.Logger, client.RetryMax, client.HTTPClient = nil, snapshotRetriesMax, &http.Client{Transport: u.http.Transport}
	client.RetryWaitMin, client.RetryWaitMax = 200*time.Millisecond, 5*time.Second
	address, err := url.JoinPath(u.o.HubURL, "v1/snapshots", string(feed))
	if err != nil {
		return nil, pos, err
	}
	req, err := retryablehttp.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		return nil, pos, err
	}
	resp, err := client.Do(req)
	if err != nil {
		return nil, pos, err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return nil, pos, fmt.Errorf("hub answered %s", resp.Status)
	}
	body, err := io.ReadAll(http.MaxBytesReader(nil, resp.Body, snapshotBytesMax))
	if err != nil {
		return nil, pos, err
	}
	if sum := sha256.Sum256(body); hex.EncodeToString(sum[:]) != resp.Header.Get("Counterpart-SHA256") {
		return nil, pos, errors.New("it arrived damaged")
	}
	if pos.Epoch, err = strconv.ParseUint(resp.Header.Get("Counterpart-Epoch"), 10, 64); err != nil {
		return nil, pos, err
	}
	pos.Offset, err = strconv.ParseUint(resp.Header.Get("Counterpart-Offset"), 10, 64)
	return body, pos, err
}

// load applies a snapshot's Deltas, one transaction each.
func (u *Uplink) load(ctx context.Context, feed protocol.FeedID, body []byte) error {
	return EachDelta(body, feed, func(d *protocol.Delta) error {
		err := u.o.Driver.Update(ctx, func(tx ledger.Tx) error { return ledger.ApplyRows(tx, feed, d.Rows) })
		if err != nil {
			return err
		}
		return u.committed(ctx, d)
	})
}

// EachDelta reads a snapshot: a zstd stream of Deltas, each preceded by its
// size as a varint.
func EachDelta(body []byte, feed protocol.FeedID, fn func(*protocol.Delta) error) error {
	z, err := zstd.NewReader(bytes.NewReader(body), zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxMemory(snapshotMemoryMax))
	if err != nil {
		return err
	}
	defer z.Close()
	r := bufio.NewReader(z)
	for {
		size, err := binary.ReadUvarint(r)
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		if size > protocol.MessageBytesMax {
			return fmt.Errorf("a part of %d bytes is too large", size)
		}
		b := make([]byte, size)
		if _, err := io.ReadFull(r, b); err != nil {
			return err
		}
		m, err := protocol.DecodeMessage(b)
		if err != nil {
			return err
		}
		d, ok := m.(*protocol.Delta)
		if !ok || d.Feed != feed {
			return errors.New("it holds something else than the feed")
		}
		if err := fn(d); err != nil {
			return err
		}
	}
}
