package order_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"sync"
	"sync/atomic"
	"testing"

	"counterpart/test/fleet"
	"counterpart/test/process"
	"counterpart/test/retail"
)

const (
	raceStores = 5
	raceUnits  = 10 // in each store
)

// raceClients is how many clients race: 500 at full length.
func raceClients() int {
	if os.Getenv("COUNTERPART_FULL") == "1" {
		return 500
	}
	return 100
}

// race is a chain of some stores, all of whose stock of one item may be promised.
func race(t *testing.T) (*chain, []*process.Agent) {
	t.Helper()
	c := &chain{t: t}
	var agents []*process.Agent
	t.Cleanup(func() {
		for _, a := range agents {
			c.must(a.Kill())
		}
		if c.hub != nil {
			c.must(c.hub.Kill())
		}
	})
	var err error
	c.items, err = retail.Items(seed, 1)
	c.must(err)
	stores := retail.Stores(seed, raceStores)
	c.hub, err = host.StartHub(t.Context(), "hub-race", "")
	c.must(err)
	_, err = process.Load(t.Context(), c.hub, "stores", stores)
	c.must(err)
	_, err = process.Load(t.Context(), c.hub, "items", c.items)
	c.must(err)
	r, err := process.JSON(http.MethodPut, "/v1/policy", "", map[string]any{"safety_stock": 0})
	c.must(err)
	_, err = c.hub.Send(t.Context(), r)
	c.must(err)
	f := fleet.Fleet{Hub: c.hub}
	for i, store := range stores {
		c.agent, err = host.StartAgent(t.Context(), process.AgentOptions{
			Agent: fmt.Sprintf("race%d", i), Store: store.ID, Hub: c.hub.URL(""), MQTT: "mqtt://" + c.hub.Ready().MQTT,
		})
		c.must(err)
		agents = append(agents, c.agent)
		f.Machines = append(f.Machines, &fleet.Machine{Agent: c.agent})
		c.await("the agent can sell", func(ctx context.Context) (string, error) { return "", c.agent.Selling(ctx) })
		c.send(c.agent.Client, "/v1/stock/movements", map[string]any{"type": "receipt", "lines": []map[string]any{{"code": c.items[0].GTIN, "qty": raceUnits}}}, nil)
	}
	c.must(errors.Join(f.Converge(t.Context()), f.CatchUp(t.Context())))
	return c, agents
}

// TestI12_ClientsRaceOverStores has many clients order what is spread over some
// stores, each through two connections at once with one key for each store, and
// kills the hub in the middle. Every unit is promised once, no accepted order is
// lost, and a repeated order is the first one.
func TestI12_ClientsRaceOverStores(t *testing.T) {
	c, agents := race(t)
	connections := [2]*process.Client{process.NewClient(c.hub.Process), process.NewClient(c.hub.Process)}
	request := func(client, try int) process.Request {
		body := map[string]any{
			"store": agents[(client+try)%raceStores].Store(), "method": "in_store", "payment": map[string]any{"status": "due"},
			"lines": []line{{c.items[0].GTIN, 1}},
		}
		r, err := process.JSON(http.MethodPost, "/v1/orders", fmt.Sprintf("race-%d-%d", client, try), body)
		if err != nil {
			panic(err) // nothing in it cannot be encoded
		}
		return r
	}
	var all sync.WaitGroup
	var mu sync.Mutex
	accepted := map[[2]int]string{} // by client and try
	var crashed atomic.Bool
	// order sends one order through both connections and tells whether it was
	// accepted; both have to be told the same.
	order := func(client, try int) bool {
		var answers [2]string
		var both sync.WaitGroup
		for i, connection := range connections {
			both.Go(func() {
				answer, err := connection.Persist(t.Context(), request(client, try))
				var refusal *process.Refusal
				if err == nil {
					answers[i] = string(answer.Body)
				} else if !errors.As(err, &refusal) || refusal.Problem().Code != "short" {
					t.Error(err)
				}
			})
		}
		both.Wait()
		if answers[0] != answers[1] {
			t.Errorf("client %d is told %q and %q", client, answers[0], answers[1])
		}
		if answers[0] == "" {
			return false
		}
		mu.Lock()
		defer mu.Unlock()
		accepted[[2]int{client, try}] = answers[0]
		if len(accepted) >= raceStores*raceUnits/2 && crashed.CompareAndSwap(false, true) {
			all.Go(func() {
				if err := c.hub.Crash(t.Context()); err != nil {
					t.Error(err)
				}
			})
		}
		return true
	}
	for client := range raceClients() {
		all.Go(func() {
			for try := range raceStores {
				if order(client, try) {
					return
				}
			}
		})
	}
	all.Wait()
	if len(accepted) != raceStores*raceUnits {
		t.Errorf("%d orders were accepted of %d units", len(accepted), raceStores*raceUnits)
	}
	for at, first := range accepted {
		again, err := connections[0].Persist(t.Context(), request(at[0], at[1]))
		if err != nil || string(again.Body) != first {
			t.Errorf("client %d again: %s %v, first %s", at[0], again.Body, err, first)
		}
	}
	for _, c.agent = range agents {
		if got, want := c.level(c.items[0].SKU), [3]int64{raceUnits, raceUnits, 0}; got != want {
			t.Errorf("in %s %v are on hand, committed and staged, want %v", c.agent.Store(), got, want)
		}
	}
}
