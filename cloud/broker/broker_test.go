package broker_test

import (
	"context"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"counterpart/cloud/broker"
)

// patience bounds every wait in these tests; reaching it is a failure.
const patience = 15 * time.Second

func TestStartIsQuickAndCloseStops(t *testing.T) {
	began := time.Now()
	b := startEmbedded(t, "127.0.0.1:0")
	// The bound is far above the usual 10 ms, because tests share the machine.
	if took := time.Since(began); took > 2*time.Second {
		t.Errorf("Start took %s", took)
	}
	if host, port, err := net.SplitHostPort(b.Addr()); err != nil || host != "127.0.0.1" || port == "0" {
		t.Errorf("Addr() = %q, want the real port", b.Addr())
	}
	if b.URL() != "mqtt://"+b.Addr() {
		t.Errorf("URL() = %q", b.URL())
	}
	idle, err := net.Dial("tcp", b.Addr())
	if err != nil {
		t.Fatal(err)
	}
	defer idle.Close()
	began = time.Now()
	b.Close()
	b.Close()
	if took := time.Since(began); took > 2500*time.Millisecond {
		t.Errorf("Close took %s", took)
	}
	idle.SetReadDeadline(time.Now().Add(patience))
	if _, err := io.ReadAll(idle); err != nil && strings.Contains(err.Error(), "timeout") {
		t.Errorf("a client is still connected after Close: %v", err)
	}
}

func TestStartRefusals(t *testing.T) {
	occupied, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer occupied.Close()
	tests := []struct {
		name    string
		options broker.Options
		want    []string
	}{
		{"plain text without insecure-dev", broker.Options{Listen: "127.0.0.1:0"}, []string{"without encryption", "--insecure-dev"}},
		{"all interfaces", broker.Options{Listen: ":0", InsecureDev: true}, []string{"loopback only"}},
		{"another interface", broker.Options{Listen: "192.0.2.1:0", InsecureDev: true}, []string{"192.0.2.1", "loopback only"}},
		{"a name", broker.Options{Listen: "hub.example:0", InsecureDev: true}, []string{"loopback only"}},
		{"no port", broker.Options{Listen: "127.0.0.1", InsecureDev: true}, []string{"host:port"}},
		{"bad port", broker.Options{Listen: "127.0.0.1:x", InsecureDev: true}, []string{"number"}},
		{"occupied port", broker.Options{Listen: occupied.Addr().String(), InsecureDev: true}, []string{occupied.Addr().String(), "already in use", "choose another port"}},
		{"external plain text", broker.Options{URL: "mqtt://127.0.0.1:1883"}, []string{"without encryption"}},
		{"external plain text afar", broker.Options{URL: "mqtt://hub.example:1883", InsecureDev: true}, []string{"loopback only"}},
		{"scheme", broker.Options{URL: "http://127.0.0.1:1883", InsecureDev: true}, []string{"mqtts://"}},
		{"no host", broker.Options{URL: "mqtt://", InsecureDev: true}, []string{"host:port"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			tt.options.DataDir = t.TempDir()
			b, err := broker.Start(t.Context(), tt.options)
			if err == nil {
				b.Close()
				t.Fatal("Start succeeded")
			}
			for _, want := range tt.want {
				if !strings.Contains(err.Error(), want) {
					t.Errorf("error %q does not say %q", err, want)
				}
			}
		})
	}
}

func TestExternalAddress(t *testing.T) {
	b, err := broker.Start(t.Context(), broker.Options{URL: "mqtts://hub:secret@broker.example"})
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	if b.Addr() != "broker.example:8883" {
		t.Errorf("Addr() = %q", b.Addr())
	}
	if b.URL() != "mqtts://broker.example" {
		t.Errorf("URL() = %q, want it without the password", b.URL())
	}
	_, err = broker.Start(t.Context(), broker.Options{URL: "mqtts://hub:secret@%zz"})
	if err == nil || strings.Contains(err.Error(), "secret") {
		t.Errorf("the error shows the password: %v", err)
	}
}

