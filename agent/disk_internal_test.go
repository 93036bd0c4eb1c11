package agent

import (
	"bytes"
	"context"
	"log/slog"
	"os"
	"path/filepath"
	"testing"

	"counterpart/protocol"
	"counterpart/protocol/ledger"
	"counterpart/protocol/ledger/bolt"
)

// TestStagesBeginAndEnd walks disks of several sizes through their stages. A
// stage ends a little later than it begins, and a large disk with room in
// plenty has none.
func TestStagesBeginAndEnd(t *testing.T) {
	const mib, gib = 1 << 20, 1 << 30
	for _, c := range []struct {
		name  string
		total int64
		free  int64
		now   stage
		want  stage
	}{
		{"nothing is known", 0, -1, stageOK, stageOK},
		{"half used", 100 * mib, 50 * mib, stageOK, stageOK},
		{"79 %", 100 * mib, 21 * mib, stageOK, stageOK},
		{"81 %", 100 * mib, 19 * mib, stageOK, stageTrim},
		{"79 % after 81 %", 100 * mib, 21 * mib, stageTrim, stageTrim},
		{"77 % after 81 %", 100 * mib, 23 * mib, stageTrim, stageOK},
		{"91 %", 100 * mib, 9 * mib, stageOK, stageLow},
		{"89 % after 91 %", 100 * mib, 11 * mib, stageLow, stageLow},
		{"89 %", 100 * mib, 11 * mib, stageTrim, stageTrim},
		{"96 %", 100 * mib, 4 * mib, stageLow, stageReserve},
		{"94 % after 96 %", 100 * mib, 6 * mib, stageReserve, stageReserve},
		{"less than nothing", 100 * mib, -mib, stageFull, stageReserve},
		{"96 % of a large disk", 500 * gib, 20 * gib, stageOK, stageOK},
		{"99 % of a large disk", 500 * gib, 5 * gib, stageOK, stageTrim},
		{"1 GiB of a large disk", 500 * gib, gib, stageOK, stageLow},
		{"200 MiB of a large disk", 500 * gib, 200 * mib, stageOK, stageReserve},
	} {
		if got := (room{c.total, c.free}).stage(c.now); got != c.want {
			t.Errorf("%s: %s, want %s", c.name, got, c.want)
		}
	}
}

// smallDisk is a database with a low limit on a disk of which the test says how
// much is free. Freeing its rows is what makes room.
func smallDisk(t *testing.T) (*disk, *bolt.DB, *room) {
	t.Helper()
	dir := t.TempDir()
	db, err := bolt.Open(filepath.Join(dir, "agent.db"), bolt.Options{Kind: "agent", SizeMax: 1 << 20})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Close() })
	d := newDisk(dir, db, func() {}, slog.New(slog.DiscardHandler))
	now := &room{total: 64 << 20, free: 60 << 20}
	d.room = func(string) room { return *now }
	return d, db, now
}

func write(d ledger.Driver, id string, size int) error {
	return d.Update(context.Background(), func(tx ledger.Tx) error {
		var value []byte
		if size > 0 {
			value = bytes.Repeat([]byte{1}, size)
		}
		return tx.Write([]ledger.Row{{Key: ledger.Key{Table: ledger.Notes, ID: id}, Value: value}})
	})
}

func names(n int) string { return string([]byte{'n', byte(n >> 8), byte(n)}) }

// TestI19_RefusedSaleTakesTheReserve fills a database until a change is refused.
// The reserve is given up but for what trimming needs, the stage is full, and
// both are mended when there is room.
func TestI19_RefusedSaleTakesTheReserve(t *testing.T) {
	d, db, now := smallDisk(t)
	tills, below := selling{newDatabase(db), d}, following{newDatabase(db), d}
	if d.look() != stageOK || d.reserve.held() != reserveBytes(now.total) {
		t.Fatalf("stage %s, a reserve of %d bytes", d.stage(), d.reserve.held())
	}
	written := 0
	refused := func(by ledger.Driver) {
		t.Helper()
		var err error
		for ; err == nil; written++ {
			err = write(by, names(written), 3000)
		}
		if protocol.CodeOf(err) != protocol.DiskFull {
			t.Fatalf("change %d: %v", written, err)
		}
	}
	refused(below)
	if d.stage() != stageReserve || d.reserve.held() != reserveBytes(now.total) {
		t.Errorf("after what came down was refused: stage %s, a reserve of %d bytes", d.stage(), d.reserve.held())
	}
	refused(tills)
	if left := d.reserve.held(); d.stage() != stageFull || left != reserveBytes(now.total)/lastOneIn {
		t.Errorf("after a sale was refused: stage %s, a reserve of %d bytes", d.stage(), left)
	}
	if d.look() != stageFull {
		t.Errorf("the stage is %s without any room", d.stage())
	}
	for i := range written {
		if err := write(db, names(i), 0); err != nil {
			t.Fatal(err)
		}
	}
	if err := write(tills, "sale", 3000); err != nil {
		t.Fatalf("a sale with room: %v", err)
	}
	if d.stage() != stageReserve {
		t.Errorf("after a sale: stage %s", d.stage())
	}
	d.look()
	if d.look() != stageOK || d.reserve.held() != reserveBytes(now.total) {
		t.Errorf("with room: stage %s, a reserve of %d bytes", d.stage(), d.reserve.held())
	}
}

// TestReserveFollowsTheFigures gives the reserve up at 95 % and makes it again,
// and never because of its own room.
func TestReserveFollowsTheFigures(t *testing.T) {
	d, _, now := smallDisk(t)
	d.look()
	now.free = now.total / 25
	for range 3 {
		if d.look() != stageReserve || d.reserve.held() >= reserveBytes(now.total) {
			t.Fatalf("stage %s, a reserve of %d bytes", d.stage(), d.reserve.held())
		}
		// The stage would end here, but for the room that the reserve had.
		now.free = now.total/100*7 + reserveBytes(now.total)/2
	}
	now.free = now.total / 4
	if d.look() != stageOK || d.reserve.held() != reserveBytes(now.total) {
		t.Errorf("with room: stage %s, a reserve of %d bytes", d.stage(), d.reserve.held())
	}
	entries, err := os.ReadDir(d.dir)
	if err != nil || len(entries) != 2 {
		t.Errorf("the folder holds %v: %v", entries, err)
	}
}

// TestStartOnAFullDiskIsCountedLate demands that the first change which is
// written also counts the start, once.
func TestStartOnAFullDiskIsCountedLate(t *testing.T) {
	a, ctx := open(t), t.Context()
	boot := func() uint32 {
		t.Helper()
		var id *ledger.Identity
		if err := a.db.View(ctx, func(r ledger.Reader) (err error) {
			id, err = ledger.ReadIdentity(r)
			return err
		}); err != nil {
			t.Fatal(err)
		}
		return id.Boot
	}
	first := boot()
	id, err := a.startFull(ctx, os.ErrInvalid)
	if err != nil || id.Boot != first+1 || boot() != first {
		t.Fatalf("start %d after %d, stored %d: %v", id.Boot, first, boot(), err)
	}
	tills := selling{a.db, a.disk}
	for range 2 {
		if err := write(tills, "sale", 10); err != nil {
			t.Fatal(err)
		}
		if boot() != first+1 {
			t.Errorf("start %d is stored, want %d", boot(), first+1)
		}
	}
	if a.disk.late.Load() != nil {
		t.Error("the start would be counted again")
	}
}
