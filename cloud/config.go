// Package cloud wires the hub together: its database, the broker, the core, the
// HTTP API and the pages.
package cloud

import (
	"fmt"
	"net"
	"path/filepath"
	"strings"

	"counterpart/protocol"
)

// Config is what a hub is told from outside. The JSON names are the names of
// the flags.
type Config struct {
	Data        string `json:"data"`         // folder of the database
	Listen      string `json:"listen"`       // address of the HTTP API
	MQTT        string `json:"mqtt"`         // address of the embedded broker
	Database    string `json:"database"`     // bolt, or postgres://…
	Broker      string `json:"broker"`       // embedded, or mqtt(s)://…
	SecondCopy  string `json:"second-copy"`  // file that follows every commit
	Currency    string `json:"currency"`     // of rows that name none
	InsecureDev bool   `json:"insecure-dev"` // plain text on loopback
	// WebhooksAllowPrivate lets webhooks lead to addresses that are not of the
	// public internet.
	WebhooksAllowPrivate bool `json:"webhooks-allow-private"`
	// Checker is a program, with its arguments, that ends with 0 when the file
	// whose path is put behind them is a whole database. Empty: not checked.
	Checker []string `json:"-"`
}

// Defaults are the values of what is not said.
func Defaults() Config {
	return Config{Listen: "127.0.0.1:8080", MQTT: "127.0.0.1:1883", Database: "bolt", Broker: "embedded", Currency: "GBP"}
}

// DatabasePath is where the hub of a data folder keeps its database.
func DatabasePath(data string) string { return filepath.Join(data, "hub.db") }

func usage(format string, args ...any) error {
	return &protocol.Error{Code: protocol.OutOfRangeCode, Message: fmt.Sprintf(format, args...)}
}

// Check tells whether the configuration can be run.
func (c *Config) Check() error {
	switch {
	case c.Data == "":
		return usage("Say where the hub keeps its data: --data DIR.")
	case c.Database != "bolt":
		return usage("--database %s: this version keeps its data in bolt. PostgreSQL comes with a later one.", strings.SplitN(c.Database, ":", 2)[0])
	case c.SecondCopy != "" && samePath(c.SecondCopy, DatabasePath(c.Data)):
		return usage("--second-copy %s is the database itself. Name a file on another device.", c.SecondCopy)
	case len(c.Currency) != 3 || strings.ToUpper(c.Currency) != c.Currency:
		return usage("--currency %q is not an ISO 4217 code such as GBP.", c.Currency)
	case !c.InsecureDev:
		return usage("Plain text needs --insecure-dev, and it is for trying out on one machine only. Certificates are not part of this version.")
	case !isLoopback(c.Listen):
		return usage("--listen %s is not a loopback address. Without TLS the hub listens on 127.0.0.1, ::1 or localhost only.", c.Listen)
	case c.Broker == "embedded" && !isLoopback(c.MQTT):
		return usage("--mqtt %s is not a loopback address. Without TLS the broker listens on 127.0.0.1, ::1 or localhost only.", c.MQTT)
	}
	return nil
}

func samePath(a, b string) bool {
	x, errX := filepath.Abs(a)
	y, errY := filepath.Abs(b)
	return errX == nil && errY == nil && x == y
}

func isLoopback(hostPort string) bool {
	host, _, err := net.SplitHostPort(hostPort)
	if err != nil {
		return false
	}
	if host == "localhost" {
		return true
	}
	ip := net.ParseIP(host)
	return ip != nil && ip.IsLoopback()
}
