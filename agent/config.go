// Package agent wires an in-store agent together: its database, its tills'
// actions, the local API and pages, and the link to the hub.
package agent

import (
	"fmt"
	"net"
	"net/url"
	"path/filepath"

	"counterpart/protocol"
	"counterpart/protocol/gtin"
)

// Config is what an agent is told from outside. The JSON names are the names of
// the flags.
type Config struct {
	Data        string   `json:"data"`         // folder of the database
	Hub         string   `json:"hub"`          // http:// or https:// address of the hub
	Store       string   `json:"store"`        // the store's identifier
	Agent       string   `json:"agent"`        // this machine's identifier within the chain
	MQTT        string   `json:"mqtt"`         // overrides the broker address that the hub names
	Listen      string   `json:"listen"`       // address of the local API
	Inbox       string   `json:"inbox"`        // folder for files of another POS
	InsecureDev bool     `json:"insecure-dev"` // plain text on loopback
	WeighedCode []string `json:"weighed-code"` // layouts of in-store codes that carry price or weight
	// Checker is a program, with its arguments, that ends with 0 when the file
	// whose path is put behind them is a whole database. Empty: not checked.
	Checker []string `json:"-"`
}

// ListenDefault is where the local API is found when nothing else is said.
const ListenDefault = "127.0.0.1:7070"

// databaseName is the agent's one file.
const databaseName = "agent.db"

// DatabasePath is where the agent of a data folder keeps its database.
func DatabasePath(data string) string { return filepath.Join(data, databaseName) }

// usage refuses a configuration, with what is wrong and what to write instead.
func usage(format string, args ...any) error {
	return &protocol.Error{Code: protocol.OutOfRangeCode, Message: fmt.Sprintf(format, args...)}
}

// Check tells whether the configuration can be run, and reads its patterns.
func (c *Config) Check() ([]gtin.Pattern, error) {
	switch {
	case c.Data == "":
		return nil, usage("Say where the agent keeps its data: --data DIR.")
	case !protocol.ValidID(c.Store):
		return nil, usage("--store %q is not a store identifier: letters, digits, _ and -, at most 64.", c.Store)
	case !protocol.ValidID(c.Agent) || protocol.AgentID(c.Agent) == protocol.HubAgent:
		return nil, usage("--agent %q is not an agent identifier: letters, digits, _ and -, at most 64, and not %q.", c.Agent, protocol.HubAgent)
	}
	if c.Inbox != "" {
		return nil, usage("--inbox: this version reads no files of another POS. Send its sales to the local API.")
	}
	if err := checkAddress("--hub", c.Hub, c.InsecureDev, "http", "https"); err != nil {
		return nil, err
	}
	if c.MQTT != "" {
		if err := checkAddress("--mqtt", c.MQTT, c.InsecureDev, "mqtt", "mqtts"); err != nil {
			return nil, err
		}
	}
	if c.Listen == "" {
		c.Listen = ListenDefault
	}
	if !c.InsecureDev {
		return nil, usage("Plain text needs --insecure-dev, and it is for trying out on one machine only. Enrolment with certificates is not part of this version.")
	}
	if !isLoopback(c.Listen) {
		return nil, usage("--listen %s is not a loopback address. Without TLS the agent listens on 127.0.0.1, ::1 or localhost only.", c.Listen)
	}
	patterns := make([]gtin.Pattern, 0, len(c.WeighedCode))
	for _, text := range c.WeighedCode {
		p, err := gtin.ParsePattern(text)
		if err != nil {
			return nil, usage("--weighed-code %q: %v.", text, err)
		}
		patterns = append(patterns, p)
	}
	return patterns, nil
}

func checkAddress(flag, address string, insecure bool, plain, secure string) error {
	u, err := url.Parse(address)
	if err != nil || u.Host == "" || u.Scheme != plain && u.Scheme != secure {
		return usage("%s %q is not an address like %s://host:port.", flag, address, plain)
	}
	if u.Scheme == plain && (!insecure || !isLoopback(u.Host)) {
		return usage("%s %s is plain text. That needs --insecure-dev and a loopback address; use %s:// otherwise.", flag, address, secure)
	}
	return nil
}

func isLoopback(hostPort string) bool {
	host, _, err := net.SplitHostPort(hostPort)
	if err != nil {
		host = hostPort
	}
	if host == "localhost" {
		return true
	}
	ip := net.ParseIP(host)
	return ip != nil && ip.IsLoopback()
}
