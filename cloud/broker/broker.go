// Package broker is the hub's MQTT side: an embedded broker or a connection to
// an external one, and the table of who may use which topic.
//
// The broker is a lossy wire. Nothing here stores, orders or repeats a message;
// what must not be lost is acknowledged end to end by the layers above.
package broker

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/url"
	"sync"
	"sync/atomic"
	"time"
)

// PayloadMax is the largest payload that may be published. It leaves room for
// one event of the largest permitted size and its frame, and it is checked
// before sending because a broker answers an oversized message by hanging up:
// resending it would then disconnect the hub for ever.
const PayloadMax = 2 << 20

// ErrNotConnected means that there is no live connection to the broker at this
// moment. The message is gone; the protocol above sends what is still needed
// once Handlers.Up was called.
var ErrNotConnected = errors.New("broker: not connected")

// Options says which broker to use.
type Options struct {
	// Listen is the host:port of the embedded broker's MQTT listener. Port 0
	// takes a free one.
	Listen string
	// URL is "" or "embedded" for the embedded broker, otherwise
	// mqtt://host:port or mqtts://host:port.
	URL string
	// DataDir is the folder that the embedded broker may write to. Nothing in it
	// outlives a start: retained messages are published anew by whoever owns them.
	DataDir string
	// InsecureDev permits plain text, on loopback only, and gives everybody all
	// rights.
	InsecureDev bool
	// Log receives the broker's messages; nil discards them.
	Log *slog.Logger

	writeDeadline time.Duration // for tests; 0 means writeDeadlineDefault
}

// Broker is a running embedded broker or the address of an external one, plus
// the hub's own connection to it, which lives while Run runs.
type Broker struct {
	log       *slog.Logger
	target    target
	principal Principal
	embedded  *embedded // nil for an external broker

	live    atomic.Pointer[session]
	dropped atomic.Uint64
	closing sync.Once
}

// target is where the hub connects to.
type target struct {
	address string   // host:port
	tls     bool     // mqtts
	url     *url.URL // as configured, credentials included
}

// Start starts the embedded broker, or checks the address of the external one.
// It does not wait for an external broker to answer: Run does that for as long
// as it takes.
func Start(ctx context.Context, o Options) (*Broker, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	b := &Broker{log: o.Log, principal: PrincipalHub}
	if b.log == nil {
		b.log = slog.New(slog.DiscardHandler)
	}
	if o.InsecureDev {
		b.principal = PrincipalDev
	}
	if o.URL != "" && o.URL != "embedded" {
		var err error
		if b.target, err = parseTarget(o.URL, o.InsecureDev); err != nil {
			return nil, err
		}
		return b, nil
	}
	if err := checkPlain("listening on "+o.Listen, o.Listen, o.InsecureDev); err != nil {
		return nil, err
	}
	e, err := startEmbedded(o, b.log)
	if err != nil {
		return nil, err
	}
	b.embedded = e
	b.target = target{address: e.address, url: &url.URL{Scheme: "mqtt", Host: e.address}}
	return b, nil
}

// Addr is the real host:port of the broker's MQTT port.
func (b *Broker) Addr() string { return b.target.address }

// URL is the address to give to an MQTT client, without credentials.
func (b *Broker) URL() string {
	shown := *b.target.url
	shown.User = nil
	return shown.String()
}

// Dropped counts messages that arrived faster than Handlers.Message took them
// and were therefore thrown away.
func (b *Broker) Dropped() uint64 { return b.dropped.Load() }

// Close stops the embedded broker and disconnects all its clients, within two
// seconds. An external broker is left alone. End Run first, by its context.
func (b *Broker) Close() {
	b.closing.Do(func() {
		if b.embedded != nil {
			b.embedded.stop()
		}
	})
}

// parseTarget reads an external broker's URL. The URL itself stays out of the
// errors, since it may carry a password.
func parseTarget(raw string, insecureDev bool) (target, error) {
	u, err := url.Parse(raw)
	if err != nil || u.Hostname() == "" {
		return target{}, errors.New("broker: the broker's address must be embedded, mqtt://host:port or mqtts://host:port")
	}
	t := target{url: u}
	port := u.Port()
	switch u.Scheme {
	case "mqtt":
		if port == "" {
			port = "1883"
		}
	case "mqtts":
		t.tls = true
		if port == "" {
			port = "8883"
		}
	default:
		return target{}, fmt.Errorf("broker: unknown scheme %q: use mqtt:// or mqtts://", u.Scheme)
	}
	t.address = net.JoinHostPort(u.Hostname(), port)
	if !t.tls {
		if err := checkPlain("connecting to "+t.address, t.address, insecureDev); err != nil {
			return target{}, err
		}
	}
	return t, nil
}

// checkPlain refuses plain text except in development mode and on loopback,
// because an MQTT connection without TLS shows every sale to whoever listens.
func checkPlain(what, address string, insecureDev bool) error {
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		return fmt.Errorf("broker: %s: not a host:port: %w", what, err)
	}
	if !insecureDev {
		return fmt.Errorf("broker: %s without encryption is refused: use --insecure-dev for a trial on this machine, or an external broker with mqtts://", what)
	}
	if host == "localhost" {
		return nil
	}
	if ip := net.ParseIP(host); ip != nil && ip.IsLoopback() {
		return nil
	}
	return fmt.Errorf("broker: %s without encryption is refused: --insecure-dev permits plain text on loopback only, such as 127.0.0.1", what)
}
