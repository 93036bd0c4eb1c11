package broker_test

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"counterpart/cloud/broker"
)

// running is a broker that a test can kill and start again on the same port.
type running struct {
	url   string
	kill  func()
	start func()
}

// TestConformance holds the same expectations against every kind of broker that
// a chain may run.
func TestConformance(t *testing.T) {
	brokers := []struct {
		name string
		run  func(*testing.T) *running
	}{{"embedded", runEmbedded}, {"mosquitto", runMosquitto}}
	tests := []struct {
		name string
		test func(*testing.T, *running)
	}{
		{"PublishAndSubscribe", testPublishAndSubscribe},
		{"RetainedStatusAndLastWill", testRetainedStatusAndLastWill},
		{"ReconnectAfterKill", testReconnectAfterKill},
		{"LargePayload", testLargePayload},
		{"Order", testOrder},
	}
	for _, b := range brokers {
		t.Run(b.name, func(t *testing.T) {
			for _, tt := range tests {
				t.Run(tt.name, func(t *testing.T) { tt.test(t, b.run(t)) })
			}
		})
	}
}

func testPublishAndSubscribe(t *testing.T, r *running) {
	h := newHub(t, connectTo(t, r), "cp/1/+/+/+/up", "cp/1/+/+/+/st")
	h.run()
	agent := dialAgent(t, r.url, nil, "cp/1/a7/s1/till-1/dn", "cp/1/feed/#")

	// What the hub has not subscribed to would arrive before the last message.
	agent.publish(t, "cp/1/a7/s1/till-1/dn", []byte("to itself"), false)
	agent.publish(t, "cp/1/feed/catalog", []byte("a feed"), false)
	agent.publish(t, "cp/1/a7/s1/till-1/up/below", []byte("below"), false)
	agent.publish(t, "cp/1/a7/s1/up", []byte("above"), false)
	agent.publish(t, "cp/1/a7/s1/till-1/up", []byte("hello"), false)
	if m := h.next(t); m.topic != "cp/1/a7/s1/till-1/up" || string(m.payload) != "hello" || m.retained {
		t.Errorf("the hub got %+v", m)
	}

	if m := agent.next(t); string(m.payload) != "to itself" {
		t.Errorf("the agent got %+v", m)
	}
	if m := agent.next(t); string(m.payload) != "a feed" {
		t.Errorf("the agent got %+v", m)
	}
	for _, topic := range []string{"cp/1/a7/s1/till-2/dn", "cp/1/hub", "cp/1/a7/s1/till-1/dn"} {
		if err := h.broker.Publish(topic, []byte(topic), false); err != nil {
			t.Fatal(err)
		}
	}
	if m := agent.next(t); m.topic != "cp/1/a7/s1/till-1/dn" {
		t.Errorf("the agent got a message of another topic: %+v", m)
	}
}

func testRetainedStatusAndLastWill(t *testing.T, r *running) {
	const status = "cp/1/a7/s1/till-1/st"
	agent := dialAgent(t, r.url, &message{status, []byte("offline"), true})
	agent.publish(t, status, []byte("online"), true)

	h := newHub(t, connectTo(t, r), "cp/1/+/+/+/st")
	h.run()
	if m := h.next(t); m.topic != status || string(m.payload) != "online" || !m.retained {
		t.Fatalf("a new subscriber got %+v, want the retained status", m)
	}
	agent.socket.Close()
	if m := h.next(t); m.topic != status || string(m.payload) != "offline" || m.retained {
		t.Fatalf("the hub got %+v, want the last will", m)
	}

	if err := h.broker.Publish("cp/1/hub", []byte("epoch"), true); err != nil {
		t.Fatal(err)
	}
	// A broker may store a retained message a moment after it has passed it on; who
	// asks just then gets it by asking again.
	late := dialAgent(t, r.url, nil)
	want := map[string]string{"cp/1/hub": "epoch", status: "offline"}
	for deadline := time.Now().Add(patience); len(want) > 0 && time.Now().Before(deadline); {
		for topic := range want {
			done(t, "subscribe", late.mqtt.Subscribe(topic, 0, nil))
		}
		select {
		case m := <-late.messages:
			if text, ok := want[m.topic]; m.retained && ok && string(m.payload) == text {
				delete(want, m.topic)
			}
		case <-time.After(time.Second):
		}
	}
	if len(want) > 0 {
		t.Errorf("a late subscriber did not get what is retained: %v", want)
	}
}

func testReconnectAfterKill(t *testing.T, r *running) {
	h := newHub(t, connectTo(t, r), "cp/1/+/+/+/up")
	h.run()
	for round := range 2 {
		r.kill()
		if cause := receive(t, "the hub to notice", h.down); cause == nil {
			t.Error("Down without a cause")
		}
		if err := h.broker.Publish("cp/1/hub", nil, false); err == nil {
			t.Error("Publish without a broker succeeded")
		}
		r.start()
		receive(t, "the hub to connect again", h.up)
		agent := dialAgent(t, r.url, nil, "cp/1/hub")
		agent.publish(t, "cp/1/a7/s1/till-1/up", fmt.Append(nil, round), false)
		if m := h.next(t); string(m.payload) != fmt.Sprint(round) {
			t.Errorf("round %d: the hub got %+v", round, m)
		}
		if err := h.broker.Publish("cp/1/hub", []byte("again"), true); err != nil {
			t.Errorf("round %d: %v", round, err)
		}
		agent.next(t)
	}
}

