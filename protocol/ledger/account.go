package ledger

import (
	"slices"
	"strings"

	"counterpart/protocol"
	"counterpart/protocol/loyalty"

	"google.golang.org/protobuf/encoding/protowire"
)

// MemberAt names a member's account in one store.
type MemberAt struct {
	Store  protocol.StoreID
	Member protocol.MemberID
}

// Rows of members' points. Accounts and leases belong to a store; in which stores
// a member has one is the chain's to know.
const (
	kindAccount      = "account"
	kindLease        = "lease"
	kindRisk         = "risk" // what a stream spent of points of all members beyond its leases
	kindMemberStores = "member_stores"
)

func accountKey(at MemberAt) Key { return stateKey(kindAccount, string(at.Store), string(at.Member)) }

func memberStoresKey(id protocol.MemberID) Key { return stateKey(kindMemberStores, string(id)) }

func leaseKey(at MemberAt, holder protocol.Inc) Key {
	return stateKey(kindLease, string(at.Store), string(at.Member), holder.String())
}

func riskKey(store protocol.StoreID, holder protocol.Inc) Key {
	return stateKey(kindRisk, string(store), holder.String())
}

// leaseSubject is what an exception about a lease is about.
func leaseSubject(member protocol.MemberID, holder protocol.Inc) string {
	return string(member) + " " + holder.String()
}

// pointsOf is the member whose account an event changes, and the points that the
// stream in which it was logged spends, of its lease and beyond it. What another POS
// took is recorded and was never asked of a lease.
func pointsOf(ev *protocol.Event) (member protocol.MemberID, spent, risked protocol.Points) {
	switch s := ev.Sale; {
	case s != nil && s.Member != "" && !s.Training && s.Member.Account() == protocol.PointsAccount && (s.PointsEarned != 0 || s.PointsRedeemed != 0):
		if s.External != nil {
			return s.Member, 0, 0
		}
		return s.Member, max(0, s.PointsRedeemed) - s.PointsAtRisk, s.PointsAtRisk
	case ev.PointsChange != nil:
		return ev.PointsChange.Member, 0, 0
	case ev.Order != nil:
		// It has no points. The store that keeps it is told of the member, and so has
		// the key, and learns when the member is erased.
		return ev.Order.Member, 0, 0
	}
	return "", 0, 0
}

// entriesOf are what a receipt does to accounts that are not a member's points.
func entriesOf(ev *protocol.Event) []protocol.AccountEntry {
	if ev.Sale == nil || ev.Sale.Training {
		return nil
	}
	return ev.Sale.Accounts
}

// taken is what an entry takes of its account and so of the lease of the stream in
// which the receipt was logged: whatever the account loses, also by a void. Points
// differ, since what a return takes back of them may be spent already.
func taken(s *protocol.Sale, e *protocol.AccountEntry) protocol.Points {
	if s.External != nil {
		return 0
	}
	return max(0, -e.Amount)
}

// riskOf is the part of a lease's event that is about what was spent beyond it.
func riskOf(l *protocol.Lease) (settled protocol.Points) {
	if l != nil && l.Change == protocol.LeaseSettled {
		return l.Points
	}
	return 0
}

// holderOf is the stream whose lease an event concerns; ok is false for none.
func holderOf(a *act) (member protocol.MemberID, holder protocol.Inc, ok bool) {
	if l := a.event.Lease; l != nil {
		return l.Member, l.Holder, true
	}
	member, spent, risked := pointsOf(a.event)
	return member, a.id.Inc, spent > 0 || risked > 0
}

// pointsKeys adds the rows of members' points that an event touches.
func (f *fold) pointsKeys(keys []Key, a *act) []Key {
	member, _, risked := pointsOf(a.event)
	if member != "" {
		keys = append(keys, accountKey(MemberAt{f.origin.Store, member}), memberStoresKey(member))
	}
	if member, holder, ok := holderOf(a); ok {
		keys = append(keys, leaseKey(MemberAt{f.origin.Store, member}, holder), memberStoresKey(member))
		if risked > 0 || riskOf(a.event.Lease) > 0 {
			keys = append(keys, riskKey(f.origin.Store, holder))
		}
	}
	return f.accountKeys(keys, a)
}

// accountKeys adds the rows of accounts that are not a member's points.
func (f *fold) accountKeys(keys []Key, a *act) []Key {
	for i, e := range entriesOf(a.event) {
		at := MemberAt{f.origin.Store, e.Account}
		keys = append(keys, accountKey(at), memberStoresKey(e.Account))
		if taken(a.event.Sale, &a.event.Sale.Accounts[i]) > 0 {
			keys = append(keys, leaseKey(at, a.id.Inc))
		}
		if usesOffer(a.event.Sale, &a.event.Sale.Accounts[i]) {
			keys = append(keys, termsKey(at))
		}
	}
	if c := a.event.AccountChange; c != nil {
		at := MemberAt{f.origin.Store, c.Account}
		keys = append(keys, accountKey(at), memberStoresKey(c.Account))
		if c.Terms != nil {
			keys = append(keys, termsKey(at))
		}
	}
	return keys
}

