package protocol_test

import (
	"testing"

	"pgregory.net/rapid"

	"counterpart/protocol"
)

func TestTopics(t *testing.T) {
	for got, want := range map[string]string{
		protocol.Part("s1"):                           "e8",
		protocol.TopicUp("s1", "a1"):                  "cp/1/e8/s1/a1/up",
		protocol.TopicDown("s1", "a1"):                "cp/1/e8/s1/a1/dn",
		protocol.TopicStatus("s1", "a1"):              "cp/1/e8/s1/a1/st",
		protocol.TopicFeed(protocol.FeedCatalog):      "cp/1/feed/catalog",
		protocol.TopicFeed(protocol.PriceFeed("uk")):  "cp/1/feed/price/uk",
		protocol.TopicFeed(protocol.StoreFeed("s-1")): "cp/1/feed/store/s-1",
		protocol.TopicFeed(protocol.PeerFeed("s_1")):  "cp/1/feed/peer/s_1",
		protocol.TopicHub:                             "cp/1/hub",
	} {
		if got != want {
			t.Errorf("%s, want %s", got, want)
		}
	}
}

// Whatever topic is written for valid names is read back; nothing else is.
func TestTopicRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		store, agent := protocol.StoreID(genID.Draw(t, "store")), protocol.AgentID(genID.Filter(func(s string) bool { return s != "hub" }).Draw(t, "agent"))
		leaf := rapid.SampledFrom([]protocol.Leaf{protocol.LeafUp, protocol.LeafDown, protocol.LeafStatus}).Draw(t, "leaf")
		want := protocol.Topic{Part: protocol.Part(store), Store: store, Agent: agent, Leaf: leaf}
		got, err := protocol.ParseTopic(want.String())
		if err != nil || got != want {
			t.Fatalf("%+v (%v), want %+v", got, err, want)
		}
	})
}

func TestParseTopicRefuses(t *testing.T) {
	for _, topic := range []string{
		"", "cp/1/", "cp/1/hub", "cp/1/feed/catalog", "cp/1/feed/store/s1", "cp/2/e8/s1/a1/up", "CP/1/e8/s1/a1/up", "/cp/1/e8/s1/a1/up",
		"cp/1/e9/s1/a1/up", "cp/1/E8/s1/a1/up", "cp/1/e8/s2/a1/up", "cp/1//s1/a1/up", "cp/1/e8//a1/up", "cp/1/e8/s1//up", "cp/1/e8/s1/a1/",
		"cp/1/e8/s1/a1", "cp/1/e8/s1/a1/xx", "cp/1/e8/s1/a1/up/", "cp/1/e8/s1/a1/up/x", "cp/1/e8/s1/hub/up", "cp/1/+/+/+/up", "cp/1/e8/s1/a+/up",
		"cp/1/e8/s1/a.1/up", "cp/1/e8/s1/#", "cp/1/e8/s1/a1\x00/up", "$SYS/broker",
	} {
		if got, err := protocol.ParseTopic(topic); err == nil {
			t.Errorf("%q reads as %+v", topic, got)
		}
	}
}

func TestParseFeed(t *testing.T) {
	for id, want := range map[protocol.FeedID]protocol.Feed{
		protocol.FeedCatalog:     {Kind: protocol.FeedOfCatalog},
		protocol.PriceFeed("uk"): {Kind: protocol.FeedOfPrices, Zone: "uk"},
		protocol.StoreFeed("s1"): {Kind: protocol.FeedOfStore, Store: "s1"},
		protocol.PeerFeed("s1"):  {Kind: protocol.FeedOfPeers, Store: "s1"},
		protocol.MemberFeed("1"): {Kind: protocol.FeedOfMembers, Store: "1"},
	} {
		if got, err := protocol.ParseFeed(id); err != nil || got != want {
			t.Errorf("%s reads as %+v (%v), want %+v", id, got, err, want)
		}
	}
	for _, id := range []protocol.FeedID{"", "catalog/", "catalog/x", "price", "price/", "price/a/b", "store/a b", "store/+", "peer/#", "member/", "member/a/b", "PRICE/uk"} {
		if got, err := protocol.ParseFeed(id); err == nil {
			t.Errorf("%q reads as %+v", id, got)
		}
	}
}

func TestStatus(t *testing.T) {
	want := protocol.Status{Online: true, BootID: 1<<64 - 1}
	payload := protocol.EncodeStatus(want)
	if string(payload) != `{"online":true,"boot_id":"18446744073709551615"}` {
		t.Errorf("encodes as %s", payload)
	}
	if got, err := protocol.DecodeStatus(payload); err != nil || got != want {
		t.Errorf("decodes as %+v (%v)", got, err)
	}
	if got, err := protocol.DecodeStatus([]byte(`{"online":false,"boot_id":"7","later":1}`)); err != nil || got != (protocol.Status{BootID: 7}) {
		t.Errorf("decodes as %+v (%v)", got, err)
	}
	for _, payload := range [][]byte{nil, []byte(`{`), []byte(`{"boot_id":7.5}`), append([]byte(`{}`), make([]byte, 5000)...)} {
		if got, err := protocol.DecodeStatus(payload); err == nil {
			t.Errorf("%.20q decodes as %+v", payload, got)
		}
	}
}
