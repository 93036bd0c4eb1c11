package client

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"

	"github.com/klauspost/compress/zstd"
	"google.golang.org/protobuf/encoding/protowire"
)

// Feed is what was received of one feed.
type Feed struct {
	ID            string
	Epoch, Offset uint64
	Head          uint64            // as far as it was heard of
	Rows          map[string][]byte // of a state feed
	Streams       map[Stream]*Log   // of a peer feed
}

// NewFeed is a feed of which nothing was received.
func NewFeed(id string) *Feed {
	return &Feed{ID: id, Rows: map[string][]byte{}, Streams: map[Stream]*Log{}}
}

// ErrGap tells that a Delta does not follow on the cursor.
var ErrGap = errors.New("something of the feed is missing")

var errChain = errors.New("events do not continue their stream")

// Apply takes a Delta of this feed.
func (f *Feed) Apply(d Message) error {
	after, upto := d.Uint(4), d.Uint(5)
	f.Head = max(f.Head, upto)
	switch {
	case after > f.Offset:
		return ErrGap
	case upto <= f.Offset:
		return nil
	}
	for _, row := range d.List(6) {
		switch {
		case row.Uint(1) <= f.Offset:
		case row.Has(3):
			f.Rows[row.Text(2)] = row.Bytes(3)
		default:
			delete(f.Rows, row.Text(2))
		}
	}
	for _, run := range d.List(7) {
		if err := f.append(run); err != nil {
			return err
		}
	}
	f.Epoch, f.Offset = d.Uint(3), upto
	return nil
}

// append takes a run of events of one stream and checks its chain.
func (f *Feed) append(run Message) error {
	s := Stream{Store: run.Text(1), Agent: run.Text(2), Inc: Inc(run.Bytes(3))}
	if f.Streams[s] == nil {
		f.Streams[s] = NewLog(s)
	}
	l, first := f.Streams[s], run.Uint(4)
	records, err := Unpack(run.Bytes(7), run.Uint(6))
	if err != nil {
		return err
	}
	if first == 0 || first > l.Last()+1 || Hash(run.Bytes(5)) != l.Hash(first-1) {
		return fmt.Errorf("%w: %s from %d", errChain, s.Agent, first)
	}
	for i, r := range records {
		if seq := first + uint64(i); seq > l.Last() {
			l.Append(r)
		}
	}
	return nil
}

// Own takes the stretch that an Ack names as this agent's own.
func (f *Feed) Own(run Message) {
	if run.Uint(2) == f.Epoch && f.Offset >= run.Uint(3) && f.Offset < run.Uint(4) {
		f.Offset = run.Uint(4)
	}
	f.Head = max(f.Head, run.Uint(4))
}

// Snapshot is a feed as GET /v1/snapshots gave it.
type Snapshot struct {
	Status        int
	Epoch, Offset uint64
	Deltas        []Message
}

// FetchSnapshot loads and checks a snapshot.
func FetchSnapshot(ctx context.Context, hub, feed string) (Snapshot, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, hub+"/v1/snapshots/"+feed, nil)
	if err != nil {
		return Snapshot{}, err
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return Snapshot{}, err
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil || response.StatusCode != http.StatusOK {
		return Snapshot{Status: response.StatusCode}, err
	}
	s := Snapshot{Status: response.StatusCode}
	sum := sha256.Sum256(body)
	if told := response.Header.Get("Counterpart-SHA256"); told != hex.EncodeToString(sum[:]) || response.Header.Get("ETag") != `"`+told+`"` {
		return s, fmt.Errorf("the sum of the body is not %q", told)
	}
	if s.Epoch, err = strconv.ParseUint(response.Header.Get("Counterpart-Epoch"), 10, 64); err != nil {
		return s, err
	}
	if s.Offset, err = strconv.ParseUint(response.Header.Get("Counterpart-Offset"), 10, 64); err != nil {
		return s, err
	}
	s.Deltas, err = parts(body)
	return s, err
}

// parts reads the Deltas in a snapshot's body.
func parts(body []byte) ([]Message, error) {
	decoder, err := zstd.NewReader(bytes.NewReader(body), zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxWindow(8<<20))
	if err != nil {
		return nil, err
	}
	defer decoder.Close()
	content, err := io.ReadAll(decoder)
	if err != nil {
		return nil, err
	}
	var list []Message
	for len(content) > 0 {
		part, n := protowire.ConsumeBytes(content)
		if n < 0 {
			return nil, protowire.ParseError(n)
		}
		content = content[n:]
		list = append(list, ParseMessage(part).Inner(KindDelta))
	}
	return list, nil
}

// Load replaces the feed by a snapshot; the cursor goes last.
func (f *Feed) Load(s Snapshot) error {
	for _, d := range s.Deltas {
		for _, row := range d.List(6) {
			f.Rows[row.Text(2)] = row.Bytes(3)
		}
	}
	if n := len(s.Deltas); n > 0 && (s.Deltas[0].Uint(4) != 0 || s.Deltas[n-1].Uint(5) != s.Offset) {
		return ErrGap
	}
	f.Epoch, f.Offset, f.Head = s.Epoch, s.Offset, max(f.Head, s.Offset)
	return nil
}
