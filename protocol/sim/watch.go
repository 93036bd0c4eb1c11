package sim

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"maps"
	"slices"
	"strings"

	"counterpart/protocol"
	"counterpart/protocol/ledger"
)

// watch is the auditor's eye on one disk. It looks at the rows of each commit
// before they are there, by its own reading of them, and keeps its own record
// of where every stream stands.
type watch struct {
	w    *world
	disk *disk
	own  protocol.Inc // the stream that the machine writes; zero at the hub

	heads  map[protocol.Inc]head
	staged map[protocol.Inc]head
	// told is how far the machine's cursor of its store's event feed was found
	// to be honest (I10).
	told    uint64
	listing []entry // the hub's event feeds, as the commit would lengthen them
	trimmed int
	chained []byte // room for what a hash is taken of
	// again are the events that streams of the disk hold under another id than
	// their own, by their own, with the fingerprints of their records.
	again    map[protocol.EventID][]uint64
	reissued []reissued
	// forgotten are events that a commit deletes, which the hub had once.
	forgotten []protocol.EventID
	gaps      []ledger.Gap // where the commit records some
	// cut is the stretch of each stream that the commit deletes.
	cut map[protocol.Inc]stretch
	// registers are what the disk said of orders last.
	registers map[string]register
	arrived   []*act     // what the hub would hold after the commit
	hubs      []reissued // of the hub's own streams
}

type stretch struct{ low, high protocol.Seq }

// reissued is an event by its record; most often one that a commit would log again.
type reissued struct {
	id    protocol.EventID
	print uint64
}

// head is where a stream ends.
type head struct {
	seq  protocol.Seq
	hash protocol.Hash
}

// entry is a step of a store's event feed: one event.
type entry struct {
	store protocol.StoreID
	inc   protocol.Inc
	seq   protocol.Seq
}

func newWatch(w *world, d *disk) *watch {
	return &watch{
		w: w, disk: d, heads: map[protocol.Inc]head{}, staged: map[protocol.Inc]head{}, again: map[protocol.EventID][]uint64{},
		cut: map[protocol.Inc]stretch{}, registers: map[string]register{},
	}
}

const hashBytes = sha256.Size

// inspect judges the rows of a transaction that is about to commit.
func (v *watch) inspect(tx ledger.Reader, rows []ledger.Row) error {
	clear(v.staged)
	clear(v.cut)
	v.listing, v.reissued, v.forgotten, v.arrived, v.hubs = v.listing[:0], v.reissued[:0], v.forgotten[:0], v.arrived[:0], v.hubs[:0]
	var streams []protocol.Origin
	peer := false
	for _, r := range rows {
		switch {
		case r.Key.Table == ledger.States && strings.HasPrefix(r.Key.ID, "stream\x00"):
			if o, ok := originOf(r.Key.ID); ok {
				v.w.books.origins[o.Inc] = o
				streams = append(streams, o)
			}
		case r.Key.Table == ledger.States && strings.HasPrefix(r.Key.ID, partPrefix):
			v.climbs(r)
		case r.Key.Table == ledger.Notes && strings.HasPrefix(r.Key.ID, "cursor\x00peer/"):
			peer = true
		}
	}
	v.readGaps(tx, rows)
	for _, r := range rows {
		if r.Key.Table == ledger.Events {
			v.events(r)
		}
	}
	v.jump()
	v.cutBack()
	if v.w.cloud != nil && v.disk == v.w.cloud.disk {
		v.w.carts.inspect(rows)
		v.w.courier.inspect(rows)
		v.w.timed(rows)
	}
	for _, o := range streams {
		v.cursor(tx, o)
	}
	if peer && v.w.err == nil {
		v.feedCursor(tx)
	}
	return v.w.err
}

// originOf reads the key of a stream's row.
func originOf(id string) (protocol.Origin, bool) {
	parts := strings.Split(id, "\x00")
	if len(parts) != 4 {
		return protocol.Origin{}, false
	}
	o := protocol.Origin{Store: protocol.StoreID(parts[1]), Agent: protocol.AgentID(parts[2])}
	inc, err := hex.DecodeString(parts[3])
	copy(o.Inc[:], inc)
	return o, err == nil && len(inc) == len(o.Inc)
}

func (v *watch) head(inc protocol.Inc) head {
	if h, ok := v.staged[inc]; ok {
		return h
	}
	return v.heads[inc]
}

// events holds the events of a row to their rules, each as if it had a row of
// its own.
func (v *watch) events(r ledger.Row) {
	if r.Value == nil {
		v.jump()
		v.deleted(r.Key, eventID(r.Key))
		return
	}
	err := v.w.eventsOf(r, func(l logged) {
		v.jump()
		v.event(l.id, l.row)
	})
	if err != nil {
		v.w.fail("%s: %v (I5)", v.disk.name, err)
	}
}

