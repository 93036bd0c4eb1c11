package main

import (
	"context"
	"hash/fnv"
	"net/http"
	"net/url"

	"golang.org/x/sync/errgroup"

	"counterpart/test/fleet"
	"counterpart/test/process"
)

// programme are the rules by which the customers of a file collect points. They
// have each kind of rule that a sale may meet: for goods of a category, for a way
// of paying, for all else, and a campaign of some days of each file.
const programme = `{"earn":[{"per_minor":100,"points":1},{"per_minor":100,"points":2,"category":"club"},{"per_minor":60,"points":1,"tender":"card"}],
 "rounding":"half_up","valid_from":"2000-01-01","campaigns":[
 {"id":"invoices","factor_ppm":1500000,"valid_from":"2011-03-01","valid_to":"2011-04-01"},
 {"id":"baskets","factor_ppm":1500000,"valid_from":"2017-03-01","valid_to":"2017-04-01"},
 {"id":"made-up","factor_ppm":1500000,"valid_from":"2026-03-03","valid_to":"2026-03-05"}]}`

const (
	clubCategory = "club"
	// clubShare of the items, as one in so many, are of that category.
	clubShare = 4
	// membersAtOnce bounds how many members are enrolled or looked up at once.
	membersAtOnce = 8
)

// hashOf spreads texts evenly.
func hashOf(text string) uint32 {
	hash := fnv.New32a()
	hash.Write([]byte(text))
	return hash.Sum32()
}

// categoryOf is the category that an item is given, since the files have none
// that both share.
func categoryOf(sku string) string {
	if hashOf(sku)%clubShare == 0 {
		return clubCategory
	}
	return ""
}

// tenderOf is how a document is paid, which the files do not say.
func tenderOf(document string) string {
	if hashOf(document)%2 == 0 {
		return "card"
	}
	return "on_account"
}

// cardOf is what the card of a file's customer says.
func cardOf(customer string) string { return "C" + customer }

// customers are all who are named in the baskets that are fed.
func (in *input) customers() []string {
	known := map[string]bool{}
	for _, b := range in.baskets {
		if b.customer != "" {
			known[b.customer] = true
		}
	}
	return keys(known, known)
}

// enrol gives the hub the rules and makes a member of each customer.
func enrol(ctx context.Context, chain *fleet.Fleet, in *input) (map[string]string, error) {
	rules := process.Request{Method: http.MethodPut, Path: "/v1/programme", Body: []byte(programme)}
	if _, err := chain.Hub.Send(ctx, rules); err != nil {
		return nil, err
	}
	customers := in.customers()
	ids := make([]string, len(customers))
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(membersAtOnce)
	for i, customer := range customers {
		group.Go(func() error {
			request, err := process.JSON(http.MethodPost, "/v1/members", "enrol-"+customer, map[string]string{"card": cardOf(customer)})
			if err != nil {
				return err
			}
			answer, err := chain.Hub.Persist(ctx, request)
			if err != nil {
				return err
			}
			var doc struct{ ID string }
			err = answer.Into(&doc)
			ids[i] = doc.ID
			return err
		})
	}
	err := group.Wait()
	members := make(map[string]string, len(customers))
	for i, customer := range customers {
		members[customer] = ids[i]
	}
	return members, err
}

// points compares what each member has at the hub with what the file comes to.
func (c *comparison) points(ctx context.Context, f *fleet.Fleet, want map[string]int64) error {
	type balance struct {
		Items []struct {
			Points struct{ Balance int64 }
		}
	}
	customers := keys(want, want)
	got := make([]balance, len(customers))
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(membersAtOnce)
	for i, customer := range customers {
		group.Go(func() error {
			return f.Hub.Get(ctx, "/v1/members?card="+url.QueryEscape(cardOf(customer)), &got[i])
		})
	}
	if err := group.Wait(); err != nil {
		return err
	}
	for i, customer := range customers {
		c.file.points += want[customer]
		c.file.members++
		if len(got[i].Items) != 1 {
			c.differ("%d members bear the card of customer %s", len(got[i].Items), customer)
			continue
		}
		c.hub.members++
		c.hub.points += got[i].Items[0].Points.Balance
		if have := got[i].Items[0].Points.Balance; have != want[customer] {
			c.differ("customer %s has %d points, expected %d", customer, have, want[customer])
		}
	}
	return nil
}
