package uplink_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"counterpart/agent/uplink"
	"counterpart/protocol"
	"counterpart/protocol/ledger"

	"github.com/klauspost/compress/zstd"
)

// farBehind is when an engine of these tests fetches the store's state.
func farBehind(c *uplink.Config) { c.StateBehind = 20 }

func TestLongWayIsNotGoneStepByStep(t *testing.T) {
	r := newEngineRig(t, 0, farBehind, ledger.Cursor{FeedPos: protocol.FeedPos{Feed: peer}})
	r.open(2, verdictOf(protocol.VerdictTail, peer, 2, 100))
	if n := len(asked[uplink.Fetch](r.take())); n != 1 || r.feed().State != "snapshot" {
		t.Fatalf("%d fetches, the feed shows %+v", n, r.feed())
	}
	r.hears(&protocol.Delta{Session: engineSession, Feed: peer, Epoch: 2, Upto: 10})
	if n := len(asked[uplink.Apply](r.take())); n > 0 {
		t.Error("an event was applied while the state is being loaded")
	}
	r.step(uplink.Applied{Feed: peer, Cursor: cursorAt(peer, 2, 90)})
	if asks := sent[*protocol.Dack](r.take()); len(asks) != 1 || asks[0].Offset != 90 {
		t.Errorf("behind the state it asked %+v", asks)
	}
	r.hears(&protocol.Delta{Session: engineSession, Feed: peer, Epoch: 2, After: 90, Upto: 100})
	if n := len(asked[uplink.Apply](r.take())); n != 1 {
		t.Error("what follows the state was not applied")
	}
}

// TestShortWayIsGoneStepByStep: an agent that is not far behind, or for which
// nobody fetches states, folds the events.
func TestShortWayIsGoneStepByStep(t *testing.T) {
	for name, c := range map[string]struct {
		change  func(*uplink.Config)
		cursor  uint64
		verdict protocol.FeedVerdict
		resets  int
	}{
		"a short feed":            {farBehind, 0, verdictOf(protocol.VerdictTail, peer, 2, 20), 0},
		"a cursor near the head":  {farBehind, 80, verdictOf(protocol.VerdictTail, peer, 2, 100), 0},
		"the simulator":           {nil, 0, verdictOf(protocol.VerdictTail, peer, 2, 100), 0},
		"most of it is held":      {farBehind, 0, protocol.FeedVerdict{Feed: peer, Epoch: 2, Head: 100, Verdict: protocol.VerdictResync, From: 85}, 1},
		"a feed of another epoch": {nil, 0, protocol.FeedVerdict{Feed: peer, Epoch: 2, Head: 100, Verdict: protocol.VerdictResync}, 1},
	} {
		cursor := cursorAt(peer, 2, c.cursor)
		r := newEngineRig(t, 0, c.change, cursor)
		r.open(2, c.verdict)
		outs := r.take()
		if n := len(asked[uplink.Fetch](outs)); n > 0 {
			t.Errorf("%s: %d states are fetched", name, n)
		}
		if n := len(asked[uplink.Reset](outs)); n != c.resets {
			t.Errorf("%s: %d resets, want %d", name, n, c.resets)
		}
	}
}

// TestEventsAreTheWayWithoutAState: where the state cannot be had, because the
// hub is older or what is here does not fit, the events come down as ever.
func TestEventsAreTheWayWithoutAState(t *testing.T) {
	for name, verdict := range map[string]protocol.FeedVerdict{
		"tail":   verdictOf(protocol.VerdictTail, peer, 2, 100),
		"resync": {Feed: peer, Epoch: 2, Head: 100, Verdict: protocol.VerdictResync},
	} {
		r := newEngineRig(t, 0, farBehind, ledger.Cursor{FeedPos: protocol.FeedPos{Feed: peer}})
		r.answerBeats(protocol.FeedPos{Feed: peer, Epoch: 2, Offset: 100})
		r.open(2, verdict)
		if n := len(asked[uplink.Fetch](r.take())); n != 1 {
			t.Fatalf("%s: %d fetches", name, n)
		}
		r.step(uplink.Applied{Feed: peer, Err: errUnavailable})
		r.pass(3 * time.Second)
		if resets := asked[uplink.Reset](r.outs); len(resets) > 0 {
			r.step(uplink.Applied{Feed: peer, Cursor: cursorAt(peer, 2, 0)})
		}
		outs := r.take()
		if asks := sent[*protocol.Dack](outs); len(asks) == 0 || len(asked[uplink.Fetch](outs)) > 0 {
			t.Fatalf("%s: after a failure it asked for %v", name, outs)
		}
		r.hears(&protocol.Delta{Session: engineSession, Feed: peer, Epoch: 2, Upto: 10})
		if n := len(asked[uplink.Apply](r.take())); n != 1 {
			t.Errorf("%s: the events are not applied", name)
		}
	}
}