// event holds one event's row to I4, I5 and I7.
func (v *watch) event(id protocol.EventID, row []byte) {
	inc, seq := id.Inc, id.Seq
	at := v.head(inc)
	if seq != at.seq+1 {
		v.w.fail("%s: event %d of %x is written where the stream ends at %d (I4, I5)", v.disk.name, seq, inc[:4], at.seq)
		return
	}
	o := v.w.books.origins[inc]
	previous := at.hash
	if at.seq == 0 {
		previous = sha256.Sum256([]byte("counterpart/1\n" + string(o.Store) + "\n" + string(o.Agent) + "\n" + hex.EncodeToString(inc[:]) + "\n"))
	}
	record := row[hashBytes:]
	v.chained = append(append(v.chained[:0], previous[:]...), record...)
	hash := protocol.Hash(sha256.Sum256(v.chained))
	if hash != protocol.Hash(row[:hashBytes]) {
		v.w.fail("%s: event %d of %x does not continue its chain (I5)", v.disk.name, seq, inc[:4])
	}
	v.staged[inc] = head{seq, hash}
	if v.w.forked {
		if again, ok := v.w.unwrap(record); ok {
			v.reissued = append(v.reissued, again)
		}
	}
	if v.disk == v.w.cloud.disk {
		v.w.cloud.mayCommit(v.w, inc, seq)
		v.arrives(id, o, record)
		if o.Agent == protocol.HubAgent {
			v.hubs = append(v.hubs, reissued{id, fingerprint(record)})
		}
		if o.Store != protocol.ChainStore {
			v.listing = append(v.listing, entry{o.Store, inc, seq})
		}
	}
}

// unwrap tells which event a record logs again, if it does. A record is met on
// many disks and is decoded once.
func (w *world) unwrap(record []byte) (again reissued, ok bool) {
	print := fingerprint(record)
	again, known := w.unwrapped[print]
	if !known {
		again = decodeReissue(record)
		w.unwrapped[print] = again
	}
	return again, again != reissued{}
}

// decodeReissue is zero for a record that logs nothing again.
func decodeReissue(record []byte) reissued {
	rec, err := protocol.RecordFromBytes(record)
	if err != nil {
		return reissued{}
	}
	ev, err := protocol.DecodeEvent(rec.Body)
	if err != nil || ev.Reissue == nil {
		return reissued{}
	}
	return reissued{ev.Reissue.ID, fingerprint(ev.Reissue.Record.AppendTo(nil))}
}

// deleted holds the end of an event to I2 and I7: the hub has the very same, or
// the machine has logged it again.
func (v *watch) deleted(key ledger.Key, id protocol.EventID) {
	if v.disk == v.w.cloud.disk {
		v.w.fail("the hub deletes event %d of %x (I2)", id.Seq, id.Inc[:4])
		return
	}
	row := v.disk.row(key)
	cut, ok := v.cut[id.Inc]
	if !ok {
		cut = stretch{id.Seq, id.Seq}
	}
	v.cut[id.Inc] = stretch{min(cut.low, id.Seq), max(cut.high, id.Seq)}
	switch {
	case row == nil, bytes.Equal(row, v.w.cloud.disk.event(id.Inc, id.Seq)):
		v.trimmed++
	case v.w.cloud.before != nil && bytes.Equal(row, v.w.cloud.before.event(id.Inc, id.Seq)):
		// The hub had it, until somebody accepted that it may be gone.
		v.forgotten = append(v.forgotten, id)
	case slices.Contains(v.again[id], fingerprint(row[hashBytes:])):
	default:
		if again, ok := v.w.unwrap(row[hashBytes:]); !ok || !slices.Contains(v.again[again.id], again.print) {
			v.w.fail("%s deletes event %d of %x, which the hub does not hold (%d) (I7)", v.disk.name, id.Seq, id.Inc[:4], v.w.cloud.disk.watch.heads[id.Inc].seq)
		}
	}
}

// cutBack lets streams of which the end was deleted end where they do.
func (v *watch) cutBack() {
	for inc, cut := range v.cut {
		if v.head(inc).seq == cut.high {
			h := head{seq: cut.low - 1}
			if row := v.disk.event(inc, h.seq); row != nil {
				copy(h.hash[:], row)
			}
			v.staged[inc] = h
		}
	}
}

// row is a row of a disk as it was committed last, nil where there is none.
func (d *disk) row(key ledger.Key) (value []byte) {
	err := d.db.View(d.w.ctx, func(r ledger.Reader) error {
		values, err := r.Load([]ledger.Key{key})
		if err == nil {
			value = values[0]
		}
		return err
	})
	if err != nil {
		d.w.fail("%s: %v", d.name, err)
	}
	return value
}

