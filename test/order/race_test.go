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
	return 70
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

// racers order through two connections at once, with one key for each store that
// a client tries.
type racers struct {
	*chain
	agents      []*process.Agent
	connections [2]*process.Client
	all         sync.WaitGroup
	crashed     atomic.Bool

	mu       sync.Mutex
	accepted map[[2]int]string // by client and try
}

func (r *racers) request(client, try int) process.Request {
	body := map[string]any{
		"store": r.agents[(client+try)%raceStores].Store(), "method": "in_store", "payment": map[string]any{"status": "due"},
		"lines": []line{{r.items[0].GTIN, 1}},
	}
	request, err := process.JSON(http.MethodPost, "/v1/orders", fmt.Sprintf("race-%d-%d", client, try), body)
	if err != nil {
		panic(err) // nothing in it cannot be encoded
	}
	return request
}

// order sends one order through both connections and tells whether it was
// accepted; both have to be told the same. Half way the hub is killed.
func (r *racers) order(client, try int) bool {
	var answers [2]string
	var both sync.WaitGroup
	for i, connection := range r.connections {
		both.Go(func() {
			answer, err := connection.Persist(r.t.Context(), r.request(client, try))
			var refusal *process.Refusal
			if err == nil {
				answers[i] = string(answer.Body)
			} else if !errors.As(err, &refusal) || refusal.Problem().Code != "short" {
				r.t.Error(err)
			}
		})
	}
	both.Wait()
	if answers[0] != answers[1] {
		r.t.Errorf("client %d is told %q and %q", client, answers[0], answers[1])
	}
	if answers[0] == "" {
		return false
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.accepted[[2]int{client, try}] = answers[0]
	if len(r.accepted) >= raceStores*raceUnits/2 && r.crashed.CompareAndSwap(false, true) {
		r.all.Go(func() {
			if err := r.hub.Crash(r.t.Context()); err != nil {
				r.t.Error(err)
			}
		})
	}
	return true
}

// TestI12_ClientsRaceOverStores has many clients order what is spread over some
// stores, and kills the hub in the middle. Every unit is promised once, no
// accepted order is lost, and a repeated order is the first one.
func TestI12_ClientsRaceOverStores(t *testing.T) {
	c, agents := race(t)
	r := &racers{chain: c, agents: agents, accepted: map[[2]int]string{}}
	for i := range r.connections {
		r.connections[i] = process.NewClient(c.hub.Process)
	}
	for client := range raceClients() {
		r.all.Go(func() {
			for try := range raceStores {
				if r.order(client, try) {
					return
				}
			}
		})
	}
	r.all.Wait()
	if len(r.accepted) != raceStores*raceUnits {
		t.Errorf("%d orders were accepted of %d units", len(r.accepted), raceStores*raceUnits)
	}
	for at, first := range r.accepted {
		again, err := r.connections[0].Persist(t.Context(), r.request(at[0], at[1]))
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
