package loyalty

import "counterpart/protocol"

// Risk is what a stream spent of points that no lease covered, of one member or of
// all. It is made of sums, so that folding streams in any order gives the same.
type Risk struct {
	Risked  protocol.Points // by the stream's sales
	Settled protocol.Points // of them, counted by the hub
}

// Outstanding is what the stream spent and does not know to be counted. The hub
// settles only what it has folded, so what nobody but the stream knows of is never
// more than that.
func (r *Risk) Outstanding() protocol.Points { return max(0, r.Risked-r.Settled) }

// Encode writes what was spent at risk; the same always gives the same bytes.
func (r *Risk) Encode() []byte { return appendSums(nil, r.Risked, r.Settled) }

// DecodeRisk reads what Encode wrote. No bytes are the zero Risk; fields of later
// versions are skipped.
func DecodeRisk(b []byte) (*Risk, error) {
	r := &Risk{}
	_, err := readSums("risk", b, &r.Risked, &r.Settled)
	return r, err
}

// RiskBound says what keeps a stream from spending more at risk.
type RiskBound string

// The bounds.
const (
	RiskOff       RiskBound = "off"        // the programme lets nothing be spent at risk
	RiskBalance   RiskBound = "balance"    // the member has no more
	RiskMemberCap RiskBound = "member_cap" // of one member
	RiskPool      RiskBound = "pool"       // of all members
)

// RiskAsk is what a stream that would spend beyond its lease knows.
type RiskAsk struct {
	Programme *protocol.Programme
	Member    Risk // of this member
	Pool      Risk // of all members
	// Beyond is the member's balance without what the lease covers; nil where
	// nobody here knows it.
	Beyond *protocol.Points
}

// RiskRoom is how many points a stream may spend beyond its lease, and what keeps
// it from spending more: so what is outstanding never exceeds the member's cap nor
// the pool, whatever the caps were before.
func RiskRoom(q *RiskAsk) (protocol.Points, RiskBound) {
	if rule(q.Programme) == nil || !q.Programme.RiskMode.Enabled {
		return 0, RiskOff
	}
	mode := q.Programme.RiskMode
	room, bound := mode.MemberCap-q.Member.Outstanding(), RiskMemberCap
	if pool := mode.Pool - q.Pool.Outstanding(); pool < room {
		room, bound = pool, RiskPool
	}
	if q.Beyond != nil && *q.Beyond < room {
		room, bound = *q.Beyond, RiskBalance
	}
	return max(0, room), bound
}

// Exposure is the most that one stream may have spent at risk without the hub
// knowing. It is the pool: whom a store that is cut off takes for a member nobody
// can check there, so the number of members bounds nothing.
func Exposure(p *protocol.Programme) protocol.Points {
	if rule(p) == nil || !p.RiskMode.Enabled || p.RiskMode.MemberCap <= 0 {
		return 0
	}
	return max(0, p.RiskMode.Pool)
}
