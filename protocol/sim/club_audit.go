package sim

import (
	"bytes"
	"errors"
	"fmt"
	"maps"
	"slices"

	"counterpart/protocol"
	"counterpart/protocol/ledger"
	"counterpart/protocol/loyalty"
)

// auditMembers holds the end of a run to the books of members: what each earned and
// spent is at the hub and in every store once, nobody spent what was not theirs,
// and whoever was erased is nowhere.
func (c *club) auditMembers(r ledger.Reader, held map[*act]bool) error {
	if c == nil {
		return nil
	}
	acts := map[protocol.MemberID][]*act{}
	for _, a := range c.w.books.order {
		if held[a] && a.credit != nil {
			acts[a.credit.member] = append(acts[a.credit.member], a)
		}
	}
	for _, id := range slices.Sorted(maps.Keys(acts)) {
		err := errors.Join(c.auditPoints(r, id, acts[id], held), c.auditKnown(r, id, acts[id]))
		if err != nil {
			return fmt.Errorf("member %s: %w", id, err)
		}
	}
	return errors.Join(c.auditLeases(r), c.auditCarts(), c.auditErased())
}

// auditPoints compares what is said of a member's points with the acts (I3, I13,
// I14).
func (c *club) auditPoints(r ledger.Reader, id protocol.MemberID, acts []*act, held map[*act]bool) error {
	want := c.accountOf(id, acts)
	stores, err := ledger.ReadAccounts(r, id)
	if err != nil {
		return err
	}
	for store, n := range want.stores {
		if stores[store] == nil || stores[store].Balance() != n {
			return fmt.Errorf("its account in %s is %+v, the acts give %d (I3)", store, stores[store], n)
		}
	}
	overspent := false
	for holder := range c.lent[id] {
		l := c.lentOf(id, holder, func(a *act) bool { return held[a] })
		overspent = overspent || l.spent+l.closed > l.granted
	}
	if want.balance < 0 && !want.back && !overspent {
		return fmt.Errorf("%d points are left (I14)", want.balance)
	}
	for _, m := range c.w.agents {
		if c.w.setAside(m) {
			continue
		}
		at := ledger.MemberAt{Store: m.origin.Store, Member: id}
		err := m.disk.db.View(c.w.ctx, func(r ledger.Reader) error {
			h, err := ledger.ReadHeldMember(r, at)
			if err != nil || h == nil {
				return err
			}
			if h.Balance != want.balance {
				return fmt.Errorf("%s shows %d points, the acts give %d (I3)", m.disk.name, h.Balance, want.balance)
			}
			return nil
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// auditKnown demands of who was enrolled that the hub has settled them and their
// stores know who they are.
func (c *club) auditKnown(r ledger.Reader, id protocol.MemberID, acts []*act) error {
	if !slices.ContainsFunc(acts, func(a *act) bool { return a.credit.known != nil }) {
		return nil
	}
	member, _, err := ledger.ReadMember(r, id)
	if err != nil || member == nil {
		return errors.Join(err, errors.New("the hub does not know who was enrolled (I3)"))
	}
	key, ok := c.w.keyIn(c.w.cloud.disk, id)
	p := c.byID[id]
	switch {
	case p != nil && p.id == id && p.erased && member.Status != protocol.MemberErased:
		return fmt.Errorf("the hub said that it was erased, and it is %s", member.Status)
	case member.Status == protocol.MemberErased:
		return nil
	case !ok && !c.unlocked[id]:
		return errors.New("its key has not come to the hub (I2)")
	case ok && member.Status == protocol.MemberTemporary:
		return errors.New("it is temporary in the end (I20)")
	}
	if !ok {
		return nil
	}
	who, err := protocol.Open(key, string(id), member.Sealed)
	if err != nil || p != nil && who != p.fields {
		return fmt.Errorf("it is %v at the hub: %w", who, err)
	}
	for _, m := range c.w.agents {
		if c.w.setAside(m) {
			continue
		}
		err := m.disk.db.View(c.w.ctx, func(r ledger.Reader) error {
			h, err := ledger.ReadHeldMember(r, ledger.MemberAt{Store: m.origin.Store, Member: id})
			if err != nil || h == nil && m.origin.Store != member.HomeStore {
				return err
			}
			if there, ok := c.w.keyIn(m.disk, id); h == nil || !ok || there != key {
				return fmt.Errorf("%s holds %v of it, with the key: %v (I11)", m.disk.name, h != nil, ok)
			}
			ids, err := ledger.HeldByCard(r, m.origin.Store, member.Card)
			if err == nil && !slices.Contains(ids, id) {
				err = fmt.Errorf("%s does not find it by its card (I11)", m.disk.name)
			}
			return err
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// auditLeases demands that nothing is left lent for a visit, and nothing recalled
// unanswered, once every till was heard and has looked (I20). Of copies that go by one
// name the hub asks one; what the others hold is in suspense.
func (c *club) auditLeases(r ledger.Reader) error {
	for _, m := range c.w.agents {
		if slices.ContainsFunc(c.w.agents, func(o *machine) bool { return o != m && o.origin.Agent == m.origin.Agent }) {
			continue
		}
		store, err := ledger.ReadStore(r, m.origin.Store)
		if err != nil {
			return err
		}
		home := store != nil && store.Primary == m.origin.Agent
		err = ledger.LeasesOfStore(r, m.origin.Store, func(id protocol.MemberID, holder protocol.Inc, l *loyalty.Lease) (bool, error) {
			if holder != m.origin.Inc || c.w.setAside(m) {
				return true, nil
			}
			member, _, err := ledger.ReadMember(r, id)
			if err != nil {
				return false, err
			}
			standing := home && member != nil && member.HomeStore == m.origin.Store
			if l.Recalled() || l.Left() > 0 && !standing {
				return false, fmt.Errorf("%s still holds %d points of %s, recalled: %v (I20)", m.disk.name, l.Left(), id, l.Recalled())
			}
			return true, nil
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// auditCarts compares carts with what was put into them and bought, in the order in
// which the hub came to know of it.
func (c *club) auditCarts() error {
	if c.w.cloud.renewed {
		return nil // What the hub has forgotten comes back in another order.
	}
	for id, want := range c.carts {
		doc, err := c.w.cloud.hub.Cart(c.w.ctx, id)
		if protocol.CodeOf(err) == protocol.Conflict {
			continue // They were erased.
		}
		if err != nil {
			return err
		}
		got := map[protocol.SKU]protocol.Quantity{}
		for _, l := range doc.Lines {
			got[l.SKU] = l.Qty
		}
		maps.DeleteFunc(want, func(_ protocol.SKU, q protocol.Quantity) bool { return q == 0 })
		if !maps.Equal(want, got) {
			return fmt.Errorf("the cart of %s holds %v, what was put in and bought gives %v (I3)", id, got, want)
		}
	}
	return nil
}

// fillCart counts what an act that the hub commits does to a cart.
func (c *club) fillCart(a *act) {
	if a.credit == nil {
		return
	}
	id := a.credit.member
	held := c.carts[id]
	switch o := a.credit.cart; {
	case o == nil && a.receipt != "" && a.original == nil && held != nil:
		for i, sku := range a.items {
			held[sku] = max(0, held[sku]-a.lines[i])
		}
	case o != nil && (o.Op == protocol.CartAdd || o.Op == protocol.CartSet):
		if held == nil {
			held = map[protocol.SKU]protocol.Quantity{}
			c.carts[id] = held
		}
		for _, l := range o.Lines {
			if l.Set {
				held[l.SKU] = 0
			}
			held[l.SKU] += l.Quantity
		}
	}
}

// auditErased searches every disk for what people are called. Nothing personal is
// anywhere but sealed; and of whom the hub has said that they were erased no key is
// left that would open it.
func (c *club) auditErased() error {
	w := c.w
	disks := []*disk{w.cloud.disk}
	for _, m := range w.agents {
		disks = append(disks, m.disk)
	}
	for _, d := range disks {
		for _, mark := range []string{nameMark, phoneMark, emailMark} {
			if err := search(w, d, []byte(mark)); err != nil {
				return err
			}
		}
	}
	for id, p := range c.byID {
		if p.id != id || !p.erased {
			continue
		}
		if _, ok := w.keyIn(w.cloud.disk, id); ok {
			return fmt.Errorf("the hub keeps the key of %s, who was erased", id)
		}
		for _, m := range w.agents {
			if _, ok := w.keyIn(m.disk, id); ok && !w.setAside(m) {
				return fmt.Errorf("%s keeps the key of %s, who was erased", m.disk.name, id)
			}
		}
	}
	return nil
}

// search looks for bytes in every row of a disk and of the file of keys beside it.
func search(w *world, d *disk, what []byte) error {
	for _, db := range []*ledger.Memory{d.db, d.keys} {
		if db == nil {
			continue
		}
		err := db.View(w.ctx, func(r ledger.Reader) error {
			for _, table := range []ledger.Table{ledger.States, ledger.Events, ledger.Feeds, ledger.Notes} {
				err := r.Scan(table, "", "", func(id string, v []byte) (bool, error) {
					if bytes.Contains(v, what) || bytes.Contains([]byte(id), what) {
						return false, fmt.Errorf("%s holds %q in row %q", d.name, what, id)
					}
					return true, nil
				})
				if err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// memberExceptions are what acts about members break together.
func (c *club) memberExceptions(held map[*act]bool, found map[string]bool) {
	if c == nil {
		return
	}
	for a := range held {
		if a.credit != nil && a.credit.known != nil {
			if m := a.credit.known; m.CardShared != "" {
				found[ledger.ExceptionCardShared+" "+m.CardShared] = true
			}
			if m := a.credit.known; m.DuplicateOf != "" {
				found[ledger.ExceptionMemberTwice+" "+string(m.ID)] = true
			}
		}
	}
	for id, streams := range c.lent {
		for holder, acts := range streams {
			l := c.lentOf(id, holder, func(a *act) bool { return held[a] })
			spent := slices.ContainsFunc(acts, func(a *act) bool { return held[a] && a.credit.lease == nil })
			if spent && l.spent+l.closed > l.granted {
				found[ledger.ExceptionLeaseOverspent+" "+string(id)+" "+holder.String()] = true
			}
		}
	}
}
