package broker

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/nats-io/nats-server/v2/server"
)

const (
	startTimeout = 10 * time.Second
	stopTimeout  = 2 * time.Second

	// writeDeadlineDefault is how long a subscriber may take nothing at all
	// before it is cut off. A slow one that still takes something is kept.
	writeDeadlineDefault = 5 * time.Second

	// pendingMax bounds what the broker holds for one subscriber, who is cut off
	// beyond it. It must stay well above all that the hub permits all agents
	// together to have under way, for the hub is a subscriber like any other.
	pendingMax = 128 << 20

	// payloadOverhead is room for the headers that the broker adds to a payload.
	payloadOverhead = 64 << 10

	// JetStream holds sessions and retained messages only; nothing is queued
	// for anybody who is away.
	jetStreamMemoryMax = 16 << 20
	jetStreamDiskMax   = 1 << 30

	// wsaAddrInUse is Windows' number for an occupied port, which the syscall
	// package does not map to EADDRINUSE.
	wsaAddrInUse = syscall.Errno(10048)
)

// embedded is a nats-server in this process that speaks MQTT only.
type embedded struct {
	server  *server.Server
	address string
}

// startEmbedded returns once the MQTT listener accepts connections.
func startEmbedded(o Options, log *slog.Logger) (*embedded, error) {
	host, portText, err := net.SplitHostPort(o.Listen)
	if err != nil {
		return nil, fmt.Errorf("broker: listen address %q: %w", o.Listen, err)
	}
	port, err := strconv.Atoi(portText)
	if err != nil || port < 0 || port > 65535 {
		return nil, fmt.Errorf("broker: listen address %q: the port must be a number from 0 to 65535", o.Listen)
	}
	if o.DataDir == "" {
		return nil, errors.New("broker: the embedded broker needs a data folder")
	}
	if err := checkFree(o.Listen); err != nil {
		return nil, err
	}
	// A broker that was killed leaves retained messages of agents that may be
	// gone since, and recovering them only delays the start. Everybody publishes
	// their own again after connecting.
	if err := os.RemoveAll(filepath.Join(o.DataDir, "jetstream")); err != nil {
		return nil, fmt.Errorf("broker: clear the broker's folder: %w", err)
	}
	opts := embeddedOptions(o, host, port)
	s, err := server.NewServer(opts)
	if err != nil {
		return nil, fmt.Errorf("broker: configure the embedded broker: %w", err)
	}
	fatal := &slogAdapter{log: log}
	s.SetLoggerV2(fatal, false, false, false)
	s.Start()
	if !s.ReadyForConnections(startTimeout) {
		s.Shutdown()
		return nil, fmt.Errorf("broker: start the embedded broker on %s: %s", o.Listen, fatal.lastFatal())
	}
	// The server writes the real port into its options while Start runs.
	return &embedded{server: s, address: net.JoinHostPort(host, strconv.Itoa(opts.MQTT.Port))}, nil
}

// embeddedOptions keeps every port but the MQTT one closed.
func embeddedOptions(o Options, host string, port int) *server.Options {
	if port == 0 {
		port = server.RANDOM_PORT
	}
	deadline := o.writeDeadline
	if deadline == 0 {
		deadline = writeDeadlineDefault
	}
	return &server.Options{
		ServerName:             "counterpart-hub",
		DontListen:             true,
		NoSigs:                 true,
		NoSystemAccount:        true,
		DisableJetStreamBanner: true,
		JetStream:              true,
		StoreDir:               o.DataDir,
		JetStreamMaxMemory:     jetStreamMemoryMax,
		JetStreamMaxStore:      jetStreamDiskMax,
		MaxPayload:             PayloadMax + payloadOverhead,
		MaxPending:             pendingMax,
		WriteDeadline:          deadline,
		WriteTimeout:           server.WriteTimeoutPolicyRetry,
		MQTT:                   server.MQTTOpts{Host: host, Port: port, StreamReplicas: 1},
	}
}

// checkFree tells an occupied port from all other failures, before the server
// library turns it into a log line.
func checkFree(address string) error {
	l, err := (&net.ListenConfig{}).Listen(context.Background(), "tcp", address)
	if err == nil {
		return l.Close()
	}
	if errors.Is(err, syscall.EADDRINUSE) || errors.Is(err, wsaAddrInUse) {
		return fmt.Errorf("broker: %s is already in use: stop the other program (perhaps another hub or MQTT broker) or choose another port: %w", address, err)
	}
	return fmt.Errorf("broker: listen on %s: %w", address, err)
}

// stop gives up waiting after stopTimeout, since a hub that hangs while stopping
// would be killed by the service manager without closing its database.
func (e *embedded) stop() {
	go e.server.Shutdown()
	stopped := make(chan struct{})
	go func() {
		e.server.WaitForShutdown()
		close(stopped)
	}()
	select {
	case <-stopped:
	case <-time.After(stopTimeout):
	}
}

// slogAdapter writes the server's messages to slog at debug level: they are
// about its own inside, and what matters is reported by the broker's callers.
type slogAdapter struct {
	log *slog.Logger

	mu    sync.Mutex
	fatal string
}

func (a *slogAdapter) lastFatal() string {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.fatal == "" {
		return "it did not become ready"
	}
	return a.fatal
}

func (a *slogAdapter) write(severity, format string, v []any) {
	if !a.log.Enabled(context.Background(), slog.LevelDebug) {
		return
	}
	a.log.Debug("embedded broker", "severity", severity, "text", strings.TrimSpace(fmt.Sprintf(format, v...)))
}

// Noticef implements server.Logger.
func (a *slogAdapter) Noticef(format string, v ...any) { a.write("notice", format, v) }

// Warnf implements server.Logger.
func (a *slogAdapter) Warnf(format string, v ...any) { a.write("warning", format, v) }

// Errorf implements server.Logger.
func (a *slogAdapter) Errorf(format string, v ...any) { a.write("error", format, v) }

// Debugf implements server.Logger.
func (a *slogAdapter) Debugf(format string, v ...any) { a.write("debug", format, v) }

// Tracef implements server.Logger.
func (a *slogAdapter) Tracef(format string, v ...any) { a.write("trace", format, v) }

// Fatalf implements server.Logger. It must not end the process: the reason is
// returned from Start instead.
func (a *slogAdapter) Fatalf(format string, v ...any) {
	a.write("fatal", format, v)
	a.mu.Lock()
	a.fatal = fmt.Sprintf(format, v...)
	a.mu.Unlock()
}