// storeHistory lets a sibling and this machine log events, of which the sibling
// and the hub hold all, and this machine its own.
func storeHistory(t *testing.T, siblings, own int) (hub, here *ledger.Memory) {
	t.Helper()
	hub, here = ledger.NewMemory(), ledger.NewMemory()
	log := func(o protocol.Origin, drivers ...*ledger.Memory) {
		for _, d := range drivers {
			err := d.Update(t.Context(), func(tx ledger.Tx) error {
				res, err := ledger.Log(tx, o, protocol.Clock{WallMs: 1}, &protocol.Event{
					Kind: "noted", Moves: []protocol.Move{{SKU: protocol.SKU(fmt.Sprint("SKU-", own)), State: protocol.OnHand, Delta: -1000}},
				})
				if err == nil {
					_, err = ledger.AppendPeer(tx, o, res.Stream.Seq, 1)
				}
				return err
			})
			if err != nil {
				t.Fatal(err)
			}
		}
	}
	for range siblings {
		log(protocol.Origin{Store: "s1", Agent: "a2", Inc: protocol.Inc{2}}, hub)
	}
	for range own {
		log(engineOrigin, hub, here)
	}
	return hub, here
}

// standingOf is a snapshot of a store's state as the hub builds it.
func standingOf(t *testing.T, hub ledger.Driver, epoch uint64) (uplink.Snapshot, string) {
	t.Helper()
	snap := uplink.Snapshot{FeedPos: protocol.FeedPos{Feed: peer, Epoch: epoch}}
	rows := []protocol.FeedRow{{}}
	err := hub.View(t.Context(), func(r ledger.Reader) (err error) {
		if snap.Offset, err = ledger.FeedHead(r, peer); err != nil {
			return err
		}
		return ledger.ScanStanding(r, "s1", func(row ledger.StandingRow) error {
			rows = append(rows, protocol.FeedRow{Offset: uint64(len(rows) + 1), Key: row.Name, Value: bytes.Clone(row.Value)})
			return nil
		})
	})
	if err != nil {
		t.Fatal(err)
	}
	head := ledger.StandingHead(uint64(len(rows) - 1))
	rows[0] = protocol.FeedRow{Offset: 1, Key: head.Name, Value: head.Value}
	made, body := snapshotOf(t, peer, epoch, rows)
	snap.Sum = made.Sum
	return snap, body
}

