package agent

import (
	"log/slog"
	"sync"
	"sync/atomic"

	"counterpart/protocol/ledger"
	"counterpart/protocol/ledger/bolt"
)

// stage is how short of room the disk is. Each one does what those below it do.
type stage int32

// The stages, by the names that GET /v1/status shows.
const (
	stageOK      stage = iota
	stageTrim          // what is safe at the hub is kept for days only
	stageLow           // nothing comes down that is not needed for selling now
	stageReserve       // the reserve is given up, so that selling goes on
	stageFull          // a sale was refused, and no room has been seen since
)

func (s stage) String() string {
	return [...]string{"ok", "trim", "low", "reserve", "full"}[s]
}

// bound is where a stage begins: from a percentage of the disk on, but not while
// there is room in plenty. A large disk that is mostly full of other things is
// no reason to stop anything.
type bound struct {
	stage     stage
	percent   int64
	freeBytes int64
}

var bounds = [...]bound{
	{stageTrim, 80, 8 << 30},
	{stageLow, 90, 2 << 30},
	{stageReserve, 95, 256 << 20},
}

// backPercent is how far below its beginning a stage ends, so that a disk which
// stands at a bound does not go to and fro.
const backPercent = 2

// room is how large a disk or a limit is, and what of it is free. A total of 0
// says nothing.
type room struct{ total, free int64 }

// stage is where the room stands for a disk that was in stage now.
func (r room) stage(now stage) stage {
	s := stageOK
	for _, b := range bounds {
		free, percent := b.freeBytes, b.percent
		if now >= b.stage {
			free, percent = free+free/4, percent-backPercent
		}
		if r.total > 0 && r.free < free && r.free < r.total/100*(100-percent) {
			s = b.stage
		}
	}
	return s
}

// disk watches the disk below the data folder, keeps the reserve on it, and
// knows the stage.
type disk struct {
	dir     string
	room    func(dir string) room
	data    func() room // the database within its own limit
	changed func()
	log     *slog.Logger
	wake    chan struct{} // there is something to look at now

	now atomic.Int32 // the stage
	// late is what has to be written with the first change for which there is
	// room, nil for nothing.
	late atomic.Pointer[func(ledger.Tx) error]

	mu      sync.Mutex
	reserve reserve
	// short says that a write was refused for want of room, and refused that one
	// was refused although the reserve had been given up. Both hold until there
	// is room again: the figures of the file system alone do not tell, where
	// there are quotas or another limit.
	short, refused bool
}

func newDisk(dir string, db *bolt.DB, changed func(), log *slog.Logger) *disk {
	return &disk{
		dir: dir, room: diskRoom, changed: changed, log: log, wake: make(chan struct{}, 1), reserve: reserve{dir: dir},
		data: func() room { return room{total: db.SizeMax(), free: db.SizeMax() - db.UsedBytes()} },
	}
}

func (d *disk) stage() stage { return stage(d.now.Load()) }

// look finds out the stage and does what it asks for with the reserve.
func (d *disk) look() stage {
	d.mu.Lock()
	defer d.mu.Unlock()
	s := d.measure()
	if d.short || d.refused {
		if d.hasRoom() {
			d.short, d.refused = false, false
		}
	}
	switch {
	case s >= stageReserve:
		d.reserve.giveUp()
	case !d.short && d.reserve.make(reserveBytes(d.room(d.dir).total)) != nil:
		d.short = true
	}
	d.enter(s)
	return d.stage()
}

// measure is the stage by the figures. The reserve counts as used also while it
// is given up; otherwise giving it up would end the stage that asked for it.
func (d *disk) measure() stage {
	r := d.room(d.dir)
	r.free -= max(0, reserveBytes(r.total)-d.reserve.held())
	return max(r.stage(d.stage()), d.data().stage(d.stage()))
}

// hasRoom tries whether something can be written again.
func (d *disk) hasRoom() bool {
	if data := d.data(); data.total > 0 && data.free < max(data.total/50, reserveBytesMin) {
		return false
	}
	return d.reserve.try()
}

// enter takes the stage that the figures give, or a higher one.
func (d *disk) enter(s stage) {
	if d.short {
		s = max(s, stageReserve)
	}
	if d.refused {
		s = stageFull
	}
	before := stage(d.now.Swap(int32(s)))
	if s == before {
		return
	}
	say := d.log.Info
	if s > before && s >= stageLow {
		say = d.log.Warn
	}
	say("disk", "stage", s.String(), "before", before.String(), "free", d.room(d.dir).free)
	select {
	case d.wake <- struct{}{}:
	default:
	}
	d.changed()
}

// noRoom is told that a write was refused. The reserve is given up if the write
// may have it.
func (d *disk) noRoom(mayHaveReserve bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.short = true
	if mayHaveReserve {
		d.reserve.giveUp()
	}
	d.enter(d.measure())
}

// noSale is told whether a sale was refused although the reserve was given up.
func (d *disk) noSale(refused bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if refused == d.refused {
		return
	}
	d.short, d.refused = true, refused
	d.enter(d.measure())
}

// noTrim is told that not even deleting has room, and gives up what was kept
// back for it.
func (d *disk) noTrim() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.short = true
	d.reserve.giveUpLast()
	d.enter(d.measure())
}

// diskState is what status and metrics show.
type diskState struct {
	State     string
	FreeBytes int64 // less than 0 when unknown
	DataBytes int64
}

func (d *disk) read() diskState {
	data := d.data()
	return diskState{State: d.stage().String(), FreeBytes: d.room(d.dir).free, DataBytes: data.total - data.free}
}
