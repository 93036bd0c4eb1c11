package ledger

import (
	"encoding/binary"
	"fmt"

	"counterpart/protocol"

	"google.golang.org/protobuf/encoding/protowire"
)

// peerRow says which events a stretch of a store's event feed carries. Offsets
// of an event feed count events; a row stands at the offset of its last event.
type peerRow struct{ runs []peerRun }

// peerRun is a run of consecutive events of one stream.
type peerRun struct {
	origin protocol.Origin
	first  protocol.Seq
	count  uint64
}

func (p *peerRow) count() (n uint64) {
	for i := range p.runs {
		n += p.runs[i].count
	}
	return n
}

// add puts a run behind the others, joined with the last where it goes on with
// it.
func (p *peerRow) add(run peerRun) {
	if n := len(p.runs); n > 0 {
		if last := &p.runs[n-1]; last.origin == run.origin && last.first+protocol.Seq(last.count) == run.first {
			last.count += run.count
			return
		}
	}
	p.runs = append(p.runs, run)
}

// Encode writes a row. One run stands as it is, several name their streams by
// number.
func (p *peerRow) Encode() []byte {
	var f fields
	if len(p.runs) == 1 {
		run := &p.runs[0]
		appendOrigin(&f, run.origin)
		f.uint(4, uint64(run.first))
		f.uint(5, run.count)
		return f
	}
	numbers := map[protocol.Origin]uint64{}
	for i := range p.runs {
		o := p.runs[i].origin
		if _, ok := numbers[o]; !ok {
			numbers[o] = uint64(len(numbers))
			var g fields
			appendOrigin(&g, o)
			f.element(6, g)
		}
	}
	for i := range p.runs {
		run := &p.runs[i]
		var g fields
		g.uint(1, numbers[run.origin])
		g.uint(2, uint64(run.first))
		g.uint(3, run.count)
		f.element(7, g)
	}
	return f
}

func appendOrigin(f *fields, o protocol.Origin) {
	f.text(1, string(o.Store))
	f.text(2, string(o.Agent))
	f.bytes(3, o.Inc[:])
}

func (run *peerRun) field(num protowire.Number, v value) {
	switch num {
	case 1:
		run.origin.Store = protocol.StoreID(v.data)
	case 2:
		run.origin.Agent = protocol.AgentID(v.data)
	case 3:
		copy(run.origin.Inc[:], v.data)
	case 4:
		run.first = protocol.Seq(v.num)
	case 5:
		run.count = v.num
	}
}

func decodePeerRow(b []byte) (*peerRow, error) {
	p := &peerRow{}
	var single peerRun
	var origins []protocol.Origin
	err := decodeFields("peer row", b, func(num protowire.Number, v value) error {
		switch num {
		case 6:
			var o peerRun
			err := decodeFields("stream", v.data, func(num protowire.Number, v value) error {
				o.field(num, v)
				return nil
			})
			origins = append(origins, o.origin)
			return err
		case 7:
			run, err := decodePeerRun(v.data, origins)
			p.runs = append(p.runs, run)
			return err
		}
		single.field(num, v)
		return nil
	})
	if len(p.runs) == 0 {
		p.runs = []peerRun{single}
	}
	return p, err
}

func decodePeerRun(b []byte, origins []protocol.Origin) (run peerRun, err error) {
	var number uint64
	err = decodeFields("run", b, func(num protowire.Number, v value) error {
		switch num {
		case 1:
			number = v.num
		case 2:
			run.first = protocol.Seq(v.num)
		case 3:
			run.count = v.num
		}
		return nil
	})
	if err == nil && number >= uint64(len(origins)) {
		err = fmt.Errorf("stream %d of %d", number, len(origins))
	}
	if err == nil {
		run.origin = origins[number]
	}
	return run, err
}

// AppendPeer puts newly applied events of a store's stream on its event feed
// and returns the feed's new head. Now and then it packs what is there.
func AppendPeer(tx Tx, o protocol.Origin, first protocol.Seq, count int) (uint64, error) {
	g := NewGroup(tx)
	head, err := g.AppendPeer(o, first, count)
	if err != nil {
		return 0, err
	}
	return head, g.Flush()
}

const (
	// packEvery is how far an event feed grows before its rows are packed.
	packEvery = 1024
	// packRowsMax bounds one step, which matters only for a feed of a version
	// that did not pack.
	packRowsMax = 4 * packEvery
	// packRunsMax is how many runs a packed row takes: about one page.
	packRunsMax = 256
)

func packedKey(feed protocol.FeedID) Key { return Key{Feeds, "packed" + sep + string(feed)} }

