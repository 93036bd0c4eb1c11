package ledger

import (
	"maps"
	"slices"
	"strconv"
	"strings"

	"counterpart/protocol"

	"google.golang.org/protobuf/encoding/protowire"
)

// Rows of reference data belong to a generation of their feed, and readers see
// the one that is live. A snapshot is loaded into a generation that is not, so
// that its rows become live together, by one small row. The hub, and a database
// from before there were generations, have generation 0 alone.

// generations says which generation of each feed is live, 0 where it says
// nothing.
type generations []liveGeneration

type liveGeneration struct {
	feed protocol.FeedID
	gen  uint64
}

func (g generations) of(feed protocol.FeedID) uint64 {
	for _, l := range g {
		if l.feed == feed {
			return l.gen
		}
	}
	return 0
}

func (g generations) set(feed protocol.FeedID, gen uint64) generations {
	for i := range g {
		if g[i].feed == feed {
			g[i].gen = gen
			return g
		}
	}
	return append(g, liveGeneration{feed, gen})
}

// Encode writes the row of all feeds.
func (g generations) Encode() []byte {
	var f fields
	for _, l := range g {
		var e fields
		e.text(1, string(l.feed))
		e.uint(2, l.gen)
		f.element(1, e)
	}
	return f
}

func decodeGenerations(b []byte) (generations, error) {
	var g generations
	if b == nil {
		return nil, nil
	}
	err := decodeFields("generations", b, func(_ protowire.Number, v value) error {
		var l liveGeneration
		err := decodeFields("generation", v.data, func(num protowire.Number, v value) error {
			switch num {
			case 1:
				l.feed = protocol.FeedID(v.data)
			case 2:
				l.gen = v.num
			}
			return nil
		})
		g = append(g, l)
		return err
	})
	return g, err
}

var generationsKey = Key{Notes, "generations"}

func readGenerations(r Reader) (generations, error) {
	if l, ok := r.(liveReader); ok {
		return l.live()
	}
	values, err := r.Load([]Key{generationsKey})
	if err != nil {
		return nil, err
	}
	return decodeGenerations(values[0])
}

// liveOf is the live generation of a feed.
func liveOf(r Reader, feed protocol.FeedID) (uint64, error) {
	g, err := readGenerations(r)
	return g.of(feed), err
}

// liveReader is a Reader that remembers which generations are live.
type liveReader interface{ live() (generations, error) }

// Live returns a Reader of the same state that looks up only once where the
// reference data is. It is for a function that reads much and writes none.
func Live(r Reader) Reader { return &steady{Reader: r} }

type steady struct {
	Reader
	known bool
	gens  generations
}

func (s *steady) live() (generations, error) {
	if s.known {
		return s.gens, nil
	}
	var err error
	s.gens, err = readGenerations(s.Reader)
	s.known = err == nil
	return s.gens, err
}

// Kinds of rows of reference data.
const (
	kindItem      = "item"
	kindCode      = "code"
	kindPrice     = "price"
	kindTax       = "tax"
	kindStore     = "store"
	kindPolicy    = "policy"
	kindProgramme = "programme"
	kindPromotion = "promotion"
)

var referenceKinds = []string{
	kindItem, kindCode, kindPrice, kindTax, kindStore, kindPolicy, kindProgramme, kindPromotion, kindMemberRow, kindMemberCard, kindMemberContact,
}

// referenceKey is where a row of reference data is kept in a generation.
func referenceKey(kind string, gen uint64, parts ...string) Key {
	var room [128]byte
	last := len(parts) - 1
	return Key{States, string(append(appendReference(room[:0], kind, gen, parts[:last]), parts[last]...))}
}

// referencePrefix begins the keys of a kind in a generation, down to the given
// parts.
func referencePrefix(kind string, gen uint64, parts ...string) string {
	return string(appendReference(nil, kind, gen, parts))
}