func testLargePayload(t *testing.T, r *running) {
	h := newHub(t, connectTo(t, r), "cp/1/+/+/+/up")
	h.run()
	agent := dialAgent(t, r.url, nil, "cp/1/a7/s1/till-1/dn")
	payload := bytes.Repeat([]byte("0123456789ab"), 1_200_000/12)
	agent.publish(t, "cp/1/a7/s1/till-1/up", payload, false)
	if m := h.next(t); !bytes.Equal(m.payload, payload) {
		t.Errorf("up: %d bytes arrived of %d", len(m.payload), len(payload))
	}
	if err := h.broker.Publish("cp/1/a7/s1/till-1/dn", payload, false); err != nil {
		t.Fatal(err)
	}
	if m := agent.next(t); !bytes.Equal(m.payload, payload) {
		t.Errorf("down: %d bytes arrived of %d", len(m.payload), len(payload))
	}
	full := make([]byte, broker.PayloadMax)
	if err := h.broker.Publish("cp/1/a7/s1/till-1/dn", full, false); err != nil {
		t.Fatal(err)
	}
	if m := agent.next(t); len(m.payload) != len(full) {
		t.Errorf("down: %d bytes arrived of %d", len(m.payload), len(full))
	}
}

func testOrder(t *testing.T, r *running) {
	h := newHub(t, connectTo(t, r), "cp/1/+/+/+/up")
	h.run()
	agent := dialAgent(t, r.url, nil, "cp/1/a7/s1/till-1/dn")
	const n = 500
	for i := range n {
		agent.publish(t, "cp/1/a7/s1/till-1/up", fmt.Append(nil, i), false)
	}
	for i := range n {
		if m := h.next(t); string(m.payload) != fmt.Sprint(i) {
			t.Fatalf("message %d arrived as %s", i, m.payload)
		}
	}
	// Small messages and large ones go different ways to the socket.
	sizes := []int{4, 96, 97, 127, 128, 16_357, 16_358, 16_384, 32_735, 32_736, 32_737, 32_768, 200_000}
	for i := range 3 * len(sizes) {
		if err := h.broker.Publish("cp/1/a7/s1/till-1/dn", fmt.Appendf(nil, "%0*d", sizes[i%len(sizes)], i), false); err != nil {
			t.Fatal(err)
		}
	}
	for i := range 3 * len(sizes) {
		if m := agent.next(t); string(m.payload) != fmt.Sprintf("%0*d", sizes[i%len(sizes)], i) {
			t.Fatalf("message %d of %d bytes arrived with %d bytes, ending in %s", i, sizes[i%len(sizes)], len(m.payload), m.payload[max(0, len(m.payload)-3):])
		}
	}
}

// connectTo returns a hub's side of a broker that the test runs.
func connectTo(t *testing.T, r *running) *broker.Broker {
	t.Helper()
	b, err := broker.Start(t.Context(), broker.Options{URL: r.url, InsecureDev: true})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(b.Close)
	return b
}

func runEmbedded(t *testing.T) *running {
	dir := t.TempDir()
	var b *broker.Broker
	listen := "127.0.0.1:0"
	r := &running{}
	r.start = func() {
		var err error
		if b, err = broker.Start(context.Background(), broker.Options{Listen: listen, DataDir: dir, InsecureDev: true}); err != nil {
			t.Fatal(err)
		}
		listen = b.Addr()
	}
	r.kill = func() { b.Close() }
	r.start()
	r.url = b.URL()
	t.Cleanup(r.kill)
	return r
}

const mosquittoPath = "/usr/sbin/mosquitto"

func runMosquitto(t *testing.T) *running {
	if _, err := os.Stat(mosquittoPath); err != nil {
		t.Fatalf("%s is missing: `make setup` installs it", mosquittoPath)
	}
	free, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := free.Addr().(*net.TCPAddr)
	free.Close()
	config := filepath.Join(t.TempDir(), "mosquitto.conf")
	text := fmt.Sprintf("listener %d 127.0.0.1\nallow_anonymous true\npersistence false\nuser root\n", address.Port)
	if err := os.WriteFile(config, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	var process *exec.Cmd
	r := &running{url: "mqtt://" + address.String()}
	r.kill = func() {
		process.Process.Kill()
		process.Wait()
	}
	r.start = func() {
		process = exec.Command(mosquittoPath, "-c", config)
		if err := process.Start(); err != nil {
			t.Fatal(err)
		}
		eventually(t, "mosquitto listens", func() bool {
			c, err := net.Dial("tcp", address.String())
			if err == nil {
				c.Close()
			}
			return err == nil
		})
	}
	r.start()
	t.Cleanup(r.kill)
	return r
}