// heads are the events that a machine has folded of each agent's streams.
func heads(t *testing.T, d ledger.Driver) string {
	t.Helper()
	var list []string
	err := d.View(context.Background(), func(r ledger.Reader) error {
		streams, err := ledger.Streams(r, "s1", "")
		for _, s := range streams {
			list = append(list, fmt.Sprint(s.Origin.Agent, ":", s.Seq))
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return strings.Join(list, " ")
}

// TestI11_BrokenFetchOfAStateGoesOn: over a line that breaks and a restart each
// byte of the state comes once, and until all of it is here nothing changes.
func TestI11_BrokenFetchOfAStateGoesOn(t *testing.T) {
	hub, memory := storeHistory(t, 300, 5)
	h, d, dir := newSnapshotHub(t), ledger.Standing(memory), t.TempDir()
	snap, body := standingOf(t, hub, 7)
	h.put(snap, body)
	h.set(func() { h.cut = len(body)/3 + 1 })
	ctx, stop := context.WithCancel(t.Context())
	h.set(func() { h.second = stop })
	if in := process(t, h, d, dir).FetchSnapshot(ctx, uplink.Fetch{Feed: peer}); in.Err == nil {
		t.Fatal("the broken fetch succeeded")
	}
	if got := heads(t, d); got != "a1:5" {
		t.Errorf("with half of the state the machine holds %s", got)
	}
	h.set(func() { h.ranges, h.second = nil, nil })
	second := process(t, h, d, dir)
	if err := second.CleanSnapshots(t.Context()); err != nil {
		t.Fatal(err)
	}
	in := second.FetchSnapshot(t.Context(), uplink.Fetch{Feed: peer})
	if in.Err != nil || in.Cursor.FeedPos != snap.FeedPos {
		t.Fatalf("fetched as %+v", in)
	}
	if got := heads(t, d); got != "a1:5 a2:300" {
		t.Errorf("the machine holds %s", got)
	}
	if len(h.ranges) == 0 || !strings.HasPrefix(h.ranges[0], "bytes=") || h.sent != len(body) {
		t.Errorf("asked for %q; %d bytes were sent of %d", h.ranges, h.sent, len(body))
	}
	if left := files(t, dir); len(left) > 0 {
		t.Errorf("left are %q", left)
	}
}

// load loads a snapshot that is here.
func load(t *testing.T, d ledger.Driver, snap uplink.Snapshot, body string) uplink.Applied {
	t.Helper()
	return uplink.LoadStanding(t.Context(), d, engineOrigin, snap, strings.NewReader(body))
}

// TestStateThatDoesNotFitChangesNothing: a state that lacks a row, holds one of
// another store, or stands against events that are only here is left alone.
func TestStateThatDoesNotFitChangesNothing(t *testing.T) {
	hub, memory := storeHistory(t, 30, 5)
	snap, body := standingOf(t, hub, 7)
	pack := func(rows ...protocol.FeedRow) (uplink.Snapshot, string) {
		var b bytes.Buffer
		z, err := zstd.NewWriter(&b)
		if err != nil {
			t.Fatal(err)
		}
		part, err := protocol.EncodeMessage(&protocol.Delta{Feed: peer, Epoch: 7, Upto: uint64(len(rows)), Rows: rows})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := z.Write(append(binary.AppendUvarint(nil, uint64(len(part))), part...)); err != nil {
			t.Fatal(err)
		}
		if err := z.Close(); err != nil {
			t.Fatal(err)
		}
		sum := sha256.Sum256(b.Bytes())
		return uplink.Snapshot{FeedPos: snap.FeedPos, Sum: hex.EncodeToString(sum[:])}, b.String()
	}
	head := func(others uint64) protocol.FeedRow {
		row := ledger.StandingHead(others)
		return protocol.FeedRow{Offset: 1, Key: row.Name, Value: row.Value}
	}
	for name, c := range map[string]func() (uplink.Snapshot, string){
		"a row is missing": func() (uplink.Snapshot, string) { return pack(head(1)) },
		"a row of another store": func() (uplink.Snapshot, string) {
			return pack(head(1), protocol.FeedRow{Offset: 2, Key: "level\x00s2\x00PEN"})
		},
		"a row of another kind": func() (uplink.Snapshot, string) {
			return pack(head(1), protocol.FeedRow{Offset: 2, Key: "item\x00PEN"})
		},
		"an unreadable row": func() (uplink.Snapshot, string) {
			return pack(head(1), protocol.FeedRow{Offset: 2, Key: "level\x00s1\x00PEN", Value: []byte{0xff}})
		},
		"other events of the own stream": func() (uplink.Snapshot, string) {
			other, _ := storeHistory(t, 1, 4)
			return standingOf(t, other, 7)
		},
		"more events of the own stream": func() (uplink.Snapshot, string) {
			other, _ := storeHistory(t, 1, 6)
			return standingOf(t, other, 7)
		},
	} {
		d := ledger.Standing(memory.Clone())
		other, otherBody := c()
		if in := load(t, d, other, otherBody); in.Err == nil {
			t.Errorf("%s: it was taken", name)
		}
		if got := heads(t, d); got != "a1:5" {
			t.Errorf("%s: the machine holds %s", name, got)
		}
		if in := load(t, d, snap, body); in.Err != nil || heads(t, d) != "a1:5 a2:30" {
			t.Errorf("%s: a good one after it: %v, %s", name, in.Err, heads(t, d))
		}
	}
}

// TestStateThatEndsTheProcessIsGivenUp: the events come one by one instead,
// where what is wrong can be set aside (I18).
func TestStateThatEndsTheProcessIsGivenUp(t *testing.T) {
	hub, memory := storeHistory(t, 30, 5)
	snap, body := standingOf(t, hub, 7)
	d := &faulty{Driver: ledger.Standing(memory), name: "SKU-5", how: "crash"}
	ends := 0
	for range 10 {
		d.stopped = false
		if in := load(t, d, snap, body); !d.stopped {
			if in.Err == nil || errors.Is(in.Err, context.Canceled) {
				t.Fatalf("it was given up with %v", in.Err)
			}
			break
		}
		ends++
	}
	if ends == 0 || ends > 3 {
		t.Errorf("the process ended %d times, want at most 3", ends)
	}
	if got := heads(t, ledger.Standing(memory)); got != "a1:5" {
		t.Errorf("the machine holds %s", got)
	}
}
