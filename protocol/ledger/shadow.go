package ledger

import (
	"errors"
	"strconv"
	"strings"

	"counterpart/protocol"

	"google.golang.org/protobuf/encoding/protowire"
)

// Shadow is a snapshot that is being loaded beside the live rows of its feed.
type Shadow struct {
	protocol.FeedPos        // the cursor that the snapshot gives
	Sum              string // of the snapshot's body
	Upto             uint64 // rows up to here are loaded
	gen              uint64
	rows             uint64 // of a store's state: how many there are, once known
}

func shadowKey(feed protocol.FeedID) Key { return Key{Notes, "shadow" + sep + string(feed)} }

func (s *Shadow) encode() []byte {
	var f fields
	f.uint(1, s.gen)
	f.uint(2, s.Epoch)
	f.uint(3, s.Offset)
	f.text(4, s.Sum)
	f.uint(5, s.Upto)
	f.uint(6, s.rows)
	return f
}

// ReadShadow reads what is being loaded of a feed; without a Sum there is
// nothing.
func ReadShadow(r Reader, feed protocol.FeedID) (Shadow, error) {
	s := Shadow{FeedPos: protocol.FeedPos{Feed: feed}}
	values, err := r.Load([]Key{shadowKey(feed)})
	if err != nil {
		return s, err
	}
	return s, decodeFields("shadow", values[0], func(num protowire.Number, v value) error {
		switch num {
		case 1:
			s.gen = v.num
		case 2:
			s.Epoch = v.num
		case 3:
			s.Offset = v.num
		case 4:
			s.Sum = v.text()
		case 5:
			s.Upto = v.num
		case 6:
			s.rows = v.num
		}
		return nil
	})
}

// BeginShadow begins to load a snapshot, or goes on with it where an earlier
// transaction was. A snapshot that was begun before it is given up.
func BeginShadow(tx Tx, pos protocol.FeedPos, sum string) (Shadow, error) {
	s, err := ReadShadow(tx, pos.Feed)
	if err != nil || s.Sum == sum && s.FeedPos == pos {
		return s, err
	}
	if err := DropShadow(tx, pos.Feed); err != nil {
		return s, err
	}
	gens, err := readGenerations(tx)
	if err != nil {
		return s, err
	}
	next := gens.of(generationFeed(pos.Feed))
	err = scanSweeps(tx, generationFeed(pos.Feed), func(sw sweep) bool {
		next = max(next, sw.gen)
		return true
	})
	if err != nil {
		return s, err
	}
	s = Shadow{FeedPos: pos, Sum: sum, gen: next + 1}
	return s, tx.Write([]Row{{Key: shadowKey(pos.Feed), Value: s.encode()}})
}

// errShadowOrder is returned for a part of a snapshot that does not follow on
// the one before it.
var errShadowOrder = errors.New("the parts of the snapshot do not follow on each other")

// LoadShadow loads a part of the snapshot that BeginShadow began. A part that
// is loaded already changes nothing.
func LoadShadow(tx Tx, d *protocol.Delta) error {
	return loadShadow(tx, d, func(gen uint64) error { return applyRows(tx, d, gen, 0) })
}

// SetAsideShadow sets a part of the snapshot aside in place of loading it.
func SetAsideShadow(tx Tx, d *protocol.Delta, reason string) error {
	return loadShadow(tx, d, func(gen uint64) error { return setAside(tx, gen, d, reason) })
}

func loadShadow(tx Tx, d *protocol.Delta, write func(gen uint64) error) error {
	s, err := ReadShadow(tx, d.Feed)
	if err != nil {
		return err
	}
	if s.Sum == "" || d.After > s.Upto {
		return errShadowOrder
	}
	if d.Upto <= s.Upto {
		return nil
	}
	if err := write(s.gen); err != nil {
		return err
	}
	s.Upto = d.Upto
	return tx.Write([]Row{{Key: shadowKey(d.Feed), Value: s.encode()}})
}

// errShadowPart is returned for a snapshot of which parts are missing.
var errShadowPart = errors.New("the snapshot ends before its offset")