func TestPublishWithoutConnection(t *testing.T) {
	b := startEmbedded(t, "127.0.0.1:0")
	if err := b.Publish("cp/1/hub", nil, true); err != broker.ErrNotConnected {
		t.Errorf("Publish before Run: %v", err)
	}
	if err := b.Publish("cp/1/hub/#", nil, false); err == nil || err == broker.ErrNotConnected {
		t.Errorf("Publish to a wildcard: %v", err)
	}
	if err := b.Publish("cp/1/hub", make([]byte, broker.PayloadMax+1), false); err == nil || err == broker.ErrNotConnected {
		t.Errorf("Publish of too much: %v", err)
	}
}

func TestFullQueueDrops(t *testing.T) {
	b := startEmbedded(t, "127.0.0.1:0")
	release := make(chan struct{})
	h := newHub(t, b, "cp/1/+/+/+/up")
	h.hold = release
	h.run()
	agent := dialAgent(t, b.URL(), nil)
	payload := make([]byte, 1<<20)
	for range 48 {
		agent.publish(t, "cp/1/00/s/a/up", payload, false)
	}
	eventually(t, "messages are dropped", func() bool { return b.Dropped() > 0 })
	close(release)
	agent.publish(t, "cp/1/00/s/a/up", []byte("after"), false)
	for {
		if m := h.next(t); string(m.payload) == "after" {
			return
		}
	}
}

func TestStalledSubscriberDoesNotHurtOthers(t *testing.T) {
	options := broker.WithWriteDeadline(broker.Options{
		Listen: "127.0.0.1:0", DataDir: t.TempDir(), InsecureDev: true,
	}, time.Second)
	b, err := broker.Start(t.Context(), options)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(b.Close)
	h := newHub(t, b, "cp/1/+/+/+/up", "cp/1/+/+/+/st")
	h.run()
	stalled := dialStalled(t, b.Addr(), "cp/1/feed/#", "cp/1/00/s/stalled/st")
	defer stalled.Close()
	healthy := dialAgent(t, b.URL(), nil, "cp/1/feed/#")

	payload := make([]byte, 1<<20)
	for i := range 48 {
		payload[0] = byte(i)
		began := time.Now()
		if err := b.Publish("cp/1/feed/catalog", append([]byte(nil), payload...), false); err != nil {
			t.Fatal(err)
		}
		if m := healthy.next(t); m.payload[0] != byte(i) {
			t.Fatalf("message %d arrived as %d", i, m.payload[0])
		}
		if took := time.Since(began); took > 2*time.Second {
			t.Errorf("message %d took %s past a stalled subscriber", i, took)
		}
	}
	// Cut off means that the broker publishes its last will.
	if m := h.next(t); m.topic != "cp/1/00/s/stalled/st" || string(m.payload) != "gone" {
		t.Errorf("got %q on %q, want the stalled client's last will", m.payload, m.topic)
	}
}

func TestRunEndsWithItsContext(t *testing.T) {
	b := startEmbedded(t, "127.0.0.1:0")
	ctx, cancel := context.WithCancel(t.Context())
	up, down, returned := make(chan struct{}), make(chan error, 1), make(chan error, 1)
	go func() {
		returned <- b.Run(ctx, broker.Handlers{Up: func() { close(up) }, Down: func(cause error) { down <- cause }})
	}()
	receive(t, "Up", up)
	cancel()
	if cause := receive(t, "Down", down); cause != context.Canceled {
		t.Errorf("Down(%v)", cause)
	}
	if err := receive(t, "Run's return", returned); err != context.Canceled {
		t.Errorf("Run returned %v", err)
	}
}

func TestRunRefusesFiltersBeyondItsRights(t *testing.T) {
	b := startEmbedded(t, "127.0.0.1:0")
	err := b.Run(t.Context(), broker.Handlers{Filters: []string{"$SYS/#"}})
	if err == nil || !strings.Contains(err.Error(), "$SYS/#") {
		t.Errorf("Run returned %v", err)
	}
}
