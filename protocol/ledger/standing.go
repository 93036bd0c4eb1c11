package ledger

import (
	"context"
	"strconv"
	"strings"

	"counterpart/protocol"
)

// The rows that the fold makes of a store's events belong to a generation too,
// of the store's event feed. An agent that was long away, or is new, loads them
// from a snapshot into a generation that is not live. No key of the fold names
// a generation: Standing puts the live one into the keys on their way to the
// driver. Generation 0 has the keys as they are, so whoever never loads a
// snapshot pays one small read in each transaction and nothing else.

// standingKinds are the kinds of rows that the fold makes of a store's events.
// Events of a snapshot that are not in the log are rows of the last kind.
var standingKinds = map[string]bool{
	"stream": true, "level": true, "receipt": true, "external": true, "load": true, "reissue": true,
	"exception": true, "dead": true, "gap": true, sumKind: true, "part": true, "order": true, kindHandled: true, kindTransfer: true, kindAccount: true, kindLease: true, kindRisk: true, kindTerms: true, kindMemberStores: true, kindMember: true, kindCard: true, kindCart: true, kindTimeline: true, kindContact: true, kindMerged: true, kindReturned: true, kindEvent: true,
}

const kindEvent = "event"

// standingFeed names the generations of a store's rows. It is no feed.
func standingFeed(store protocol.StoreID) protocol.FeedID {
	return protocol.FeedID(standingPrefix + string(store))
}

const (
	standingPrefix = "standing/"
	peerPrefix     = "peer/"
)

// generationFeed is under which name the generations of a feed's rows are kept.
// What is set aside of an event feed belongs to none of them, and bears the name
// of the feed itself.
func generationFeed(feed protocol.FeedID) protocol.FeedID {
	if store, ok := strings.CutPrefix(string(feed), peerPrefix); ok {
		return standingFeed(protocol.StoreID(store))
	}
	return feed
}

// Standing returns a Driver of an agent's rows that reads and writes those of
// the live generation. All of a machine's access must go through it; the hub,
// which never loads a snapshot, needs none.
func Standing(d Driver) Driver { return standing{d} }

type standing struct{ Driver }

// Update implements Driver.
func (s standing) Update(ctx context.Context, fn func(Tx) error) error {
	return s.Driver.Update(ctx, func(tx Tx) error {
		return fn(&standingTx{standingReader: standingReader{raw: tx}, tx: tx})
	})
}

// View implements Driver.
func (s standing) View(ctx context.Context, fn func(Reader) error) error {
	return s.Driver.View(ctx, func(r Reader) error { return fn(&standingReader{raw: r}) })
}

// standingReader reads one generation of the rows of a store.
type standingReader struct {
	raw   Reader
	known bool // gens and tag are read
	gens  generations
	tag   string // "@7" for generation 7, nothing for 0
}

type standingTx struct {
	standingReader
	tx Tx
}

// atGeneration is a transaction on the rows of one generation, live or not.
func atGeneration(tx Tx, gen uint64) Tx {
	s := &standingTx{standingReader: standingReader{raw: tx, known: true, tag: "@" + strconv.FormatUint(gen, 10)}, tx: tx}
	return fixedTx{s}
}

// fixedTx hides live, since its generation is not the live one.
type fixedTx struct{ s *standingTx }

func (f fixedTx) Load(keys []Key) ([][]byte, error) { return f.s.Load(keys) }

func (f fixedTx) Scan(t Table, from, to string, fn func(string, []byte) (bool, error)) error {
	return f.s.Scan(t, from, to, fn)
}

func (f fixedTx) Write(rows []Row) error { return f.s.Write(rows) }

// rawTx is the transaction below, whose keys are those of the driver.
func rawTx(tx Tx) Tx {
	if s, ok := tx.(*standingTx); ok {
		return s.tx
	}
	return tx
}

// live implements liveReader.
func (s *standingReader) live() (generations, error) {
	return s.gens, s.learn()
}

func (s *standingReader) learn() error {
	if s.known {
		return nil
	}
	gens, err := readGenerations(s.raw)
	if err != nil {
		return err
	}
	s.known, s.gens, s.tag = true, gens, ""
	for _, l := range gens {
		if l.gen > 0 && strings.HasPrefix(string(l.feed), standingPrefix) {
			s.tag = "@" + strconv.FormatUint(l.gen, 10)
		}
	}
	return nil
}

// place is where a key is kept.
func (s *standingReader) place(k Key) Key {
	if k.Table != States {
		return k
	}
	if kind, _, ok := strings.Cut(k.ID, sep); ok && standingKinds[kind] {
		k.ID = kind + s.tag + k.ID[len(kind):]
	}
	return k
}

// Load implements Reader. An event that is not in the log may be one that came
// with the snapshot.
func (s *standingReader) Load(keys []Key) ([][]byte, error) {
	if err := s.learn(); err != nil {
		return nil, err
	}
	if s.tag == "" {
		return s.raw.Load(keys)
	}
	placed := make([]Key, len(keys))
	for i, k := range keys {
		placed[i] = s.place(k)
	}
	values, err := s.raw.Load(placed)
	if err != nil {
		return nil, err
	}
	var missing []Key
	var at []int
	for i, k := range keys {
		if k.Table == Events && values[i] == nil {
			missing, at = append(missing, s.place(keptEventKey(eventOf(k)))), append(at, i)
		}
	}
	if len(missing) == 0 {
		return values, nil
	}
	kept, err := s.raw.Load(missing)
	for i, v := range kept {
		values[at[i]] = v
	}
	return values, err
}

// keptEventKey is where an event is that came with a snapshot.
func keptEventKey(id protocol.EventID) Key { return stateKey(kindEvent, id.String()) }

// Scan implements Reader. A scan lies within one kind of rows, or goes over all
// of them.
func (s *standingReader) Scan(t Table, from, to string, fn func(id string, value []byte) (bool, error)) error {
	if err := s.learn(); err != nil {
		return err
	}
	if t != States {
		return s.raw.Scan(t, from, to, fn)
	}
	kind, _, _ := strings.Cut(from, sep)
	switch {
	case !standingKinds[kind]:
		return s.raw.Scan(t, from, to, func(id string, v []byte) (bool, error) {
			id, ok := s.shown(id)
			if !ok {
				return true, nil
			}
			return fn(id, v)
		})
	case s.tag == "":
		return s.raw.Scan(t, from, to, fn)
	}
	if rest, ok := strings.CutPrefix(to, kind); ok {
		to = kind + s.tag + rest
	}
	return s.raw.Scan(t, kind+s.tag+from[len(kind):], to, func(id string, v []byte) (bool, error) {
		return fn(kind+id[len(kind)+len(s.tag):], v)
	})
}

// shown is the key of a row without its generation, unless it is of another
// generation or an event that came with the snapshot.
func (s *standingReader) shown(id string) (string, bool) {
	name, rest, ok := strings.Cut(id, sep)
	kind, _, _ := strings.Cut(name, "@")
	if !ok || !standingKinds[kind] {
		return id, true
	}
	return kind + sep + rest, name == kind+s.tag && kind != kindEvent
}

// Write implements Tx.
func (s *standingTx) Write(rows []Row) error {
	if err := s.learn(); err != nil {
		return err
	}
	placed := rows
	if s.tag != "" {
		placed = make([]Row, len(rows))
	}
	for i, r := range rows {
		if s.tag != "" {
			placed[i] = Row{Key: s.place(r.Key), Value: r.Value}
		}
		if r.Key == generationsKey {
			defer func() { s.known = false }()
		}
	}
	return s.tx.Write(placed)
}
