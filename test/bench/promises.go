package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"counterpart/test/client"
	"counterpart/test/process"
	"counterpart/test/retail"
)

const (
	// promiseStores is how many stores have the item that is asked for: as many
	// as one answer can list.
	promiseStores = 200
	// promiseStock is what each of them has, in thousandths.
	promiseStock = 1_000_000_000
	// lookupClients is how many ask at once, orderClients how many order.
	lookupClients = 8
	orderClients  = 64
	// lookupTurn is how many lookups are made before the floor has its turn.
	lookupTurn = 200
	// lookupShown bounds what an error repeats of an answer.
	lookupShown = 300
	// beatEvery is how often the stores give a sign of life, as agents do.
	beatEvery = 10 * time.Second
)

// promises measures what an online shop asks of a hub while all stores are
// connected: where an item is, and to keep one.
type promises struct {
	options
	host   *process.Host
	item   retail.Item
	hub    *process.Hub
	agents []*client.Agent
	beaten time.Time
	http   *http.Client
	lookup string // path and query
	floor  *worker
	placed atomic.Int64
}

// open starts a hub with stores that have the item and are heard, and the floor
// with the hub's own answer.
func (p *promises) open(ctx context.Context) error {
	items, err := retail.Items(1, p.options.items)
	if err != nil {
		return err
	}
	p.item = items[len(items)/2]
	p.http = &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: orderClients, DisableCompression: true}}
	p.lookup = "/v1/availability?code=" + url.QueryEscape(p.item.GTIN) + "&near=51.5,-0.12&limit=" + strconv.Itoa(promiseStores)
	if p.hub, err = p.host.StartHub(ctx, "hub-orders", ""); err != nil {
		return err
	}
	if _, err := process.Load(ctx, p.hub, "stores", retail.Stores(1, promiseStores)); err != nil {
		return err
	}
	if _, err := process.Load(ctx, p.hub, "items", items); err != nil {
		return err
	}
	policy, err := process.JSON(http.MethodPut, "/v1/policy", "", map[string]any{"safety_stock": 0})
	if err == nil {
		_, err = p.hub.Send(ctx, policy)
	}
	if err == nil {
		err = p.stockUp(ctx)
	}
	if err != nil {
		return err
	}
	answer, err := p.ask(ctx, p.hub.URL(p.lookup))
	if err == nil {
		err = checkLookup(answer)
	}
	if err != nil {
		return err
	}
	path := filepath.Join(p.host.Dir(), "data", "availability.json")
	if err := os.WriteFile(path, answer, 0o600); err != nil {
		return err
	}
	if p.floor, err = startWorker(ctx, "shelf", "-db", path, "-key", p.item.GTIN); err != nil {
		return err
	}
	p.host.Own(p.floor)
	return nil
}

// stockUp connects one agent for each store, which receives the item.
func (p *promises) stockUp(ctx context.Context) error {
	receipt := client.Movement{Type: client.Receipt, Lines: []client.MovementLine{{SKU: p.item.SKU, Quantity: promiseStock}}}
	record := client.Record{Wall: time.Now().UnixMilli(), Running: 1, Body: receipt.Event().Encode()}
	agents, batches, err := connectHerd(ctx, p.hub.URL(""), promiseStores, []client.Record{record})
	if err != nil {
		return err
	}
	p.agents = agents
	for _, a := range agents {
		p.host.Own(goodbye{a})
	}
	if _, err := sendHerd(ctx, agents, batches); err != nil {
		return err
	}
	return p.beat(ctx)
}

// goodbye ends an agent's connection.
type goodbye struct{ *client.Agent }

func (g goodbye) Close() error {
	g.Agent.Close()
	return nil
}

// beat gives a sign of life of every store, if the last one is some time ago.
func (p *promises) beat(ctx context.Context) error {
	if time.Since(p.beaten) < beatEvery {
		return nil
	}
	p.beaten = time.Now()
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(sessionsAtOnce)
	for _, a := range p.agents {
		group.Go(func() error {
			if err := a.Beat(ctx); err != nil {
				return err
			}
			_, err := a.Await(ctx, client.KindBeat)
			return err
		})
	}
	return group.Wait()
}

