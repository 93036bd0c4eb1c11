package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"

	"counterpart/agent"
	"counterpart/agent/service"
	"counterpart/protocol"

	"github.com/alecthomas/kong"
)

// runFlags are the flags of run, which install passes on to the service.
type runFlags struct {
	Data        string   `help:"Folder for the agent's database." placeholder:"DIR"`
	Hub         string   `help:"Address of the hub." placeholder:"URL"`
	Store       string   `help:"Identifier of the store." placeholder:"ID"`
	Agent       string   `help:"Identifier of this machine." placeholder:"ID"`
	MQTT        string   `name:"mqtt" help:"Address of the broker, instead of the one that the hub names." placeholder:"URL"`
	Listen      string   `help:"Address of the local API (default ${listen})." placeholder:"HOST:PORT"`
	Inbox       string   `help:"Folder for files of another POS." placeholder:"DIR"`
	WeighedCode []string `help:"Layout of in-store codes that carry a price or weight, such as '20 XXX RR V PPPP C'. May be repeated." placeholder:"LAYOUT"`
	InsecureDev *bool    `help:"Plain text on loopback, for trying out on one machine."`
	Config      string   `help:"File with one JSON object of these names." placeholder:"FILE"`
}

type runCommand struct {
	runFlags
	Debug bool `help:"Log everything."`
}

// Run serves until the process is told to stop.
func (c *runCommand) Run(ctx context.Context, out io.Writer, log *slog.Logger) error {
	cfg, err := c.configure()
	if err != nil {
		return errors.Join(errUsage, err)
	}
	if _, err := cfg.Check(); err != nil {
		return errors.Join(errUsage, err)
	}
	cfg.Checker = checker(log)
	serve := func(ctx context.Context) error {
		a, err := agent.New(ctx, cfg, version, log)
		if err != nil {
			return err
		}
		return a.Run(ctx, func(address string) {
			if _, err := fmt.Fprintf(out, "ready http=%s\n", address); err != nil {
				log.Warn("address not printed", "error", err)
			}
			log.Info("agent ready", "store", cfg.Store, "agent", cfg.Agent, "http", address)
		})
	}
	return service.Serve(ctx, serve)
}

// configure lays flags and environment, which kong has joined, over the file.
func (c *runCommand) configure() (agent.Config, error) {
	var cfg agent.Config
	if c.Config != "" {
		if err := readConfig(c.Config, &cfg); err != nil {
			return cfg, err
		}
	}
	over := func(to *string, from string) {
		if from != "" {
			*to = from
		}
	}
	over(&cfg.Data, c.Data)
	over(&cfg.Hub, c.Hub)
	over(&cfg.Store, c.Store)
	over(&cfg.Agent, c.Agent)
	over(&cfg.MQTT, c.MQTT)
	over(&cfg.Listen, c.Listen)
	over(&cfg.Inbox, c.Inbox)
	if len(c.WeighedCode) > 0 {
		cfg.WeighedCode = c.WeighedCode
	}
	if c.InsecureDev != nil {
		cfg.InsecureDev = *c.InsecureDev
	}
	return cfg, nil
}

// readConfig reads a configuration file over what is there.
func readConfig(file string, cfg *agent.Config) error {
	b, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	if err = protocol.DecodeJSON(b, cfg); err == nil {
		return nil
	}
	e := protocol.AsError(err)
	what := "it cannot be read as JSON"
	switch name := e.Members["field"]; {
	case e.Code == protocol.UnknownField:
		what = fmt.Sprintf("there is no flag %q", name)
	case name != nil:
		what = fmt.Sprintf("%q stands there twice or has a value of the wrong kind", name)
	}
	return fmt.Errorf("%s: %s. It holds one JSON object with the names of the flags, written as they are", file, what)
}

func listenVars() kong.Vars { return kong.Vars{"listen": agent.ListenDefault} }