// points folds what an event does to a member's points.
func (f *fold) points(a *act) error {
	member, _, _ := pointsOf(a.event)
	if member != "" {
		account, err := change(f.set, accountKey(MemberAt{f.origin.Store, member}), loyalty.DecodeAccount)
		if err != nil {
			return err
		}
		switch {
		case a.event.Sale != nil:
			account.Sale(a.event.Sale)
		case a.event.PointsChange != nil:
			account.Change(a.event.PointsChange)
		default:
			account.Events++
		}
		if err := f.meet(MemberAt{f.origin.Store, member}); err != nil {
			return err
		}
	}
	if member, holder, ok := holderOf(a); ok {
		_, spent, risked := pointsOf(a.event)
		if err := f.lease(a, MemberAt{f.origin.Store, member}, holder, spent, risked); err != nil {
			return err
		}
	}
	return f.accounts(a)
}

// accounts folds what an event does to accounts that are not a member's points.
func (f *fold) accounts(a *act) error {
	for i, e := range entriesOf(a.event) {
		at := MemberAt{f.origin.Store, e.Account}
		account, err := change(f.set, accountKey(at), loyalty.DecodeAccount)
		if err != nil {
			return err
		}
		account.Enter(e.Amount)
		if err := f.meet(at); err != nil {
			return err
		}
		if n := taken(a.event.Sale, &a.event.Sale.Accounts[i]); n > 0 {
			if err := f.lease(a, at, a.id.Inc, n, 0); err != nil {
				return err
			}
		}
		if usesOffer(a.event.Sale, &a.event.Sale.Accounts[i]) {
			if err := f.useOffer(a, at); err != nil {
				return err
			}
		}
	}
	c := a.event.AccountChange
	if c == nil {
		return nil
	}
	at := MemberAt{f.origin.Store, c.Account}
	account, err := change(f.set, accountKey(at), loyalty.DecodeAccount)
	if err != nil {
		return err
	}
	account.Alter(c)
	if err := f.terms(a, at); err != nil {
		return err
	}
	return f.meet(at)
}

// lease folds what an event does to what a stream may spend, and spent beyond that.
func (f *fold) lease(a *act, at MemberAt, holder protocol.Inc, spent, risked protocol.Points) error {
	lease, err := change(f.set, leaseKey(at, holder), loyalty.DecodeLease)
	if err != nil {
		return err
	}
	settled := riskOf(a.event.Lease)
	switch {
	case a.event.Lease != nil:
		lease.Change(a.event.Lease)
	case spent > 0:
		lease.Spend(a.id, spent)
	}
	lease.Risk.Risked += risked
	if risked > 0 || settled > 0 {
		pool, err := change(f.set, riskKey(f.origin.Store, holder), loyalty.DecodeRisk)
		if err != nil {
			return err
		}
		pool.Risked += risked
		pool.Settled += settled
	}
	var broken []protocol.EventID
	if lease.Overspent() && !lease.Last.IsZero() {
		broken = append(broken, lease.Last)
	}
	f.set.raise(f.origin.Store, ExceptionLeaseOverspent, leaseSubject(at.Member, holder), broken)
	if *lease == (loyalty.Lease{}) {
		return nil // It is no row, whatever was said of it: a word of a later version, or of no points.
	}
	return f.meet(at)
}

// meet notes that a member's points are known of in a store, and changed.
func (f *fold) meet(at MemberAt) error {
	stores, err := change(f.set, memberStoresKey(at.Member), decodeStoreSet)
	if err != nil {
		return err
	}
	stores.add(at.Store)
	f.touch(at)
	return nil
}

// touch notes whose points the batch changed.
func (f *fold) touch(at MemberAt) {
	for _, m := range f.res.Members {
		if m == at {
			return
		}
	}
	f.res.Members = append(f.res.Members, at)
}

// wrongHand tells why an event about points or members is not its writer's to
// write.
func wrongHand(o protocol.Origin, id protocol.EventID, ev *protocol.Event) string {
	hub := o.Agent == protocol.HubAgent
	switch l := ev.Lease; {
	case l != nil && l.Change == protocol.LeaseClosed && l.Holder != id.Inc:
		return "a lease is its holder's to close"
	case l != nil && l.Change != protocol.LeaseClosed && !hub:
		return "a lease is the hub's to grant"
	case ev.PointsChange != nil && !hub:
		return "points are the hub's to change"
	case ev.AccountChange != nil && !hub:
		return "an account is the hub's to change"
	case ev.Cart != nil && !hub:
		return "a cart is the hub's to change"
	case ev.Member != nil && (ev.Member.Version > 1 || ev.Member.Status == protocol.MemberMerged) && !hub:
		return "a member is the hub's to change"
	}
	return ""
}

// storeSet is a sorted set of stores.
type storeSet []protocol.StoreID

func (s *storeSet) add(id protocol.StoreID) {
	if i, found := slices.BinarySearch(*s, id); !found {
		*s = slices.Insert(*s, i, id)
	}
}

