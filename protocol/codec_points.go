package protocol

import "counterpart/protocol/wire"

func checkLease(c *check, l *Lease) {
	c.id("member", string(l.Member))
	if l.Holder.IsZero() {
		c.failf("a lease has no holder")
	}
	c.word("change", string(l.Change), true)
	c.natural("points", int64(l.Points))
	c.idOrNone("staff", string(l.Staff))
	c.text("reason", l.Reason)
}

func encodeLease(l *Lease) *wire.Lease {
	return &wire.Lease{Member: string(l.Member), Holder: l.Holder[:], Change: string(l.Change), Points: int64(l.Points), Staff: string(l.Staff), Reason: l.Reason}
}

func decodeLease(c *check, w *wire.Lease) *Lease {
	return &Lease{
		Member: MemberID(w.Member), Holder: Inc(fixed(c, "holder", w.Holder, len(Inc{}))), Change: LeaseChange(w.Change), Points: Points(w.Points),
		Staff: StaffID(w.Staff), Reason: w.Reason,
	}
}

func checkPointsChange(c *check, p *PointsChange) {
	c.id("member", string(p.Member))
	c.word("change", string(p.Change), true)
	c.amount("points", int64(p.Points))
	c.text("reason", p.Reason)
	c.idOrNone("staff", string(p.Staff))
}

func encodePointsChange(p *PointsChange) *wire.PointsChange {
	return &wire.PointsChange{Member: string(p.Member), Change: string(p.Change), Points: int64(p.Points), Reason: p.Reason, Staff: string(p.Staff)}
}

func decodePointsChange(_ *check, w *wire.PointsChange) *PointsChange {
	return &PointsChange{Member: MemberID(w.Member), Change: PointsReason(w.Change), Points: Points(w.Points), Reason: w.Reason, Staff: StaffID(w.Staff)}
}
