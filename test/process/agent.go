package process

import (
	"cmp"
	"context"
	"net/http"
	"net/url"
	"slices"
)

// AgentOptions say which agent to start, and how it reaches the hub.
type AgentOptions struct {
	Agent string
	Store string
	Hub   string // URL
	MQTT  string // URL; empty for what the hub says
	// Data is the folder of an agent that was stopped before; a new one if empty.
	Data string
	// Wrap is a command that runs the agent's command, which is put behind it.
	Wrap []string
}

// An Agent is a running agent.
type Agent struct {
	*Process
	*Client
	options AgentOptions
	data    string
}

// StartAgent starts an agent.
func (h *Host) StartAgent(ctx context.Context, options AgentOptions) (*Agent, error) {
	data := cmp.Or(options.Data, h.Data("agent-"+options.Agent))
	args := append(slices.Clone(options.Wrap), h.Agent())
	args = append(args, "run", "--insecure-dev", "--data", data, "--hub", options.Hub, "--store", options.Store, "--agent", options.Agent)
	if options.MQTT != "" {
		args = append(args, "--mqtt", options.MQTT)
	}
	p, err := h.Start(ctx, Spec{Name: "agent-" + options.Agent, Program: args[0], Args: args[1:], Listen: []string{"--listen"}})
	if err != nil {
		return nil, err
	}
	return &Agent{Process: p, Client: NewClient(p), options: options, data: data}, nil
}

// ID is the agent's identifier, and Store that of its store.
func (a *Agent) ID() string { return a.options.Agent }

// Store is the store that the agent works for.
func (a *Agent) Store() string { return a.options.Store }

// Data is the folder of the agent's data.
func (a *Agent) Data() string { return a.data }

// Status is GET /v1/status.
func (a *Agent) Status(ctx context.Context) (AgentStatus, error) {
	var status AgentStatus
	return status, a.Get(ctx, "/v1/status", &status)
}

// Selling tells whether the agent can sell, and if not what it says.
func (a *Agent) Selling(ctx context.Context) error {
	_, err := a.Send(ctx, Request{Method: http.MethodGet, Path: "/readyz"})
	return err
}

// Level is GET /v1/stock/{code}.
func (a *Agent) Level(ctx context.Context, code string) (Level, error) {
	var level Level
	return level, a.Get(ctx, "/v1/stock/"+url.PathEscape(code), &level)
}

// Verify runs the agent's own check of the data on disk. The agent must not be
// running.
func (a *Agent) Verify(ctx context.Context) error {
	_, err := a.host.Run(ctx, a.host.Agent(), "verify", "--data", a.data)
	return err
}
