package hub

import (
	"slices"
	"testing"

	"counterpart/protocol"
	"counterpart/protocol/pickup"
)

// TestOrders lists orders by store, state and number, in pages, and never shows
// what proves that the goods are one's own.
func TestOrders(t *testing.T) {
	s := newShops(t)
	var ids []protocol.OrderID
	var numbers []string
	for _, store := range []string{"s1", "s2", "s2"} {
		doc := s.place(`{"store":"` + store + `","method":"in_store","payment":{"status":"due"},"lines":[{"code":"PEN","qty":1}],"shopper":{"name":"A","phone":"+994501234567"}}`)
		ids, numbers = append(ids, doc.ID), append(numbers, doc.Number)
	}
	s.staff("s1", ids[0], pickup.Ask{Act: protocol.Reject, Reason: "closed"})
	s.staff("s2", ids[1], pickup.Ask{Act: protocol.Accept})
	for _, c := range []struct {
		query OrdersQuery
		want  []protocol.OrderID
	}{
		{OrdersQuery{}, ids},
		{OrdersQuery{Store: "s2"}, ids[1:]},
		{OrdersQuery{Store: "s3"}, nil},
		{OrdersQuery{State: "open"}, ids[1:]},
		{OrdersQuery{State: "accepted"}, ids[1:2]},
		{OrdersQuery{State: "rejected"}, ids[:1]},
		{OrdersQuery{State: "received"}, nil},
		{OrdersQuery{Store: "s1", State: "open"}, nil},
		{OrdersQuery{Number: numbers[2]}, ids[2:]},
	} {
		for _, limit := range []int{1, 2, 10} {
			var got []protocol.OrderID
			for page := (Page{Limit: limit}); ; {
				list, err := s.Orders(t.Context(), c.query, page)
				if err != nil {
					t.Fatal(err)
				}
				for _, d := range list.Items {
					got = append(got, d.ID)
					if d.PickupCode != nil || d.PickupToken != nil {
						t.Errorf("%s shows the shopper's code", d.ID)
					}
					if d.PlacedAt == nil {
						t.Errorf("%s was placed at no time", d.ID)
					}
				}
				if list.Next == nil {
					break
				}
				page.After = *list.Next
			}
			want := slices.Sorted(slices.Values(c.want))
			if !slices.Equal(got, want) {
				t.Errorf("%+v in pages of %d: %v, want %v", c.query, limit, got, want)
			}
		}
	}
}
