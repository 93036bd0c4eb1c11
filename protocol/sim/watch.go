package sim

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"maps"
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
	return &watch{w: w, disk: d, heads: map[protocol.Inc]head{}, staged: map[protocol.Inc]head{}}
}

const hashBytes = sha256.Size

// inspect judges the rows of a transaction that is about to commit.
func (v *watch) inspect(tx ledger.Reader, rows []ledger.Row) error {
	clear(v.staged)
	v.listing = v.listing[:0]
	var streams []protocol.Origin
	peer := false
	for _, r := range rows {
		switch {
		case r.Key.Table == ledger.States && strings.HasPrefix(r.Key.ID, "stream\x00"):
			if o, ok := originOf(r.Key.ID); ok {
				v.w.books.origins[o.Inc] = o
				streams = append(streams, o)
			}
		case r.Key.Table == ledger.Notes && strings.HasPrefix(r.Key.ID, "cursor\x00peer/"):
			peer = true
		}
	}
	for _, r := range rows {
		if r.Key.Table == ledger.Events {
			v.event(r)
		}
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

// event holds one event's row to I4, I5 and I7.
func (v *watch) event(r ledger.Row) {
	var inc protocol.Inc
	copy(inc[:], r.Key.ID)
	seq := protocol.Seq(binary.BigEndian.Uint64([]byte(r.Key.ID[len(inc):])))
	at := v.head(inc)
	if r.Value == nil {
		v.deleted(inc, seq)
		return
	}
	if seq != at.seq+1 {
		v.w.fail("%s: event %d of %x is written where the stream ends at %d (I4, I5)", v.disk.name, seq, inc[:4], at.seq)
		return
	}
	previous := at.hash
	if at.seq == 0 {
		o := v.w.books.origins[inc]
		previous = sha256.Sum256([]byte("counterpart/1\n" + string(o.Store) + "\n" + string(o.Agent) + "\n" + hex.EncodeToString(inc[:]) + "\n"))
	}
	s := sha256.New()
	s.Write(previous[:])
	s.Write(r.Value[min(hashBytes, len(r.Value)):])
	var hash protocol.Hash
	s.Sum(hash[:0])
	if len(r.Value) < hashBytes || hash != protocol.Hash(r.Value[:hashBytes]) {
		v.w.fail("%s: event %d of %x does not continue its chain (I5)", v.disk.name, seq, inc[:4])
	}
	v.staged[inc] = head{seq, hash}
	o := v.w.books.origins[inc]
	if v.disk == v.w.cloud.disk {
		v.w.cloud.mayCommit(v.w, inc, seq)
		if o.Store != protocol.ChainStore {
			v.listing = append(v.listing, entry{o.Store, inc, seq})
		}
	}
}

// deleted holds the end of an event to I7: the hub has it, in its second copy
// too.
func (v *watch) deleted(inc protocol.Inc, seq protocol.Seq) {
	v.trimmed++
	switch {
	case v.disk == v.w.cloud.disk:
		v.w.fail("the hub deletes event %d of %x (I2)", seq, inc[:4])
	case v.w.cloud.disk.watch.heads[inc].seq < seq:
		v.w.fail("%s deletes event %d of %x, the hub holds %d (I7)", v.disk.name, seq, inc[:4], v.w.cloud.disk.watch.heads[inc].seq)
	}
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
	if c.Epoch != v.w.cloud.epoch {
		return // offsets of an epoch that is over mean nothing
	}
	list := v.w.cloud.feeds[o.Store]
	if c.Offset > uint64(len(list)) {
		v.w.fail("%s: its cursor stands at %d, the feed ends at %d (I10)", v.disk.name, c.Offset, len(list))
		return
	}
	for ; v.told < c.Offset; v.told++ {
		if e := list[v.told]; v.head(e.inc).seq < e.seq {
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
	v.listing = v.listing[:0]
	clear(v.staged)
}
