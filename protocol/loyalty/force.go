package loyalty

import (
	"time"

	"counterpart/protocol"
)

// InForce is the programme that stands at a moment: of those that began, the one
// that began last, as with tax rates. Dates mean midnight in zone, the store's
// (our own rule). Of two that begin at one moment the one whose start is the
// larger text stands, so that their order does not matter. It is nil before the
// first.
func InForce(programmes []*protocol.Programme, at time.Time, zone *time.Location) *protocol.Programme {
	var found *protocol.Programme
	var since time.Time
	for _, p := range programmes {
		from, ok := startOf(p.ValidFrom, zone)
		if !ok || from.After(at) {
			continue
		}
		if found == nil || from.After(since) || from.Equal(since) && p.ValidFrom > found.ValidFrom {
			found, since = p, from
		}
	}
	return found
}

// startOf reads the beginning of a period: an RFC 3339 time, or a date.
func startOf(text string, zone *time.Location) (time.Time, bool) {
	if len(text) == len(time.DateOnly) {
		at, err := time.ParseInLocation(time.DateOnly, text, zone)
		return at, err == nil
	}
	at, err := time.Parse(time.RFC3339, text)
	return at, err == nil
}

// running tells whether a campaign is in force. One whose dates cannot be read is
// not.
func running(c *protocol.Campaign, at time.Time, zone *time.Location) bool {
	if from, ok := startOf(c.From, zone); c.From != "" && (!ok || from.After(at)) {
		return false
	}
	to, ok := startOf(c.To, zone)
	return c.To == "" || ok && at.Before(to)
}
