package uplink_test

import (
	"context"
	"io"
	"log"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"counterpart/agent/uplink"
	"counterpart/protocol"
	"counterpart/protocol/ledger"
)

// TestHubCauses checks what staff are shown when the hub cannot be asked for
// its broker.
func TestHubCauses(t *testing.T) {
	hub := func(start func(*httptest.Server), scheme string) func(*testing.T) string {
		return func(t *testing.T) string {
			server := httptest.NewUnstartedServer(http.NotFoundHandler())
			server.Config.ErrorLog = log.New(io.Discard, "", 0)
			start(server)
			t.Cleanup(server.Close)
			return scheme + "://" + server.Listener.Addr().String()
		}
	}
	for _, tt := range []struct {
		name string
		url  func(*testing.T) string
		want uplink.DialCause
	}{
		{"speaks HTTP and no TLS", hub((*httptest.Server).Start, "https"), uplink.CauseTLS},
		{"speaks neither", fakeBroker("https", say("220 ready\r\n")), uplink.CauseTLS},
		{"unknown certificate", hub((*httptest.Server).StartTLS, "https"), uplink.CauseTLS},
		{"refuses the handshake", fakeBroker("https", say("\x15\x03\x03\x00\x02\x02\x28")), uplink.CauseTLS},
		{"is no hub", hub((*httptest.Server).Start, "http"), uplink.CauseHubError},
		{"no route", func(*testing.T) string { return "http://255.255.255.255:1" }, uplink.CauseNoRoute},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got := offlineCause(t, tt.url(t)); got != tt.want {
				t.Errorf("cause %q, want %q", got, tt.want)
			}
		})
	}
}

// offlineCause is the first cause that an uplink to a hub shows.
func offlineCause(t *testing.T, hub string) uplink.DialCause {
	t.Helper()
	changed := make(chan struct{}, 1)
	began := time.Now()
	u, err := uplink.NewUplink(t.Context(), uplink.Options{
		Origin: protocol.Origin{Store: "s1", Agent: "a1", Inc: protocol.Inc{1}}, BootID: 1, HubURL: hub, Driver: ledger.NewMemory(),
		Log:   slog.New(slog.DiscardHandler),
		Clock: func() uplink.Instant { return uplink.Instant{Wall: time.Now(), Mono: time.Since(began)} },
		Changed: func() {
			select {
			case changed <- struct{}{}:
			default:
			}
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), linkPatience)
	done := make(chan error, 1)
	go func() { done <- u.Run(ctx) }()
	defer func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	}()
	for u.Status().Link.Cause == "" {
		select {
		case <-changed:
		case <-ctx.Done():
			t.Fatal("no cause was shown")
		}
	}
	return uplink.DialCause(u.Status().Link.Cause)
}
