package hub

import (
	"slices"

	"counterpart/protocol"
	"counterpart/protocol/ledger"
	"counterpart/protocol/pickup"
)

// partNews is what is told of a part of an order.
type partNews struct {
	order protocol.OrderID
	store protocol.StoreID
	news  pickup.News
}

// inOrder lists what is told of the parts that a transaction changed. What is told of
// one part keeps its order; of several parts of one order, what happened in one stream
// comes as it happened there, since the messages of an order have an order. A hub that
// was put back learns of several parts at once.
func inOrder(parts []ledger.PartWritten) (list []partNews) {
	for len(parts) > 0 {
		order := parts[0].ID.Order
		var lists [][]partNews
		parts = slices.DeleteFunc(slices.Clone(parts), func(p ledger.PartWritten) bool {
			if p.ID.Order != order {
				return false
			}
			var of []partNews
			for _, n := range p.After.News(p.Before) {
				of = append(of, partNews{order, p.Store, n})
			}
			lists = append(lists, of)
			return true
		})
		list = append(list, merged(lists)...)
	}
	return list
}

// merged takes from lists, each in its order, the first that nothing of its stream in
// another list comes before.
func merged(lists [][]partNews) (all []partNews) {
	for {
		lists = slices.DeleteFunc(lists, func(l []partNews) bool { return len(l) == 0 })
		if len(lists) == 0 {
			return all
		}
		// Where each waits for another the events of one part contradict its stream,
		// and its order stands.
		next := max(0, slices.IndexFunc(lists, func(l []partNews) bool { return !waits(lists, l[0].news.ID) }))
		all = append(all, lists[next][0])
		lists[next] = lists[next][1:]
	}
}

// waits tells whether an earlier event of the same stream is to be told yet.
func waits(lists [][]partNews, id protocol.EventID) bool {
	return slices.ContainsFunc(lists, func(l []partNews) bool {
		return slices.ContainsFunc(l, func(n partNews) bool { return n.news.ID.Inc == id.Inc && n.news.ID.Seq < id.Seq })
	})
}