// Encode writes the row.
func (s *storeSet) Encode() []byte {
	var f fields
	for _, id := range *s {
		f.element(1, []byte(id))
	}
	return f
}

func decodeStoreSet(b []byte) (*storeSet, error) {
	s := &storeSet{}
	err := decodeFields("stores", b, func(num protowire.Number, v value) error {
		if num == 1 {
			s.add(protocol.StoreID(v.text()))
		}
		return nil
	})
	return s, err
}

// Members calls fn for each member who belongs to a store or has points there, in
// the order of their ids, those behind after, until it returns false.
func Members(r Reader, behind protocol.MemberID, fn func(protocol.MemberID) (bool, error)) error {
	prefix := kindMemberStores + sep
	from := prefix
	if behind != "" {
		from = prefix + string(behind) + sep
	}
	return r.Scan(States, from, after(prefix), func(id string, _ []byte) (bool, error) {
		return fn(protocol.MemberID(strings.Clone(id[len(prefix):])))
	})
}

// ReadAccounts reads a member's account in each store that is known here, none
// for a member who is not.
func ReadAccounts(r Reader, member protocol.MemberID) (map[protocol.StoreID]*loyalty.Account, error) {
	values, err := r.Load([]Key{memberStoresKey(member)})
	if err != nil {
		return nil, err
	}
	stores, err := decodeStoreSet(values[0])
	if err != nil {
		return nil, err
	}
	keys := make([]Key, len(*stores))
	for i, store := range *stores {
		keys[i] = accountKey(MemberAt{store, member})
	}
	if values, err = r.Load(keys); err != nil {
		return nil, err
	}
	accounts := make(map[protocol.StoreID]*loyalty.Account, len(keys))
	for i, store := range *stores {
		if accounts[store], err = loyalty.DecodeAccount(values[i]); err != nil {
			return nil, err
		}
	}
	return accounts, nil
}

// ReadAccount reads what happened to a member's points in one store, as far as it
// is known here.
func ReadAccount(r Reader, at MemberAt) (*loyalty.Account, error) {
	values, err := r.Load([]Key{accountKey(at)})
	if err != nil {
		return nil, err
	}
	return loyalty.DecodeAccount(values[0])
}

// ReadLease reads what a stream of a store may spend of a member's points.
func ReadLease(r Reader, at MemberAt, holder protocol.Inc) (*loyalty.Lease, error) {
	values, err := r.Load([]Key{leaseKey(at, holder)})
	if err != nil {
		return nil, err
	}
	return loyalty.DecodeLease(values[0])
}

// Leases calls fn for each lease of a member in one store, in the order of their
// holders, until it returns false.
func Leases(r Reader, at MemberAt, fn func(protocol.Inc, *loyalty.Lease) (bool, error)) error {
	prefix := kindLease + sep + string(at.Store) + sep + string(at.Member) + sep
	return r.Scan(States, prefix, after(prefix), func(id string, v []byte) (bool, error) {
		holder, err := protocol.ParseInc(strings.TrimPrefix(id, prefix))
		if err != nil {
			return false, err
		}
		l, err := loyalty.DecodeLease(v)
		if err != nil {
			return false, err
		}
		return fn(holder, l)
	})
}

// LeasesOfStore calls fn for each lease of a store's streams, in the order of
// members, then holders, until it returns false.
func LeasesOfStore(r Reader, store protocol.StoreID, fn func(protocol.MemberID, protocol.Inc, *loyalty.Lease) (bool, error)) error {
	prefix := kindLease + sep + string(store) + sep
	return r.Scan(States, prefix, after(prefix), func(id string, v []byte) (bool, error) {
		member, inc, _ := strings.Cut(id[len(prefix):], sep)
		holder, err := protocol.ParseInc(inc)
		if err != nil {
			return false, err
		}
		l, err := loyalty.DecodeLease(v)
		if err != nil {
			return false, err
		}
		return fn(protocol.MemberID(strings.Clone(member)), holder, l)
	})
}

// ReadRisk reads what a stream of a store spent of points of all members beyond its
// leases.
func ReadRisk(r Reader, store protocol.StoreID, holder protocol.Inc) (*loyalty.Risk, error) {
	values, err := r.Load([]Key{riskKey(store, holder)})
	if err != nil {
		return nil, err
	}
	return loyalty.DecodeRisk(values[0])
}

// Risks calls fn for each stream of any store that spent points beyond its leases,
// until it returns false.
func Risks(r Reader, fn func(protocol.StoreID, protocol.Inc, *loyalty.Risk) (bool, error)) error {
	prefix := kindRisk + sep
	return r.Scan(States, prefix, after(prefix), func(id string, v []byte) (bool, error) {
		store, inc, _ := strings.Cut(id[len(prefix):], sep)
		holder, err := protocol.ParseInc(inc)
		if err != nil {
			return false, err
		}
		risk, err := loyalty.DecodeRisk(v)
		if err != nil {
			return false, err
		}
		return fn(protocol.StoreID(strings.Clone(store)), holder, risk)
	})
}
