package broker_test

import (
	"strings"
	"testing"

	"counterpart/cloud/broker"
)

const (
	hubs, agent, dev = broker.PrincipalHub, broker.PrincipalAgent, broker.PrincipalDev
	pub, sub         = broker.Publish, broker.Subscribe
)

var (
	me     = broker.Identity{Store: "s12", Agent: "till-1", Part: "a7"}
	nobody = broker.Identity{}
)

var allowedTests = []struct {
	name      string
	principal broker.Principal
	id        broker.Identity
	action    broker.Action
	topic     string
	want      bool
}{
	{"agent sends its own up", agent, me, pub, "cp/1/a7/s12/till-1/up", true},
	{"agent sends its own status", agent, me, pub, "cp/1/a7/s12/till-1/st", true},
	{"agent sends its own dn", agent, me, pub, "cp/1/a7/s12/till-1/dn", false},
	{"agent sends another agent's up", agent, me, pub, "cp/1/a7/s12/till-2/up", false},
	{"agent sends another store's up", agent, me, pub, "cp/1/a7/s13/till-1/up", false},
	{"agent sends another part's up", agent, me, pub, "cp/1/a8/s12/till-1/up", false},
	{"agent sends below its up", agent, me, pub, "cp/1/a7/s12/till-1/up/x", false},
	{"agent sends to a feed", agent, me, pub, "cp/1/feed/catalog", false},
	{"agent sends the hub's epoch", agent, me, pub, "cp/1/hub", false},
	{"agent publishes a wildcard", agent, me, pub, "cp/1/a7/s12/till-1/#", false},

	{"agent reads its own dn", agent, me, sub, "cp/1/a7/s12/till-1/dn", true},
	{"agent reads its own up", agent, me, sub, "cp/1/a7/s12/till-1/up", false},
	{"agent reads another dn", agent, me, sub, "cp/1/a7/s12/till-2/dn", false},
	{"agent reads all dn by +", agent, me, sub, "cp/1/a7/s12/+/dn", false},
	{"agent reads its own by #", agent, me, sub, "cp/1/a7/s12/till-1/#", false},
	{"agent reads all feeds", agent, me, sub, "cp/1/feed/#", false},
	{"agent reads the feeds' parent", agent, me, sub, "cp/1/feed", false},
	{"agent reads the catalogue", agent, me, sub, "cp/1/feed/catalog", true},
	{"agent reads one zone", agent, me, sub, "cp/1/feed/price/north", true},
	{"agent reads all zones", agent, me, sub, "cp/1/feed/price/#", true},
	{"agent reads its store", agent, me, sub, "cp/1/feed/store/s12", true},
	{"agent reads its store's events", agent, me, sub, "cp/1/feed/peer/s12", true},
	{"agent reads its store's members", agent, me, sub, "cp/1/feed/member/s12", true},
	{"agent reads another store", agent, me, sub, "cp/1/feed/store/s13", false},
	{"agent reads another store's events", agent, me, sub, "cp/1/feed/peer/s13", false},
	{"agent reads another store's members", agent, me, sub, "cp/1/feed/member/s13", false},
	{"agent reads all members by +", agent, me, sub, "cp/1/feed/member/+", false},
	{"agent reads all members by #", agent, me, sub, "cp/1/feed/member/#", false},
	{"agent reads below its members", agent, me, sub, "cp/1/feed/member/s12/#", false},
	{"agent reads feeds by +", agent, me, sub, "cp/1/feed/+", false},
	{"agent reads feeds by + and #", agent, me, sub, "cp/1/feed/+/#", false},
	{"agent reads its own by +", agent, me, sub, "cp/1/feed/+/s12", false},
	{"agent reads above the feeds", agent, me, sub, "cp/1/#", false},
	{"agent reads beside the feeds", agent, me, sub, "cp/1/+/catalog", false},
	{"agent reads a feed's neighbour", agent, me, sub, "cp/1/feeds/catalog", false},
	{"agent reads the epoch", agent, me, sub, "cp/1/hub", true},
	{"agent reads below the epoch", agent, me, sub, "cp/1/hub/x", false},
	{"agent reads everything", agent, me, sub, "#", false},
	{"agent reads the broker", agent, me, sub, "$SYS/#", false},
	{"agent shares a subscription", agent, me, sub, "$share/g/cp/1/feed/#", false},

	{"empty identity", agent, nobody, pub, "cp/1////up", false},
	{"wildcard identity", agent, broker.Identity{Store: "+", Agent: "+", Part: "+"}, sub, "cp/1/+/+/+/dn", false},
	{"wildcard store", agent, broker.Identity{Store: "+", Agent: "a", Part: "a7"}, sub, "cp/1/a7/+/a/dn", false},
	{"slash in the store", agent, broker.Identity{Store: "s/1", Agent: "a", Part: "a7"}, sub, "cp/1/a7/s/1/a/dn", false},
	{"part that is no hash", agent, broker.Identity{Store: "s", Agent: "a", Part: "feed"}, sub, "cp/1/feed/s/a/dn", false},
	{"upper-case part", agent, broker.Identity{Store: "s", Agent: "a", Part: "A7"}, sub, "cp/1/A7/s/a/dn", false},

	{"hub reads all up", hubs, nobody, sub, "cp/1/+/+/+/up", true},
	{"hub reads everything of ours", hubs, nobody, sub, "cp/1/#", true},
	{"hub sends dn", hubs, nobody, pub, "cp/1/a7/s12/till-1/dn", true},
	{"hub sends a feed", hubs, nobody, pub, "cp/1/feed/catalog", true},
	{"hub sends another version", hubs, nobody, pub, "cp/2/hub", false},
	{"hub reads foreign topics", hubs, nobody, sub, "#", false},
	{"hub reads by a wide +", hubs, nobody, sub, "+/1/#", false},
	{"hub reads the broker", hubs, nobody, sub, "$SYS/#", false},

	{"dev reads everything", dev, nobody, sub, "#", true},
	{"dev sends anything", dev, nobody, pub, "cp/1/hub", true},
	{"dev publishes a wildcard", dev, nobody, pub, "cp/+/hub", false},
	{"dev does not read the broker", dev, nobody, sub, "$SYS/#", false},
	{"nobody", broker.Principal("guest"), nobody, sub, "cp/1/hub", false},

	{"empty topic", dev, nobody, pub, "", false},
	{"# not last", dev, nobody, sub, "cp/#/up", false},
	{"# in a word", dev, nobody, sub, "cp/1#", false},
	{"+ in a word", dev, nobody, sub, "cp/a+", false},
	{"NUL", dev, nobody, pub, "cp/\x00", false},
	{"not UTF-8", dev, nobody, pub, "cp/\xff", false},
	{"too long", dev, nobody, pub, strings.Repeat("a", 65536), false},
}

func TestAllowed(t *testing.T) {
	for _, tt := range allowedTests {
		t.Run(tt.name, func(t *testing.T) {
			if got := broker.Allowed(tt.principal, tt.id, tt.action, tt.topic); got != tt.want {
				t.Errorf("Allowed(%s, %+v, %s, %q) = %v, want %v", tt.principal, tt.id, tt.action, tt.topic, got, tt.want)
			}
		})
	}
}