// SwapShadow makes a wholly loaded snapshot the live state of its feed: from
// this transaction on its rows are read, and the feed goes on from its offset.
// The rows of before are left to Sweep. A tail that was reached stays reached.
func SwapShadow(tx Tx, pos protocol.FeedPos) (Cursor, error) {
	s, err := ReadShadow(tx, pos.Feed)
	if err != nil {
		return Cursor{}, err
	}
	if s.Sum == "" || s.FeedPos != pos || s.Upto < s.Offset {
		return Cursor{}, errShadowPart
	}
	gens, err := readGenerations(tx)
	if err != nil {
		return Cursor{}, err
	}
	c, err := ReadCursor(tx, pos.Feed)
	if err != nil {
		return c, err
	}
	before := sweep{pos.Feed, gens.of(pos.Feed)}
	c.FeedPos = pos
	return c, tx.Write([]Row{
		{Key: generationsKey, Value: gens.set(pos.Feed, s.gen).Encode()},
		{Key: cursorKey(pos.Feed), Value: c.Encode()},
		{Key: shadowKey(pos.Feed)},
		{Key: before.key(), Value: before.encode()},
	})
}

// DropShadow gives up what is being loaded of a feed.
func DropShadow(tx Tx, feed protocol.FeedID) error {
	s, err := ReadShadow(tx, feed)
	if err != nil || s.Sum == "" {
		return err
	}
	rest := sweep{generationFeed(feed), s.gen}
	return tx.Write([]Row{{Key: shadowKey(feed)}, {Key: rest.key(), Value: rest.encode()}})
}

// sweep is a generation whose rows nobody reads any more.
type sweep struct {
	feed protocol.FeedID
	gen  uint64
}

func sweepPrefix(feed protocol.FeedID) string { return "sweep" + sep + string(feed) + sep }

func (s sweep) key() Key { return Key{Notes, sweepPrefix(s.feed) + strconv.FormatUint(s.gen, 10)} }

func (s sweep) encode() []byte {
	var f fields
	f.text(1, string(s.feed))
	f.uint(2, s.gen)
	return f
}

// scanSweeps calls fn for the generations that are to go, of one feed or, where
// feed is empty, of all.
func scanSweeps(r Reader, feed protocol.FeedID, fn func(sweep) bool) error {
	prefix := "sweep" + sep
	if feed != "" {
		prefix = sweepPrefix(feed)
	}
	return r.Scan(Notes, prefix, after(prefix), func(_ string, v []byte) (bool, error) {
		var s sweep
		err := decodeFields("sweep", v, func(num protowire.Number, v value) error {
			switch num {
			case 1:
				s.feed = protocol.FeedID(v.text())
			case 2:
				s.gen = v.num
			}
			return nil
		})
		return err == nil && fn(s), err
	})
}

// Sweep deletes up to rowsMax rows of generations that nobody reads any more,
// and tells whether there are more. What is live, or being loaded, is never
// among them.
func Sweep(tx Tx, rowsMax int) (more bool, err error) {
	var s sweep
	if err := scanSweeps(tx, "", func(first sweep) bool { s = first; return false }); err != nil || s.feed == "" {
		return false, err
	}
	if strings.HasPrefix(string(s.feed), standingPrefix) {
		// The keys are those of the driver: through Standing generation 0 would
		// be the live one.
		below, ok := tx.(*standingTx)
		if !ok {
			return false, errNotStanding
		}
		tx = below.tx
	}
	var rows []Row
	collect := func(t Table, from, to string) error {
		if len(rows) >= rowsMax {
			return nil
		}
		return tx.Scan(t, from, to, func(id string, _ []byte) (bool, error) {
			rows = append(rows, Row{Key: Key{t, id}})
			return len(rows) < rowsMax, nil
		})
	}
	for _, r := range generationRanges(s.feed, s.gen) {
		if err := collect(States, r[0], r[1]); err != nil {
			return false, err
		}
	}
	aside := asidePrefix(s.feed, s.gen)
	if err := collect(Notes, aside, after(aside)); err != nil {
		return false, err
	}
	if len(rows) < rowsMax {
		rows = append(rows, Row{Key: s.key()})
	}
	return true, tx.Write(rows)
}

// errNotStanding is returned for access to a store's state past Standing.
var errNotStanding = errors.New("the generations of a store's rows are swept through Standing alone")

// Unswept tells whether there is anything for Sweep to do.
func Unswept(r Reader) (some bool, err error) {
	err = scanSweeps(r, "", func(sweep) bool { some = true; return false })
	return some, err
}