// checkLookup fails unless every store is listed, connected and has the item:
// else it would not be what was measured.
func checkLookup(answer []byte) error {
	var doc struct {
		Results []struct {
			Store        string `json:"store"`
			Availability string `json:"availability"`
			Link         string `json:"link"`
		} `json:"results"`
	}
	if err := json.Unmarshal(answer, &doc); err != nil {
		return err
	}
	if len(doc.Results) != promiseStores {
		return fmt.Errorf("%d stores are listed, want %d", len(doc.Results), promiseStores)
	}
	for _, at := range doc.Results {
		if at.Availability != "in_stock" || at.Link != "online" {
			return fmt.Errorf("store %s is %s and the item is %s", at.Store, at.Link, at.Availability)
		}
	}
	return nil
}

// ask reads a whole answer.
func (p *promises) ask(ctx context.Context, address string) ([]byte, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		return nil, err
	}
	return p.send(request, http.StatusOK)
}

func (p *promises) send(request *http.Request, want int) ([]byte, error) {
	response, err := p.http.Do(request)
	if err != nil {
		return nil, err
	}
	defer response.Body.Close()
	answer, err := io.ReadAll(response.Body)
	if err == nil && response.StatusCode != want {
		err = fmt.Errorf("%s %s: %d %s", request.Method, request.URL.Path, response.StatusCode, answer[:min(len(answer), lookupShown)])
	}
	return answer, err
}

func (p *promises) round(ctx context.Context, r *record) error {
	return errors.Join(p.lookups(ctx, r), p.orders(ctx, r))
}

// lookups asks the hub and, in turns, the floor for the same answer.
func (p *promises) lookups(ctx context.Context, r *record) error {
	ours, bare := &race{tills: lookupClients}, &race{tills: lookupClients}
	size, spent := atomic.Int64{}, [2]float64{}
	stop, err := p.profile(ctx, "orders-lookup", map[string]int{"hub": p.hub.PID()})
	if err != nil {
		return err
	}
	for left := p.options.lookups; left > 0; left -= lookupTurn {
		if err := p.beat(ctx); err != nil {
			return err
		}
		for i, side := range []struct {
			race    *race
			address string
			pid     int
		}{{ours, p.hub.URL(p.lookup), p.hub.PID()}, {bare, "http://" + p.floor.addr + p.lookup, p.floor.pid()}} {
			meter := newMeter(side.pid)
			err := side.race.run(ctx, min(left, lookupTurn), func(ctx context.Context, _ int) error {
				answer, err := p.ask(ctx, side.address)
				if side.race == ours {
					size.Add(int64(len(answer)))
				}
				return err
			})
			cpu, _, meterErr := meter.read()
			if err := errors.Join(err, meterErr); err != nil {
				return err
			}
			spent[i] += cpu
		}
	}
	n := float64(p.options.lookups)
	ours.add(r, "lookup ")
	bare.add(r, "lookup floor ")
	r.add("lookup cpu", spent[0]*1e6/n)
	r.add("lookup floor cpu", spent[1]*1e6/n)
	r.add("lookup bytes", float64(size.Load())/n)
	answer, err := p.ask(ctx, p.hub.URL(p.lookup))
	if err == nil {
		err = checkLookup(answer)
	}
	return errors.Join(err, stop())
}

// orders places orders of the item in one store.
func (p *promises) orders(ctx context.Context, r *record) error {
	if err := p.beat(ctx); err != nil {
		return err
	}
	stop, err := p.profile(ctx, "orders-place", map[string]int{"hub": p.hub.PID()})
	if err != nil {
		return err
	}
	meter, all := newMeter(p.hub.PID()), &race{tills: orderClients}
	body := fmt.Sprintf(`{"store":"s1","method":"in_store","payment":{"status":"due"},"shopper":{"name":"J. Doe","phone":"+44 7700 900123"},"lines":[{"code":%q,"qty":1}]}`, p.item.GTIN)
	err = all.run(ctx, p.options.orders, func(ctx context.Context, _ int) error {
		request, err := http.NewRequestWithContext(ctx, http.MethodPost, p.hub.URL("/v1/orders"), strings.NewReader(body))
		if err != nil {
			return err
		}
		request.Header.Set("Content-Type", "application/json")
		request.Header.Set("Idempotency-Key", "bench-order-"+strconv.FormatInt(p.placed.Add(1), 10))
		_, err = p.send(request, http.StatusCreated)
		return err
	})
	cpu, _, meterErr := meter.read()
	if err := errors.Join(err, meterErr, stop()); err != nil {
		return err
	}
	all.add(r, "placed ")
	r.add("placed cpu", cpu*1e6/float64(p.options.orders))
	return nil
}
