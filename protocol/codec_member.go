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
	return &wire.Lease{Member: string(l.Member), Holder: l.Holder[:], Change: string(l.Change), Points: int64(l.Points), Staff: string(l.Staff), Reason: l.Reason, Recalls: l.Recalls}
}

func decodeLease(c *check, w *wire.Lease) *Lease {
	return &Lease{
		Member: MemberID(w.Member), Holder: Inc(fixed(c, "holder", w.Holder, len(Inc{}))), Change: LeaseChange(w.Change), Points: Points(w.Points),
		Staff: StaffID(w.Staff), Reason: w.Reason, Recalls: w.Recalls,
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

func checkMember(c *check, m *Member) {
	c.id("member", string(m.ID))
	if m.Version == 0 {
		c.failf("a member has no version")
	}
	c.word("status", string(m.Status), true)
	c.name("card", m.Card)
	if len(m.Sealed) > SealedBytesMax {
		c.failf("sealed fields of %d bytes are too large", len(m.Sealed))
	}
	c.idOrNone("home store", string(m.HomeStore))
	c.text("locale", m.Locale)
	c.count("consents", len(m.Consents), smallListMax)
	for i := range m.Consents {
		x := &m.Consents[i]
		c.word("channel", x.Channel, true)
		c.word("purpose", x.Purpose, true)
		c.text("source", x.Source)
	}
	c.word("preferred channel", m.Preferred, false)
	c.idOrNone("member", string(m.Into))
	c.idOrNone("staff", string(m.Staff))
	c.name("card", m.CardShared)
	c.idOrNone("member", string(m.DuplicateOf))
	c.name("tier", m.Tier)
	c.text("reason", m.Reason)
}

func encodeMember(m *Member) *wire.Member {
	w := &wire.Member{
		Id: string(m.ID), Version: m.Version, Status: string(m.Status), Card: m.Card, Sealed: m.Sealed, HomeStore: string(m.HomeStore), Locale: m.Locale,
		Consents: list[*wire.Consent](len(m.Consents)), PreferredChannel: m.Preferred, MergedInto: string(m.Into), Staff: string(m.Staff),
		CardShared: m.CardShared, DuplicateOf: string(m.DuplicateOf), Tier: m.Tier, Reason: m.Reason,
	}
	if m.PhoneSum != (LookupBytes{}) {
		w.PhoneSum = m.PhoneSum[:]
	}
	if m.EmailSum != (LookupBytes{}) {
		w.EmailSum = m.EmailSum[:]
	}
	for i := range m.Consents {
		x := &m.Consents[i]
		w.Consents[i] = &wire.Consent{Channel: x.Channel, Purpose: x.Purpose, Granted: x.Granted, AtMs: x.AtMs, Source: x.Source}
	}
	return w
}

func decodeMember(c *check, w *wire.Member) *Member {
	c.count("consents", len(w.Consents), smallListMax)
	if c.err != nil {
		return nil
	}
	m := &Member{
		ID: MemberID(w.Id), Version: w.Version, Status: MemberStatus(w.Status), Card: w.Card, Sealed: w.Sealed,
		PhoneSum: LookupBytes(fixed(c, "phone_sum", w.PhoneSum, len(LookupBytes{}))), EmailSum: LookupBytes(fixed(c, "email_sum", w.EmailSum, len(LookupBytes{}))),
		HomeStore: StoreID(w.HomeStore), Locale: w.Locale, Consents: list[Consent](len(w.Consents)), Preferred: w.PreferredChannel, Into: MemberID(w.MergedInto), Staff: StaffID(w.Staff),
		CardShared: w.CardShared, DuplicateOf: MemberID(w.DuplicateOf), Tier: w.Tier, Reason: w.Reason,
	}
	for i, x := range w.Consents {
		m.Consents[i] = Consent{Channel: x.GetChannel(), Purpose: x.GetPurpose(), Granted: x.GetGranted(), AtMs: x.GetAtMs(), Source: x.GetSource()}
	}
	return m
}

// EncodeMember writes the value of a member's row.
func EncodeMember(m *Member) ([]byte, error) {
	return encodeRow("member", m, checkMember, encodeMember)
}

// DecodeMember reads what EncodeMember wrote.
func DecodeMember(value []byte) (*Member, error) {
	m, err := decodeRow("member", value, &wire.Member{}, func(c *check, w *wire.Member) Member {
		if m := decodeMember(c, w); m != nil {
			return *m
		}
		return Member{}
	}, checkMember)
	return m, err
}

func checkMemberRow(c *check, r *MemberRow) {
	checkMember(c, &r.Member)
	for _, n := range []Points{r.Balance, r.Leased, r.Here.Earned, r.Here.Redeemed, r.Here.Adjusted, r.Here.Expired, r.Here.Events} {
		if n < -sumMax || n > sumMax {
			c.failf("points %d are out of range", n)
		}
	}
	c.count("group", len(r.Group), groupRoom)
	for i, id := range r.Group {
		c.id("group", string(id))
		if i > 0 && r.Group[i-1] >= id {
			c.failf("the group is not in the order of its ids")
		}
	}
}

// groupRoom bounds a group in a row, with room for what a hub that was restored
// merged once more: a row that cannot be written would hold up whole stores.
const groupRoom = 100 * MemberGroupMax

// sumMax bounds sums of points over many events, so that the balance of a store
// can be taken out of that of all stores without overflow.
const sumMax Points = 1 << 60

func encodeMemberRow(r *MemberRow) *wire.MemberRow {
	w := &wire.MemberRow{Member: encodeMember(&r.Member), Balance: int64(r.Balance), Leased: int64(r.Leased)}
	for _, id := range r.Group {
		w.Group = append(w.Group, string(id))
	}
	if a := r.Here; a != (MemberAccount{}) {
		w.Here = &wire.MemberAccount{Earned: int64(a.Earned), Redeemed: int64(a.Redeemed), Adjusted: int64(a.Adjusted), Expired: int64(a.Expired), Events: int64(a.Events)}
	}
	return w
}

func decodeMemberRow(c *check, w *wire.MemberRow) MemberRow {
	r := MemberRow{Balance: Points(w.Balance), Leased: Points(w.Leased)}
	if c.count("group", len(w.Group), groupRoom); c.err != nil {
		return r
	}
	for _, id := range w.Group {
		r.Group = append(r.Group, MemberID(id))
	}
	if w.Member == nil {
		c.failf("the row has no member")
		return r
	}
	if m := decodeMember(c, w.Member); m != nil {
		r.Member = *m
	}
	if a := w.Here; a != nil {
		r.Here = MemberAccount{Earned: Points(a.Earned), Redeemed: Points(a.Redeemed), Adjusted: Points(a.Adjusted), Expired: Points(a.Expired), Events: Points(a.Events)}
	}
	return r
}

// EncodeMemberRow writes the value of a row of a member feed.
func EncodeMemberRow(r *MemberRow) ([]byte, error) {
	return encodeRow("member row", r, checkMemberRow, encodeMemberRow)
}

// DecodeMemberRow reads what EncodeMemberRow wrote.
func DecodeMemberRow(value []byte) (*MemberRow, error) {
	return decodeRow("member row", value, &wire.MemberRow{}, decodeMemberRow, checkMemberRow)
}