// watchOf is a watch on a database that was some disk's before.
func (w *world) watchOf(name string, db *ledger.Memory) *watch {
	v := &watch{w: w, disk: &disk{w: w, name: name, db: db}}
	v.reread()
	return v
}

// holds tells whether the disk holds an act, where it was logged first or again.
func (v *watch) holds(a *act) bool {
	row := v.disk.event(a.id.Inc, a.id.Seq)
	return row != nil && fingerprint(row[hashBytes:]) == a.print || slices.Contains(v.again[a.id], a.print)
}

// reread learns the state of a disk whose content was replaced.
func (v *watch) reread() {
	v.disk.version++
	v.registers = map[string]register{}
	v.heads, v.staged, v.again, v.told = map[protocol.Inc]head{}, map[protocol.Inc]head{}, map[protocol.EventID][]uint64{}, 0
	v.w.view(v.disk, func(r ledger.Reader) error {
		streams, err := ledger.AllStreams(r)
		for _, s := range streams {
			v.heads[s.Origin.Inc] = head{s.Seq, s.Hash}
		}
		if err != nil {
			return err
		}
		hub := v.w.cloud != nil && v.disk == v.w.cloud.disk
		if hub {
			v.w.cloud.book = newBook()
		}
		return r.Scan(ledger.Events, "", "", func(id string, row []byte) (bool, error) {
			return true, v.w.eventsOf(ledger.Row{Key: ledger.Key{Table: ledger.Events, ID: id}, Value: row}, func(l logged) {
				id, record := l.id, l.row[hashBytes:]
				print := fingerprint(record)
				if again, ok := v.w.unwrap(record); ok {
					v.again[again.id] = append(v.again[again.id], again.print)
					id, print = again.id, again.print
				}
				if a := v.w.books.find(id, print); hub && a != nil {
					v.w.cloud.book.add(a)
				}
			})
		})
	})
}

// cursor holds a stream's row to its events (I6).
func (v *watch) cursor(tx ledger.Reader, o protocol.Origin) {
	s, err := ledger.ReadStream(tx, o)
	at := v.head(o.Inc)
	if err != nil || s.Seq != at.seq || s.Seq > 0 && s.Hash != at.hash {
		v.w.fail("%s: the cursor of %s says %d, its events end at %d (I6) %v", v.disk.name, o.Agent, s.Seq, at.seq, err)
	}
}

// feedCursor holds a machine's cursor of its store's event feed to what the
// machine has: every event of the feed up to there (I10).
func (v *watch) feedCursor(tx ledger.Reader) {
	o := v.w.books.origins[v.own]
	c, err := ledger.ReadCursor(tx, protocol.PeerFeed(o.Store))
	if err != nil {
		v.w.fail("%s: %v", v.disk.name, err)
		return
	}
	if c.Offset < v.told {
		v.told = c.Offset // begun anew
	}
	if v.w.cloud.hub != nil && v.w.cloud.hub.Epoch() != v.w.cloud.epoch {
		v.w.cloud.epoch, v.w.cloud.stale = v.w.cloud.hub.Epoch(), false
	}
	if c.Epoch != v.w.cloud.epoch || v.w.cloud.stale {
		v.told = 0
		return // offsets of an epoch that is over mean nothing
	}
	list := v.w.cloud.feeds[o.Store]
	if c.Offset > uint64(len(list)) {
		v.w.fail("%s: its cursor stands at %d, the feed ends at %d (I10)", v.disk.name, c.Offset, len(list))
		return
	}
	for ; v.told < c.Offset; v.told++ {
		e := list[v.told]
		if v.head(e.inc).seq < e.seq && len(v.again[protocol.EventID{Inc: e.inc, Seq: e.seq}]) == 0 {
			v.w.fail("%s: its cursor stands at %d, event %d of %x at %d is not here (I10)", v.disk.name, c.Offset, e.seq, e.inc[:4], v.told+1)
			return
		}
	}
}

// commit makes what inspect saw the state of things.
func (v *watch) commit() {
	maps.Copy(v.heads, v.staged)
	for _, e := range v.listing {
		v.w.cloud.feeds[e.store] = append(v.w.cloud.feeds[e.store], e)
	}
	for _, p := range v.hubs {
		v.w.cloud.wrote(p.id, p.print)
	}
	for _, e := range v.reissued {
		v.again[e.id] = append(v.again[e.id], e.print)
	}
	if v.disk == v.w.cloud.disk {
		v.w.carts.commit()
		v.w.courier.commit(v.arrived)
	}
	for _, a := range v.arrived {
		if v.w.club != nil && !v.w.cloud.book.counted[a] {
			v.w.club.fillCart(a)
		}
		v.w.cloud.book.add(a)
	}
	v.listing, v.reissued, v.arrived, v.hubs = v.listing[:0], v.reissued[:0], v.arrived[:0], v.hubs[:0]
	clear(v.staged)
}
