package ledgertest

import (
	"bytes"
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"

	"counterpart/protocol"
	"counterpart/protocol/ledger"
)

// TestMemberFeed takes the histories of two stores in as a hub does, and puts the
// members that they touch onto the stores' feeds. It demands that the feeds say
// what the rows of the fold make (I6, I10), however the events arrived, and that a
// store which follows its feed by deltas and snapshots, each as it comes, ends with
// the same rows, and finds members by what those say.
func TestMemberFeed(t *testing.T, open func(t *testing.T) ledger.Driver, histories uint64) {
	for seed := range histories {
		first := newHistoryOf(seed, store, "a1", "a2", nil)
		other := newHistoryOf(seed+1<<32, "s2", "b1", "b2", first)
		hub, agent := open(t), open(t)
		if err := memberFeed(hub, agent, first, other); err != nil {
			t.Fatalf("seed %d: %v", seed, err)
		}
		for _, d := range []ledger.Driver{hub, agent} {
			if err := d.Close(); err != nil {
				t.Fatal(err)
			}
		}
	}
}

func memberFeed(hub, agent ledger.Driver, histories ...*history) error {
	rnd := histories[0].rnd
	if err := chainEvent(hub); err != nil {
		return err
	}
	var queue [][]ledger.Batch
	for _, h := range histories {
		queue = append(queue, h.shuffled())
	}
	for len(queue) > 0 {
		i := rnd.IntN(len(queue))
		n := min(1+rnd.IntN(4), len(queue[i]))
		if err := takeIn(hub, queue[i][:n]); err != nil {
			return err
		}
		if queue[i] = queue[i][n:]; len(queue[i]) == 0 {
			queue = slices.Delete(queue, i, i+1)
		}
		if err := hub.View(context.Background(), groupsOfMembers); err != nil {
			return err
		}
		if rnd.IntN(3) == 0 {
			if err := followMembers(hub, agent, rnd.IntN(4) == 0, 1+rnd.IntN(3)); err != nil {
				return err
			}
		}
	}
	if err := followMembers(hub, agent, false, 1_000); err != nil {
		return err
	}
	return hub.View(context.Background(), func(r ledger.Reader) error {
		rep, err := ledger.Verify(r)
		// Orders of one id in two stores are none that a hub would place.
		wrong := slices.DeleteFunc(rep.Differences, func(d string) bool { return !strings.Contains(d, "member") })
		if err != nil || len(wrong) > 0 {
			return fmt.Errorf("verify: %v %w", wrong, err)
		}
		return agent.View(context.Background(), func(here ledger.Reader) error { return sameMembers(r, here) })
	})
}

// chainEvent makes the driver that of a hub, which has the chain's own stream.
func chainEvent(hub ledger.Driver) error {
	return hub.Update(context.Background(), func(tx ledger.Tx) error {
		o := protocol.Origin{Agent: protocol.HubAgent, Inc: protocol.Inc{9}}
		_, err := ledger.Log(tx, o, protocol.Clock{}, &protocol.Event{Kind: protocol.KindCatalog, Catalog: &protocol.Catalog{Stores: []protocol.StoreRecord{{ID: store}}}})
		return err
	})
}

// takeIn folds batches in one transaction.
func takeIn(hub ledger.Driver, list []ledger.Batch) error {
	return hub.Update(context.Background(), func(tx ledger.Tx) error {
		group := ledger.NewGroup(tx)
		var touched []ledger.MemberAt
		for _, b := range list {
			res, err := group.Apply(b)
			if err != nil {
				return err
			}
			touched = append(touched, res.Members...)
		}
		if err := group.Flush(); err != nil {
			return err
		}
		_, err := ledger.AppendMembers(tx, touched)
		return err
	})
}

// followMembers applies some deltas of the store's member feed, or its snapshot as
// a whole.
func followMembers(hub, agent ledger.Driver, whole bool, deltas int) error {
	ctx, feed := context.Background(), protocol.MemberFeed(store)
	var cursor ledger.Cursor
	err := agent.View(ctx, func(r ledger.Reader) (err error) {
		cursor, err = ledger.ReadCursor(r, feed)
		return err
	})
	var list []*protocol.Delta
	var head uint64
	if err == nil {
		err = hub.View(ctx, func(r ledger.Reader) (err error) {
			list, head, err = deltasAfter(r, feed, cursor.Offset, whole, deltas)
			return err
		})
	}
	if err != nil {
		return err
	}
	return agent.Update(ctx, func(tx ledger.Tx) error {
		if !whole {
			for _, d := range list {
				if _, err := ledger.ApplyDelta(tx, d, head); err != nil {
					return err
				}
			}
			return nil
		}
		pos := protocol.FeedPos{Feed: feed, Epoch: 1, Offset: head}
		if _, err := ledger.BeginShadow(tx, pos, fmt.Sprint("sum ", head)); err != nil {
			return err
		}
		for _, d := range list {
			if err := ledger.LoadShadow(tx, d); err != nil {
				return err
			}
		}
		if _, err := ledger.SwapShadow(tx, pos); err != nil {
			return err
		}
		_, err := ledger.Sweep(tx, 1_000)
		return err
	})
}

