package till_test

import (
	"testing"

	"counterpart/protocol"
	"counterpart/protocol/sale"
)

// TestSellToWhoWasMerged names in a sale who stands for the member, as far as the
// store knows. Points that were lent before the merge are spent under the id that the
// lease names, and given back under it.
func TestSellToWhoWasMerged(t *testing.T) {
	eachDriver(t, func(t *testing.T, s *shopTest) {
		s.spending()
		says := func(id, into protocol.MemberID, version uint32, status protocol.MemberStatus) {
			t.Helper()
			s.hubLogs(hubOrigin, &protocol.Event{Kind: protocol.KindMember, Member: &protocol.Member{
				ID: id, Version: version, Status: status, Card: "card " + string(id), HomeStore: "s1", Into: into,
			}})
		}
		to := func(want string, doc sale.Document) {
			t.Helper()
			if doc.MemberID == nil || *doc.MemberID != want {
				t.Errorf("sold to %+v, not to %s", doc.MemberID, want)
			}
		}
		plain := `{"lines":[{"code":"PEN-01","qty":1}],"member_id":"m-2","tenders":[{"type":"card","amount_minor":250}]}`
		says("m-1", "", 1, protocol.MemberActive)
		says("m-2", "", 1, protocol.MemberActive)
		s.lends("m-1", protocol.LeaseGranted, 200)
		s.lends("m-2", protocol.LeaseGranted, 400)
		to("m-2", s.sell(plain))
		says("m-2", "m-1", 2, protocol.MemberMerged)
		to("m-1", s.sell(plain))
		to("m-2", s.sell(pens(4, "m-1", 300, 700)))
		if one, other := s.lease("m-1"), s.lease("m-2"); one.Left() != 200 || other.Left() != 100 {
			t.Errorf("of the leases %d and %d are left", one.Left(), other.Left())
		}
		_, err := s.trySell(pens(4, "m-2", 300, 700))
		wantWhy(t, err, "lease", 200)
		to("m-1", s.sell(pens(4, "m-2", 200, 800)))
		if one, other := s.account("m-1"), s.account("m-2"); one.Redeemed != 200 || other.Redeemed != 300 {
			t.Errorf("the accounts are %+v and %+v", one, other)
		}
		s.lends("m-2", protocol.LeaseRecalled, 0)
		if err := s.till.GiveBack(t.Context()); err != nil {
			t.Fatal(err)
		}
		if l := s.lease("m-2"); l.Left() != 0 || l.Recalled() {
			t.Errorf("asked back it is %+v", l)
		}
		says("m-2", "", 3, protocol.MemberActive)
		to("m-2", s.sell(plain))
	})
}