func appendReference(b []byte, kind string, gen uint64, parts []string) []byte {
	b = append(b, kind...)
	if gen > 0 {
		b = strconv.AppendUint(append(b, '@'), gen, 10)
	}
	for _, p := range parts {
		b = append(append(b, sep...), p...)
	}
	return append(b, sep...)
}

func itemKey(gen uint64, sku protocol.SKU) Key { return referenceKey(kindItem, gen, string(sku)) }

func codeKey(gen uint64, code string) Key { return referenceKey(kindCode, gen, code) }

func priceKey(gen uint64, zone protocol.ZoneID, sku protocol.SKU) Key {
	return referenceKey(kindPrice, gen, string(zone), string(sku))
}

func taxKey(gen uint64, zone protocol.ZoneID, code string) Key {
	return referenceKey(kindTax, gen, string(zone), code)
}

func promotionKey(gen uint64, zone protocol.ZoneID, id protocol.PromotionID) Key {
	return referenceKey(kindPromotion, gen, string(zone), string(id))
}

func storeKey(gen uint64, id protocol.StoreID) Key {
	return referenceKey(kindStore, gen, string(id))
}

// The kinds of what a row of the policy names.
const (
	policyItem     = "item"
	policyCategory = "category"
	policyAll      = "all"
)

// policyName is the name of what a row of the policy is about, within its feed.
func policyName(p *protocol.PolicyRow) string {
	switch {
	case p.SKU != "":
		return feedPolicy + "/" + policyItem + "/" + string(p.SKU)
	case p.Category != "":
		return feedPolicy + "/" + policyCategory + "/" + p.Category
	}
	return feedPolicy + "/" + policyAll
}

// policyFeed is the feed of a row of the policy: what is said of one store goes
// to that store alone.
func policyFeed(store protocol.StoreID) protocol.FeedID {
	if store == "" {
		return protocol.FeedCatalog
	}
	return protocol.StoreFeed(store)
}

func policyKey(gen uint64, store protocol.StoreID, name string) Key {
	return referenceKey(kindPolicy, gen, string(store), name)
}

func programmeKey(gen uint64, validFrom string) Key {
	return referenceKey(kindProgramme, gen, validFrom)
}

// generationRanges are the stretches of keys that hold a feed's rows in a
// generation.
func generationRanges(feed protocol.FeedID, gen uint64) [][2]string {
	kind, name, _ := strings.Cut(string(feed), "/")
	all := func(prefix string) [2]string { return [2]string{prefix, after(prefix)} }
	switch {
	case feed == protocol.FeedCatalog:
		return [][2]string{
			all(referencePrefix(kindItem, gen)), all(referencePrefix(kindCode, gen)), all(referencePrefix(kindPolicy, gen, "")), all(referencePrefix(kindProgramme, gen)),
		}
	case kind == feedPrice:
		return [][2]string{all(referencePrefix(kindPrice, gen, name)), all(referencePrefix(kindTax, gen, name)), all(referencePrefix(kindPromotion, gen, name))}
	case kind == feedStore:
		id := storeKey(gen, protocol.StoreID(name)).ID
		return [][2]string{{id, id + sep}, all(referencePrefix(kindPolicy, gen, name))}
	case kind == feedMember:
		return [][2]string{
			all(referencePrefix(kindMemberRow, gen, name)), all(referencePrefix(kindMemberCard, gen, name)), all(referencePrefix(kindMemberContact, gen, name)),
		}
	case kind+"/" == standingPrefix:
		ranges := make([][2]string, 0, len(standingKinds))
		for _, k := range slices.Sorted(maps.Keys(standingKinds)) {
			ranges = append(ranges, all(referencePrefix(k, gen)))
		}
		return ranges
	}
	return nil
}

// fromFeeds tells whether a row of States comes from feeds on an agent, which
// holds no events of the hub's chain-wide stream.
func fromFeeds(id string) bool {
	kind, _, _ := strings.Cut(id, sep)
	kind, _, _ = strings.Cut(kind, "@")
	return slices.Contains(referenceKinds, kind)
}
