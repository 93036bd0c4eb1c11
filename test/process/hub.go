package process

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"time"
)

const (
	// ndjson is the type of a body with one JSON object a line.
	ndjson = "application/x-ndjson"
	// loadPatience bounds one bulk load.
	loadPatience = 5 * time.Minute
)

// A Hub is a running hub.
type Hub struct {
	*Process
	*Client
}

// StartHub starts a hub with a folder of its own for its data. An empty
// currency is the program's default; flags are further ones.
func (h *Host) StartHub(ctx context.Context, name, currency string, flags ...string) (*Hub, error) {
	args := append([]string{"serve", "--insecure-dev", "--data", h.Data(name)}, flags...)
	if currency != "" {
		args = append(args, "--currency", currency)
	}
	p, err := h.Start(ctx, Spec{Name: name, Program: h.Hub(), Args: args, Listen: []string{"--listen", "--mqtt"}})
	if err != nil {
		return nil, err
	}
	return &Hub{Process: p, Client: NewClient(p)}, nil
}

// Load puts rows into one of the bulk loads: items, stores, prices, taxes, or
// stock?store=ID. A row that the hub rejects is an error.
func Load[T any](ctx context.Context, h *Hub, what string, rows []T) (Import, error) {
	var body bytes.Buffer
	lines := json.NewEncoder(&body)
	for _, row := range rows {
		if err := lines.Encode(row); err != nil {
			return Import{}, err
		}
	}
	var report Import
	answer, err := h.Persist(ctx, Request{Method: http.MethodPut, Path: "/v1/" + what, Type: ndjson, Body: body.Bytes(), Patience: loadPatience})
	if err != nil {
		return report, err
	}
	if err := answer.Into(&report); err != nil {
		return report, err
	}
	if report.Rejected > 0 || report.Read != len(rows) {
		return report, fmt.Errorf("load %s: %d of %d rows were read and %d rejected: %s", what, report.Read, len(rows), report.Rejected, answer.Body[:min(len(answer.Body), bodyShown)])
	}
	return report, nil
}

// Status is GET /v1/status.
func (h *Hub) Status(ctx context.Context) (HubStatus, error) {
	var status HubStatus
	return status, h.Get(ctx, "/v1/status", &status)
}

// Agents is GET /v1/agents, all pages.
func (h *Hub) Agents(ctx context.Context) ([]HubAgent, error) {
	var all []HubAgent
	for path := "/v1/agents"; ; {
		var p page[HubAgent]
		if err := h.Get(ctx, path, &p); err != nil {
			return nil, err
		}
		all = append(all, p.Items...)
		if p.Next == nil || *p.Next == "" {
			return all, nil
		}
		if len(p.Items) == 0 {
			return nil, errors.New("GET /v1/agents: an empty page names a next one")
		}
		path = "/v1/agents?after=" + url.QueryEscape(*p.Next)
	}
}

// Sales calls see for each sale document of a store.
func (h *Hub) Sales(ctx context.Context, store string, see func(*SaleDocument) error) error {
	return Stream(ctx, h.Client, "/v1/sales?store="+url.QueryEscape(store), see)
}

// Stock is what the hub knows to be on hand in a store, by SKU.
func (h *Hub) Stock(ctx context.Context, store string) (map[string]Level, error) {
	levels := map[string]Level{}
	err := Stream(ctx, h.Client, "/v1/stock?store="+url.QueryEscape(store), func(l *Level) error {
		if _, twice := levels[l.SKU]; twice {
			return fmt.Errorf("SKU %q comes twice", l.SKU)
		}
		levels[l.SKU] = *l
		return nil
	})
	return levels, err
}
