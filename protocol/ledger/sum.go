package ledger

import (
	"bytes"
	"slices"

	"counterpart/protocol"
	"counterpart/protocol/stock"
)

// For each agent of a store the ledger keeps sums over all moves that it folded
// from streams of that agent. A sum is linear: it depends neither on the order
// of events, nor on which stream of a fork brought one, and trimming leaves it.
// So the hub's sums of an agent must be the agent's own after the same events,
// and the sums of all agents of a store together must be those of its levels.

// SumsVersion is the version of the fold and of the hash, as far as the sums
// depend on them. Sums of two versions are never compared.
const SumsVersion = 1

// The bases of the two FNV-1a hashes of a SKU.
const (
	sumBasisHigh = 14695981039346656037
	sumBasisLow  = 0x9e3779b97f4a7c15
	sumPrime     = 1099511628211
)

// skuHash is a SKU on its way into the sums.
type skuHash struct{ high, low uint64 }

func hashSKU(sku protocol.SKU) skuHash {
	h := skuHash{sumBasisHigh, sumBasisLow}
	for i := range len(sku) {
		h.high = (h.high ^ uint64(sku[i])) * sumPrime
		h.low = (h.low ^ uint64(sku[i])) * sumPrime
	}
	return h
}

// bucket is the part of the sums that all states of the SKU count in.
func (h skuHash) bucket() int { return int(spread(h.high) >> 60) }

// addTo adds a move. The factors are odd, so that a move that is left out, or
// counted twice, always shows.
func (h skuHash) addTo(sums *protocol.Sums, state protocol.State, delta protocol.Quantity) {
	sum := &sums[h.bucket()]
	sum[0] += (spread((h.high^uint64(state))*sumPrime) | 1) * uint64(delta)
	sum[1] += (spread((h.low^uint64(state))*sumPrime) | 1) * uint64(delta)
}

func (h skuHash) addLevel(sums *protocol.Sums, l *stock.Level) {
	for state := range protocol.StateCount {
		if q := l.Quantity(state); q != 0 {
			h.addTo(sums, state, q)
		}
	}
}

// spread makes every bit of the outcome depend on every bit of h.
func spread(h uint64) uint64 {
	h = (h ^ h>>30) * 0xbf58476d1ce4e5b9
	h = (h ^ h>>27) * 0x94d049bb133111eb
	return h ^ h>>31
}

func addSums(sums, more *protocol.Sums) {
	for i := range sums {
		sums[i][0] += more[i][0]
		sums[i][1] += more[i][1]
	}
}

// differing lists the buckets in which two sums differ.
func differing(a, b *protocol.Sums) []int {
	var list []int
	for i := range a {
		if a[i] != b[i] {
			list = append(list, i)
		}
	}
	return list
}

const sumKind = "sum"

func sumKey(store protocol.StoreID, agent protocol.AgentID) Key {
	return stateKey(sumKind, string(store), string(agent))
}

// sumRow holds the sums of one agent. Where the row is missing, because the
// agent's first events were folded by a version that knew no sums, or is
// damaged beyond reading, the sums are not known, and nothing is compared.
type sumRow struct {
	known bool
	sums  protocol.Sums
}

// sumHead begins every row: field 1 is SumsVersion, field 2 are 256 bytes.
const sumHead = "\x08\x01\x12\x80\x02"

// Encode writes the row.
func (s *sumRow) Encode() []byte {
	if !s.known {
		return nil
	}
	return s.sums.AppendTo(append(make([]byte, 0, len(sumHead)+len(s.sums)*16), sumHead...))
}

// decodeSums reads what Encode wrote. What it cannot read is not known: sums
// that are damaged must not stop the events from being folded.
func decodeSums(b []byte) (*sumRow, error) {
	s := &sumRow{}
	if len(b) > len(sumHead) && string(b[:len(sumHead)]) == sumHead {
		s.sums, s.known = protocol.SumsFromBytes(b[len(sumHead):])
	}
	return s, nil
}

// add counts a move of the agent; nil stands for sums that are not known.
func (s *sumRow) add(m protocol.Move) {
	if s != nil {
		hashSKU(m.SKU).addTo(&s.sums, m.State, m.Delta)
	}
}

// sumsNeeded tells whether a run of events concerns the sums of its writer.
func sumsNeeded(first protocol.Seq, acts []act) bool {
	if first == 1 {
		return true
	}
	for i := range acts {
		if ev := acts[i].event; ev != nil && (len(ev.Moves) > 0 || ev.Digest != nil) {
			return true
		}
	}
	return false
}

// openSums readies the sums of an agent for moves of its events from first on,
// nil where they are not known. They begin with its first event. Their row was
// loaded.
func (f *fold) openSums(agent protocol.AgentID, first protocol.Seq) (*sumRow, error) {
	key := sumKey(f.origin.Store, agent)
	row, err := get(f.set, key, decodeSums)
	if err != nil {
		return nil, err
	}
	if !row.known {
		if first != 1 {
			return nil, nil
		}
		streams, err := f.set.streamsOf(f.origin.Store, agent)
		if err != nil || anyEvents(streams) {
			return nil, err
		}
		row.known = true
	}
	return change(f.set, key, decodeSums)
}

