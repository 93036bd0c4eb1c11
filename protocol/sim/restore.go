package sim

import (
	"maps"
	"slices"
	"time"

	"counterpart/cloud/hub"
	"counterpart/protocol"
	"counterpart/protocol/ledger"
)

// backup is a copy of the hub's database.
type backup struct {
	db    *ledger.Memory
	feeds map[protocol.StoreID][]entry
	holds map[string]*held
}

// keepBackup backs the hub's database up.
func (c *cloud) keepBackup() {
	c.backups = append(c.backups, backup{db: c.disk.db.Clone(), feeds: maps.Clone(c.feeds), holds: c.w.carts.copy()})
	if len(c.backups) > 4 {
		c.backups = c.backups[1:]
	}
}

// restored says who puts a backup in the place of the hub's database: the
// command, which begins another epoch, with or without leave to go on where
// events are gone, or somebody who knows of no command.
type restored string

const (
	byCommand         restored = "by command"
	byCommandWithGaps restored = "by command, with gaps"
	byNobody          restored = "by hand"
)

// bringBack puts a backup in the place of the hub's database.
func (c *cloud) bringBack(how restored) {
	if len(c.backups) > 0 && !c.process.ended {
		c.w.club.eraseUnheard()
	}
	if len(c.backups) > 0 && !c.process.ended {
		down := upTo(c.rnd, 10*time.Minute)
		c.replaceBy(c.backups[c.rnd.IntN(len(c.backups))], how, down)
	}
}

// replaceBy puts a backup in the place of the hub's database, which is down for
// a while.
func (c *cloud) replaceBy(from backup, how restored, down time.Duration) {
	w := c.w
	w.tell("the hub's database is lost, a backup is put in its place %s", how)
	w.counts.Disasters++
	c.crash(down)
	w.forked = true
	before := c.disk.db
	_, above, err := life(w, before)
	var witness hub.Mark
	if err == nil {
		err = before.View(w.ctx, func(r ledger.Reader) (err error) {
			witness, err = hub.ReadMark(r)
			return err
		})
	}
	c.disk.replace(from.db.Clone())
	c.feeds = map[protocol.StoreID][]entry{}
	for store, list := range from.feeds {
		c.feeds[store] = slices.Clip(list)
	}
	c.stale, c.renewed = how == byNobody, true
	w.carts.restore(from.holds)
	w.shop.forget()
	w.courier.restored()
	if how == byCommandWithGaps {
		c.before = &disk{w: w, name: "the hub's lost disk", db: before}
	}
	switch {
	case err != nil:
	case how != byNobody:
		err = c.renew(above, how == byCommandWithGaps)
	case w.plan.Members > 0:
		err = c.compare(witness)
	}
	if err != nil {
		w.fail("hub is not restored: %v", err)
		return
	}
	for _, a := range w.books.order {
		a.lost = a.lost || !w.anywhere(a)
	}
}

// wrote holds the hub to using each number of its own streams once, whatever
// database was put in the place of its own (I4).
func (c *cloud) wrote(id protocol.EventID, print uint64) {
	before, known := c.prints[id]
	c.prints[id] = print
	if known && before != print {
		c.w.fail("the hub uses number %d of its stream %x twice (I4)", id.Seq, id.Inc[:4])
	}
}

// anywhere tells whether the hub or any machine of its store holds an act.
func (w *world) anywhere(a *act) bool {
	if w.cloud.disk.watch.holds(a) {
		return true
	}
	return slices.ContainsFunc(w.agents, func(m *machine) bool { return m.origin.Store == a.store && m.disk.watch.holds(a) })
}

func life(w *world, db *ledger.Memory) (id hub.Identity, epoch uint64, err error) {
	err = db.View(w.ctx, func(r ledger.Reader) (err error) {
		id, epoch, err = hub.Life(r)
		return err
	})
	return id, epoch, err
}

// compare does what a hub does at its start that finds the witness beside the
// database. Where nobody has points the folder goes back as a whole, without one, so
// that agents are the first to notice; with points to lend that is too late (I14).
func (c *cloud) compare(witness hub.Mark) error {
	c.disk.version++
	_, err := hub.RenewIfOlder(c.w.ctx, c.disk.db, witness, c.clock.wall())
	return err
}

// renew does what the command restore does to a backup.
func (c *cloud) renew(above uint64, acceptGaps bool) error {
	id, _, err := life(c.w, c.disk.db)
	if err != nil {
		return err
	}
	c.disk.version++
	return c.disk.db.Update(c.w.ctx, func(tx ledger.Tx) error {
		_, err := hub.Renew(tx, hub.Renewal{Identity: id, Above: above, Now: c.clock.wall(), AcceptGaps: acceptGaps})
		return err
	})
}
