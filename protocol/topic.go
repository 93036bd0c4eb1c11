package protocol

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"strings"
)

// TopicRoot begins every topic of this version.
const TopicRoot = "cp/1/"

// TopicHub holds the hub's epoch, retained.
const TopicHub = TopicRoot + "hub"

// The filters with which a hub hears all agents.
const (
	FilterUp     = TopicRoot + "+/+/+/up"
	FilterStatus = TopicRoot + "+/+/+/st"
)

// topicFeedRoot begins the topics of feeds.
const topicFeedRoot = TopicRoot + "feed/"

// Leaf is the last level of an agent's topic.
type Leaf string

// The leaves.
const (
	LeafUp     Leaf = "up" // agent to hub
	LeafDown   Leaf = "dn" // hub to agent
	LeafStatus Leaf = "st" // retained Status of the agent; its last will says offline
)

// Topic is what an agent's topic says. Part always matches Store.
type Topic struct {
	Part  string
	Store StoreID
	Agent AgentID
	Leaf  Leaf
}

// Part is the share of the chain that a store belongs to: the first byte of
// SHA-256 over its identifier, as two hexadecimal digits. Hub replicas divide
// parts among themselves for speed only.
func Part(store StoreID) string {
	sum := sha256.Sum256([]byte(store))
	return hex.EncodeToString(sum[:1])
}

// TopicUp is where an agent sends.
func TopicUp(store StoreID, agent AgentID) string { return agentTopic(store, agent, LeafUp) }

// TopicDown is where an agent listens for what is meant for it alone.
func TopicDown(store StoreID, agent AgentID) string { return agentTopic(store, agent, LeafDown) }

// TopicStatus holds an agent's retained Status.
func TopicStatus(store StoreID, agent AgentID) string { return agentTopic(store, agent, LeafStatus) }

// TopicFeed is where the hub sends the deltas of a feed.
func TopicFeed(feed FeedID) string { return topicFeedRoot + string(feed) }

func agentTopic(store StoreID, agent AgentID, leaf Leaf) string {
	return TopicRoot + Part(store) + "/" + string(store) + "/" + string(agent) + "/" + string(leaf)
}

// String writes the topic that ParseTopic reads.
func (t Topic) String() string { return agentTopic(t.Store, t.Agent, t.Leaf) }

// ParseTopic reads an agent's topic. It is strict: only a topic that this
// package itself would write for a store machine passes.
func ParseTopic(topic string) (Topic, error) {
	rest, ok := strings.CutPrefix(topic, TopicRoot)
	if !ok {
		return Topic{}, badTopic(topic, "begins otherwise than "+TopicRoot)
	}
	part, rest, _ := strings.Cut(rest, "/")
	store, rest, _ := strings.Cut(rest, "/")
	agent, leaf, _ := strings.Cut(rest, "/")
	t := Topic{Part: part, Store: StoreID(store), Agent: AgentID(agent), Leaf: Leaf(leaf)}
	switch {
	case t.Leaf != LeafUp && t.Leaf != LeafDown && t.Leaf != LeafStatus:
		return Topic{}, badTopic(topic, "is not an agent's")
	case !ValidID(store):
		return Topic{}, badTopic(topic, "names no valid store")
	case !ValidID(agent) || t.Agent == HubAgent:
		return Topic{}, badTopic(topic, "names no valid agent")
	case part != Part(t.Store):
		return Topic{}, badTopic(topic, "has the part of another store")
	}
	return t, nil
}

func badTopic(topic, reason string) error {
	if len(topic) > 256 {
		topic = topic[:256]
	}
	return fmt.Errorf("topic %q %s", topic, reason)
}

// FeedCatalog is the feed of the chain's items and stores.
const FeedCatalog FeedID = "catalog"

// PriceFeed is the feed of a zone's prices and taxes.
func PriceFeed(zone ZoneID) FeedID { return FeedID("price/" + string(zone)) }

// StoreFeed is the feed of what the hub tells one store.
func StoreFeed(store StoreID) FeedID { return FeedID("store/" + string(store)) }

// PeerFeed is the feed of every stream of a store, the hub's for it included.
func PeerFeed(store StoreID) FeedID { return FeedID("peer/" + string(store)) }

// MemberFeed is the feed of the members whom a store serves.
func MemberFeed(store StoreID) FeedID { return FeedID("member/" + string(store)) }

// FeedKind is the first word of a feed's identifier.
type FeedKind string

// The kinds of feeds. All but peer feeds hold the last value per key.
const (
	FeedOfCatalog FeedKind = "catalog"
	FeedOfPrices  FeedKind = "price"
	FeedOfStore   FeedKind = "store"
	FeedOfPeers   FeedKind = "peer"
	FeedOfMembers FeedKind = "member"
)

// Feed is what a feed's identifier says. Zone is set for prices, Store for
// store, peer and member feeds.
type Feed struct {
	Kind  FeedKind
	Zone  ZoneID
	Store StoreID
}

// ParseFeed reads a feed's identifier as strictly as ParseTopic reads topics.
func ParseFeed(id FeedID) (Feed, error) {
	kind, name, named := strings.Cut(string(id), "/")
	f := Feed{Kind: FeedKind(kind)}
	switch {
	case f.Kind == FeedOfCatalog && !named:
		return f, nil
	case f.Kind == FeedOfPrices && ValidID(name):
		f.Zone = ZoneID(name)
		return f, nil
	case (f.Kind == FeedOfStore || f.Kind == FeedOfPeers || f.Kind == FeedOfMembers) && ValidID(name):
		f.Store = StoreID(name)
		return f, nil
	}
	if len(id) > 256 {
		id = id[:256]
	}
	return Feed{}, fmt.Errorf("%q is not a feed", string(id))
}

// Status is the retained payload of an agent's status topic. The last will of a
// connection bears the BootID of the process that made it, so that a late will
// is not taken for the state of its successor.
type Status struct {
	Online bool   `json:"online"`
	BootID uint64 `json:"boot_id,string"` // text, since JSON numbers lose bits beyond 2^53
}

// statusBytesMax bounds what DecodeStatus reads.
const statusBytesMax = 4096

// EncodeStatus writes s as JSON.
func EncodeStatus(s Status) []byte {
	b, err := json.Marshal(s)
	if err != nil {
		panic("status does not encode: " + err.Error()) // two plain members always do
	}
	return b
}

// DecodeStatus reads what EncodeStatus wrote. Members that it does not know are
// ignored.
func DecodeStatus(payload []byte) (Status, error) {
	if len(payload) > statusBytesMax {
		return Status{}, fmt.Errorf("status of %d bytes is too large", len(payload))
	}
	var s Status
	if err := json.Unmarshal(payload, &s); err != nil {
		return Status{}, fmt.Errorf("read status: %w", err)
	}
	return s, nil
}
