package broker

import (
	"strings"
	"unicode/utf8"
)

// Principal is a kind of MQTT client.
type Principal string

// The principals. Dev stands for everybody in development mode and has all
// rights; it never exists together with the others.
const (
	PrincipalHub   Principal = "hub"
	PrincipalAgent Principal = "agent"
	PrincipalDev   Principal = "dev"
)

// Action is what a client wants to do with a topic.
type Action string

// The actions. The topic of a Subscribe is a filter and may hold wildcards.
const (
	Publish   Action = "publish"
	Subscribe Action = "subscribe"
)

// Identity is the agent that a client has proved to be. It is empty for the
// other principals.
type Identity struct {
	Store string
	Agent string
	Part  string // two hex digits of a hash of the store
}

// right is one row of the table: what one principal may publish and subscribe.
type right struct {
	principal Principal
	publish   []string
	subscribe []string
}

// rights is the only place that says who may use which topic. What is not
// listed is refused. {part}, {store} and {agent} are the client's own. What is said
// of one store goes to that store's machines alone: keys of members travel there.
var rights = []right{
	{
		principal: PrincipalHub,
		publish:   []string{"cp/1/#"},
		subscribe: []string{"cp/1/#"},
	},
	{
		principal: PrincipalAgent,
		publish:   []string{"cp/1/{part}/{store}/{agent}/up", "cp/1/{part}/{store}/{agent}/st"},
		subscribe: []string{
			"cp/1/{part}/{store}/{agent}/dn", "cp/1/hub", "cp/1/feed/catalog", "cp/1/feed/price/#",
			"cp/1/feed/store/{store}", "cp/1/feed/peer/{store}", "cp/1/feed/member/{store}",
		},
	},
	{
		principal: PrincipalDev,
		publish:   []string{"#"},
		subscribe: []string{"#"},
	},
}

// topicBytesMax is MQTT's limit, set by the two bytes of a string's length.
const topicBytesMax = 65535

// Allowed says whether a client may publish to a topic or subscribe to a filter.
// A subscription is allowed only if every topic that it could ever match is.
func Allowed(principal Principal, id Identity, action Action, topic string) bool {
	if !validTopic(topic, action == Subscribe) {
		return false
	}
	for _, r := range rights {
		if r.principal != principal {
			continue
		}
		granted := r.publish
		if action == Subscribe {
			granted = r.subscribe
		}
		for _, pattern := range granted {
			if filter, ok := own(pattern, id); ok && covers(filter, topic) {
				return true
			}
		}
	}
	return false
}

// own fills a client's identity into a row's pattern. An identity that is not
// made of plain words grants nothing, because "+" as a store would grant all.
func own(pattern string, id Identity) (string, bool) {
	if !strings.Contains(pattern, "{") {
		return pattern, true
	}
	if !validWord(id.Store) || !validWord(id.Agent) || len(id.Part) != 2 || strings.Trim(id.Part, "0123456789abcdef") != "" {
		return "", false
	}
	return strings.NewReplacer("{part}", id.Part, "{store}", id.Store, "{agent}", id.Agent).Replace(pattern), true
}

func validWord(s string) bool {
	if len(s) == 0 || len(s) > 64 {
		return false
	}
	for _, r := range s {
		letter := r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z'
		if !letter && (r < '0' || r > '9') && r != '-' && r != '_' {
			return false
		}
	}
	return true
}

// validTopic applies the rules of MQTT 3.1.1, section 4.7.
func validTopic(topic string, wildcards bool) bool {
	if topic == "" || len(topic) > topicBytesMax || !utf8.ValidString(topic) || strings.ContainsRune(topic, 0) {
		return false
	}
	levels := strings.Split(topic, "/")
	for i, level := range levels {
		if !strings.ContainsAny(level, "+#") {
			continue
		}
		last := i == len(levels)-1
		if !wildcards || (level != "+" && (level != "#" || !last)) {
			return false
		}
	}
	return true
}

// covers says whether filter matches every topic that topic stands for. A topic
// without wildcards stands for itself. "+" matches one level, also an empty one;
// "#" matches the rest and its own parent; neither matches a first level that
// begins with "$", which belongs to the broker.
func covers(filter, topic string) bool {
	have, want := strings.Split(filter, "/"), strings.Split(topic, "/")
	if strings.HasPrefix(want[0], "$") && (have[0] == "+" || have[0] == "#") {
		return false
	}
	for i, level := range have {
		if level == "#" {
			return true
		}
		if i >= len(want) {
			return false
		}
		switch {
		case want[i] == "#":
			return false
		case level == "+" || level == want[i]:
		default:
			return false
		}
	}
	return len(want) == len(have)
}