// beginSums tells whether nothing of the agent was folded before an event.
func beginSums(r Reader, store protocol.StoreID, agent protocol.AgentID, first protocol.Seq) (bool, error) {
	if first != 1 {
		return false, nil
	}
	streams, err := Streams(r, store, agent)
	return !anyEvents(streams), err
}

func anyEvents(streams []StreamInfo) bool {
	return slices.ContainsFunc(streams, func(s StreamInfo) bool { return s.Seq > 0 })
}

// readSums reads the sums of one agent.
func readSums(r Reader, store protocol.StoreID, agent protocol.AgentID) (*sumRow, error) {
	values, err := r.Load([]Key{sumKey(store, agent)})
	if err != nil {
		return nil, err
	}
	return decodeSums(values[0])
}

// Compared says what a digest and the fold here made of the same events.
type Compared struct {
	At      protocol.EventID // where the digest is logged
	Buckets []int            // the parts that differ; none: the two agree
}

// digest compares what a digest says with what the fold holds in that moment.
// It changes no state, and so cannot make it depend on the order in which
// events arrive; a digest whose writer had other streams than those that are
// here is passed over.
func (f *fold) digest(a *act, d *protocol.OwnDigest) error {
	if f.sums == nil || d.Fold != SumsVersion {
		return nil
	}
	streams, err := f.set.streamsOf(f.origin.Store, f.origin.Agent)
	if err != nil || !slices.Equal(positions(streams, protocol.StreamPos{Inc: a.at.Inc, Seq: a.at.Seq - 1}), d.Streams) {
		return err
	}
	buckets := differing(&f.sums.sums, &d.Sums)
	if len(buckets) > 0 {
		// What one side could not fold and the other could explains it.
		if aside, err := eventsAside(f.set.tx); err != nil || len(aside) > 0 {
			return err
		}
	}
	f.res.Digests = append(f.res.Digests, Compared{At: a.at, Buckets: buckets})
	return nil
}

// positions are those of an agent's streams that have events, in the order of
// inc; one of them stands at own.
func positions(streams []StreamInfo, own protocol.StreamPos) []protocol.StreamPos {
	list := make([]protocol.StreamPos, 0, len(streams)+1)
	for _, s := range streams {
		if s.Origin.Inc != own.Inc && s.Seq > 0 {
			list = append(list, protocol.StreamPos{Inc: s.Origin.Inc, Seq: s.Seq})
		}
	}
	if own.Seq > 0 {
		list = append(list, own)
	}
	slices.SortFunc(list, func(a, b protocol.StreamPos) int { return bytes.Compare(a.Inc[:], b.Inc[:]) })
	return list
}

// Digest is what a machine says of its own events when o is the stream that it
// writes; nil where its sums are not known.
func Digest(r Reader, o protocol.Origin) (*protocol.OwnDigest, error) {
	row, err := readSums(r, o.Store, o.Agent)
	if err != nil || !row.known {
		return nil, err
	}
	streams, err := Streams(r, o.Store, o.Agent)
	if err != nil {
		return nil, err
	}
	own := protocol.StreamPos{Inc: o.Inc}
	for _, s := range streams {
		if s.Origin.Inc == o.Inc {
			own.Seq = s.Seq
		}
	}
	return &protocol.OwnDigest{Fold: SumsVersion, Streams: positions(streams, own), Sums: row.sums}, nil
}

// SumsAudit says whether the levels of a store are those that its agents' moves
// make.
type SumsAudit struct {
	// Known says that the sums of every agent are known. Without them nothing
	// was compared.
	Known   bool
	Buckets []int // the parts in which the two differ
}

// AuditSums compares the levels of a store with the sums of its agents. It
// reads each level once.
func AuditSums(r Reader, store protocol.StoreID) (SumsAudit, error) {
	streams, err := Streams(r, store, "")
	if err != nil {
		return SumsAudit{}, err
	}
	var want, got protocol.Sums
	var last protocol.AgentID
	for _, s := range streams {
		if s.Seq == 0 || s.Origin.Agent == last {
			continue
		}
		last = s.Origin.Agent
		row, err := readSums(r, store, last)
		if err != nil || !row.known {
			return SumsAudit{}, err
		}
		addSums(&want, &row.sums)
	}
	var unreadable [protocol.SumBuckets]bool
	prefix := levelKey(store, "").ID
	err = r.Scan(States, prefix, after(prefix), func(id string, v []byte) (bool, error) {
		h := hashSKU(protocol.SKU(id[len(prefix):]))
		level, err := stock.DecodeLevel(v)
		if err != nil {
			unreadable[h.bucket()] = true
			return true, nil
		}
		h.addLevel(&got, level)
		return true, nil
	})
	audit := SumsAudit{Known: err == nil}
	for i := range want {
		if want[i] != got[i] || unreadable[i] {
			audit.Buckets = append(audit.Buckets, i)
		}
	}
	return audit, err
}