func deltasAfter(r ledger.Reader, feed protocol.FeedID, after uint64, whole bool, most int) (list []*protocol.Delta, head uint64, err error) {
	if head, err = ledger.FeedHead(r, feed); err != nil {
		return nil, 0, err
	}
	if whole {
		after, most = 0, 1_000
	}
	for after < head && len(list) < most {
		d, err := ledger.ReadDelta(r, feed, 1, after)
		if err != nil {
			return nil, 0, err
		}
		if !whole && len(d.Rows) > 1 {
			// A delta may end anywhere.
			d.Rows, d.Upto = d.Rows[:1], d.Rows[0].Offset
		}
		list, after = append(list, d), d.Upto
	}
	return list, head, nil
}

// sameMembers compares what a hub says on a store's member feed with what the store
// holds.
func sameMembers(hub, agent ledger.Reader) error {
	told := map[protocol.MemberID][]byte{}
	d, _, err := deltasAfter(hub, protocol.MemberFeed(store), 0, true, 0)
	if err != nil {
		return err
	}
	for _, part := range d {
		for _, row := range part.Rows {
			if len(row.Value) > 0 {
				told[protocol.MemberID(strings.TrimPrefix(row.Key, "member/"))] = row.Value
			}
		}
	}
	byCard, bySum := map[string][]protocol.MemberID{}, map[protocol.LookupBytes][]protocol.MemberID{}
	for i := range people {
		id := protocol.MemberID(fmt.Sprint("m-", i))
		held, err := ledger.ReadHeldMember(agent, ledger.MemberAt{Store: store, Member: id})
		if err != nil {
			return err
		}
		if held == nil != (told[id] == nil) {
			return fmt.Errorf("%s is held %v, and the hub tells of %d bytes", id, held, len(told[id]))
		}
		if held == nil {
			continue
		}
		if err := sameMember(hub, held, id, told); err != nil {
			return err
		}
		row, err := protocol.DecodeMemberRow(told[id])
		if err != nil {
			return err
		}
		if card := row.Member.Card; card != "" {
			byCard[card] = append(byCard[card], held.Member.ID)
		}
		for _, sum := range []protocol.LookupBytes{row.Member.PhoneSum, row.Member.EmailSum} {
			if sum != (protocol.LookupBytes{}) {
				bySum[sum] = append(bySum[sum], held.Member.ID)
			}
		}
	}
	once := func(ids []protocol.MemberID) []protocol.MemberID {
		slices.Sort(ids)
		return slices.Compact(ids)
	}
	for i := range people {
		card := fmt.Sprint("card ", i)
		if got, err := ledger.HeldByCard(agent, store, card); err != nil || !slices.Equal(got, once(byCard[card])) {
			return fmt.Errorf("%v are found by %s, not %v: %w", got, card, byCard[card], err)
		}
		sum := protocol.LookupBytes{byte(i)}
		if got, err := ledger.HeldByContact(agent, store, sum); err != nil || i > 0 && !slices.Equal(got, once(bySum[sum])) {
			return fmt.Errorf("%v are found by contact %d, not %v: %w", got, i, bySum[sum], err)
		}
	}
	return nil
}

// sameMember compares who is held for an id with the row that the hub tells of
// whoever stands for it, and with the points of all for whom that one stands.
func sameMember(hub ledger.Reader, held *ledger.HeldMember, id protocol.MemberID, told map[protocol.MemberID][]byte) error {
	group, err := ledger.MemberGroup(hub, id)
	if err != nil {
		return err
	}
	row, err := protocol.DecodeMemberRow(told[group[0]])
	if err != nil {
		return err
	}
	want, err := protocol.EncodeMember(&row.Member)
	if err != nil {
		return err
	}
	got, err := protocol.EncodeMember(held.Member)
	if err != nil || !bytes.Equal(got, want) {
		return fmt.Errorf("%s is held as %+v, and told as %+v", id, held.Member, row.Member)
	}
	if !slices.Equal(held.IDs(), group) {
		return fmt.Errorf("%s is one of %v, not of %v", id, held.IDs(), group)
	}
	// The agent has folded no events, so that it takes the hub's word less what that
	// counts of this store.
	var sum protocol.Points
	for _, one := range group {
		accounts, err := ledger.ReadAccounts(hub, one)
		if err != nil {
			return err
		}
		for at, account := range accounts {
			if at != store {
				sum += account.Balance()
			}
		}
	}
	if held.Balance != sum {
		return fmt.Errorf("%s has %d points, not %d", id, held.Balance, sum)
	}
	return nil
}

// groupsOfMembers demands that each member is in one group, that the smallest id
// stands for all of it, whatever events came in whatever order.
func groupsOfMembers(r ledger.Reader) error {
	in := map[protocol.MemberID][]protocol.MemberID{}
	for i := range people {
		id := protocol.MemberID(fmt.Sprint("m-", i))
		group, err := ledger.MemberGroup(r, id)
		if err != nil {
			return err
		}
		if !slices.IsSorted(group) || !slices.Contains(group, id) {
			return fmt.Errorf("%s is one of %v", id, group)
		}
		for _, one := range group {
			if other := in[one]; other != nil && !slices.Equal(other, group) {
				return fmt.Errorf("%s is one of %v and of %v", one, other, group)
			}
			in[one] = group
		}
		if rep, err := ledger.Representative(r, id); err != nil || rep != group[0] {
			return fmt.Errorf("%s stands for %s of %v: %w", rep, id, group, err)
		}
		m, _, err := ledger.ReadMember(r, group[0])
		if err != nil || m != nil && m.Status == protocol.MemberMerged {
			return fmt.Errorf("%+v stands for %v: %w", m, group, err)
		}
	}
	return nil
}