// packPeer makes few rows of the many that an event feed has gained since it
// was last packed. Offsets stay what they are, so no reader notices.
func packPeer(tx Tx, feed protocol.FeedID) error {
	values, err := tx.Load([]Key{packedKey(feed)})
	if err != nil {
		return err
	}
	mark, err := decodeFeedHead(values[0])
	if err != nil {
		return err
	}
	var rows []Row
	var packed peerRow
	var last Key
	taken, scanned := 0, 0
	emit := func() {
		if taken > 1 {
			rows = append(rows, Row{Key: last, Value: packed.Encode()})
		}
		packed, taken = peerRow{}, 0
	}
	err = scanFeed(tx, feed, mark.offset, func(offset uint64, v []byte) (bool, error) {
		row, err := decodePeerRow(v)
		if err != nil {
			return false, err
		}
		if taken > 0 {
			rows = append(rows, Row{Key: last}) // it is part of a later row now
		}
		for _, run := range row.runs {
			packed.add(run)
		}
		last, mark.offset = feedKey(feed, offset), offset
		taken++
		scanned++
		if len(packed.runs) >= packRunsMax {
			emit()
		}
		return scanned < packRowsMax, nil
	})
	if err != nil {
		return err
	}
	emit()
	return tx.Write(append(rows, Row{Key: packedKey(feed), Value: mark.Encode()}))
}

func scanFeed(r Reader, feed protocol.FeedID, above uint64, fn func(offset uint64, value []byte) (bool, error)) error {
	from := feedKey(feed, above+1).ID
	return r.Scan(Feeds, from, after("at"+sep+string(feed)+sep), func(id string, v []byte) (bool, error) {
		if len(id) < 8 {
			return false, fmt.Errorf("feed row %q", id)
		}
		return fn(binary.BigEndian.Uint64([]byte(id[len(id)-8:])), v)
	})
}

// readPeer fills a Delta with the events above its After.
func readPeer(r Reader, d *protocol.Delta) error {
	size := 0
	return scanFeed(r, d.Feed, d.After, func(offset uint64, v []byte) (bool, error) {
		row, err := decodePeerRow(v)
		if err != nil {
			return false, err
		}
		end := offset - row.count()
		for _, run := range row.runs {
			start := end
			end += run.count
			if end <= d.After {
				continue
			}
			if more, err := readRun(r, d, run, start, &size); err != nil || !more {
				return false, err
			}
		}
		return true, nil
	})
}

// readRun adds the events of a run, which begins behind offset start, and tells
// whether there is room for more.
func readRun(r Reader, d *protocol.Delta, run peerRun, start uint64, size *int) (bool, error) {
	if *size > 0 && *size+int(run.count)*64 > deltaBytesMax {
		return false, nil
	}
	skip := max(start, d.After) - start
	first := run.first + protocol.Seq(skip)
	records, prev, err := Records(r, run.origin, first, int(run.count-skip), deltaBytesMax*4)
	if err != nil {
		return false, err
	}
	frame, n, err := protocol.CutFrame(records)
	if err != nil {
		return false, err
	}
	d.Events = append(d.Events, protocol.PeerEvents{Origin: run.origin, FirstSeq: first, PrevHash: prev, Count: uint32(n), Frame: frame})
	d.Upto = start + skip + uint64(n)
	*size += len(frame)
	return d.Upto == start+run.count && *size < deltaBytesMax, nil
}

// CoveredUpto is the largest offset of a store's event feed up to which every
// event is held by whoever has the given heads. A head that names another event
// than the stream has here covers nothing of it; one beyond the stream's end
// here covers all of it.
func CoveredUpto(r Reader, store protocol.StoreID, heads []protocol.StreamHead) (uint64, error) {
	held := make(map[protocol.Inc]protocol.Seq, len(heads))
	for _, h := range heads {
		hash, ok, err := HashAt(r, protocol.EventID{Inc: h.Inc, Seq: h.Seq})
		if err != nil {
			return 0, err
		}
		if ok && hash != h.Hash {
			continue
		}
		held[h.Inc] = max(held[h.Inc], h.Seq)
	}
	upto := uint64(0)
	err := scanFeed(r, protocol.PeerFeed(store), 0, func(offset uint64, v []byte) (bool, error) {
		row, err := decodePeerRow(v)
		if err != nil {
			return false, err
		}
		for _, run := range row.runs {
			last := run.first + protocol.Seq(run.count) - 1
			if have := held[run.origin.Inc]; have < last {
				if have >= run.first {
					upto += uint64(have - run.first + 1)
				}
				return false, nil
			}
			upto += run.count
		}
		return true, nil
	})
	return upto, err
}
