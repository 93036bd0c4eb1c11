package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"

	"counterpart/cloud"
	"counterpart/protocol"
)

type serveCommand struct {
	Data        string `help:"Folder for the hub's database." placeholder:"DIR"`
	Listen      string `help:"Address of the HTTP API (default ${listen})." placeholder:"HOST:PORT"`
	MQTT        string `name:"mqtt" help:"Address of the embedded broker (default ${mqtt})." placeholder:"HOST:PORT"`
	Database    string `help:"bolt, or postgres://…" placeholder:"URL"`
	Broker      string `help:"embedded, or mqtt://… or mqtts://…" placeholder:"URL"`
	SecondCopy  string `help:"File that follows every commit." placeholder:"FILE"`
	Currency    string `help:"Currency of rows that name none (default ${currency})." placeholder:"ISO"`
	Config      string `help:"File with one JSON object of these names." placeholder:"FILE"`
	InsecureDev *bool  `help:"Plain text on loopback, for trying out on one machine."`
	Debug       bool   `help:"Log everything."`

	WebhooksAllowPrivate *bool `help:"Let webhooks lead to this machine and to private networks."`
}

// Run serves until the process is told to stop.
func (c *serveCommand) Run(ctx context.Context, out io.Writer, log *slog.Logger) error {
	cfg, err := c.configure()
	if err == nil {
		err = cfg.Check()
	}
	if err != nil {
		return errors.Join(errUsage, err)
	}
	cfg.Checker = checker(log)
	hub, err := cloud.New(ctx, cfg, version, log)
	if err != nil {
		return err
	}
	return hub.Run(ctx, func(http, mqtt string) {
		line := "ready http=" + http
		if mqtt != "" {
			line += " mqtt=" + mqtt
		}
		if _, err := fmt.Fprintln(out, line); err != nil {
			log.Warn("addresses not printed", "error", err)
		}
		log.Info("hub ready", "http", http, "mqtt", mqtt)
	})
}

// configure lays flags and environment, which kong has joined, over the file,
// and the file over the defaults.
func (c *serveCommand) configure() (cloud.Config, error) {
	cfg := cloud.Defaults()
	if c.Config != "" {
		if err := readConfig(c.Config, &cfg); err != nil {
			return cfg, err
		}
	}
	for _, f := range []struct {
		to   *string
		from string
	}{
		{&cfg.Data, c.Data},
		{&cfg.Listen, c.Listen},
		{&cfg.MQTT, c.MQTT},
		{&cfg.Database, c.Database},
		{&cfg.Broker, c.Broker},
		{&cfg.SecondCopy, c.SecondCopy},
		{&cfg.Currency, c.Currency},
	} {
		if f.from != "" {
			*f.to = f.from
		}
	}
	if c.InsecureDev != nil {
		cfg.InsecureDev = *c.InsecureDev
	}
	if c.WebhooksAllowPrivate != nil {
		cfg.WebhooksAllowPrivate = *c.WebhooksAllowPrivate
	}
	return cfg, nil
}

// readConfig reads a configuration file over what is there.
func readConfig(file string, cfg *cloud.Config) error {
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
