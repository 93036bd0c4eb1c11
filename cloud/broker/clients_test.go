package broker_test

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/hex"
	"io"
	"net"
	"net/url"
	"testing"
	"time"

	mqtt "github.com/eclipse/paho.mqtt.golang"
	"github.com/eclipse/paho.mqtt.golang/packets"

	"counterpart/cloud/broker"
)

type message struct {
	topic    string
	payload  []byte
	retained bool
}

// startEmbedded starts an embedded broker that the test stops.
func startEmbedded(t testing.TB, listen string) *broker.Broker {
	t.Helper()
	b, err := broker.Start(context.Background(), broker.Options{Listen: listen, DataDir: t.TempDir(), InsecureDev: true})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(b.Close)
	return b
}

// hub records what the connection under test reports.
type hub struct {
	t        testing.TB
	broker   *broker.Broker
	filters  []string
	up       chan struct{}
	down     chan error
	messages chan message
	hold     chan struct{} // when set, the first message waits for it
}

func newHub(t testing.TB, b *broker.Broker, filters ...string) *hub {
	return &hub{
		t: t, broker: b, filters: filters,
		up: make(chan struct{}, 16), down: make(chan error, 16), messages: make(chan message, 1<<16),
	}
}

// run starts Run, waits for the first Up and ends it with the test.
func (h *hub) run() {
	h.t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	returned := make(chan struct{})
	go func() {
		defer close(returned)
		h.broker.Run(ctx, broker.Handlers{
			Filters: h.filters,
			Up:      func() { h.up <- struct{}{} },
			Down:    func(cause error) { h.down <- cause },
			Message: func(topic string, payload []byte, retained bool) {
				if h.hold != nil {
					<-h.hold
				}
				h.messages <- message{topic, payload, retained}
			},
		})
	}()
	h.t.Cleanup(func() { cancel(); <-returned })
	receive(h.t, "the hub's connection", h.up)
}

func (h *hub) next(t testing.TB) message {
	t.Helper()
	return receive(t, "a message at the hub", h.messages)
}

// client is a bare MQTT client in the role of an agent.
type client struct {
	mqtt     mqtt.Client
	socket   net.Conn
	messages chan message
}

func dialAgent(t testing.TB, address string, will *message, filters ...string) *client {
	t.Helper()
	c := &client{messages: make(chan message, 1<<16)}
	u, err := url.Parse(address)
	if err != nil {
		t.Fatal(err)
	}
	o := mqtt.NewClientOptions().AddBroker(address).SetClientID("agent-" + randomHex()).
		SetAutoReconnect(false).SetProtocolVersion(4).SetKeepAlive(10 * time.Second)
	o.SetCustomOpenConnectionFn(func(*url.URL, mqtt.ClientOptions) (net.Conn, error) {
		c.socket, err = net.Dial("tcp", u.Host)
		return c.socket, err
	})
	if will != nil {
		o.SetBinaryWill(will.topic, will.payload, 1, will.retained)
	}
	o.SetDefaultPublishHandler(func(_ mqtt.Client, m mqtt.Message) {
		c.messages <- message{m.Topic(), m.Payload(), m.Retained()}
	})
	c.mqtt = mqtt.NewClient(o)
	done(t, "connect", c.mqtt.Connect())
	t.Cleanup(func() { c.mqtt.Disconnect(100) })
	for _, filter := range filters {
		done(t, "subscribe", c.mqtt.Subscribe(filter, 0, nil))
	}
	return c
}

func (c *client) publish(t testing.TB, topic string, payload []byte, retain bool) {
	t.Helper()
	var qos byte
	if retain {
		qos = 1
	}
	done(t, "publish", c.mqtt.Publish(topic, qos, retain, payload))
}

func (c *client) next(t testing.TB) message {
	t.Helper()
	return receive(t, "a message at the agent", c.messages)
}

// dialStalled connects and subscribes by hand and then never reads again.
func dialStalled(t testing.TB, address, filter, willTopic string) net.Conn {
	t.Helper()
	socket, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	if err := socket.(*net.TCPConn).SetReadBuffer(4 << 10); err != nil {
		t.Fatal(err)
	}
	connect := packets.NewControlPacket(packets.Connect).(*packets.ConnectPacket)
	connect.ProtocolName, connect.ProtocolVersion = "MQTT", 4
	connect.CleanSession, connect.ClientIdentifier, connect.Keepalive = true, "stalled-"+randomHex(), 600
	connect.WillFlag, connect.WillTopic, connect.WillMessage = true, willTopic, []byte("gone")
	subscribe := packets.NewControlPacket(packets.Subscribe).(*packets.SubscribePacket)
	subscribe.MessageID, subscribe.Topics, subscribe.Qoss = 1, []string{filter}, []byte{0}
	for _, p := range []packets.ControlPacket{connect, subscribe} {
		var b bytes.Buffer
		if err := p.Write(&b); err != nil {
			t.Fatal(err)
		}
		if _, err := socket.Write(b.Bytes()); err != nil {
			t.Fatal(err)
		}
		if _, err := packets.ReadPacket(io.Reader(socket)); err != nil {
			t.Fatal(err)
		}
	}
	return socket
}

func done(t testing.TB, what string, token mqtt.Token) {
	t.Helper()
	if !token.WaitTimeout(patience) {
		t.Fatalf("%s: no answer", what)
	}
	if err := token.Error(); err != nil {
		t.Fatalf("%s: %v", what, err)
	}
}

func receive[T any](t testing.TB, what string, c <-chan T) T {
	t.Helper()
	timeout := time.NewTimer(patience)
	defer timeout.Stop()
	select {
	case v := <-c:
		return v
	case <-timeout.C:
		t.Fatalf("waited in vain for %s", what)
		panic("unreachable")
	}
}

func eventually(t testing.TB, what string, condition func() bool) {
	t.Helper()
	timeout := time.NewTimer(patience)
	defer timeout.Stop()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for !condition() {
		select {
		case <-tick.C:
		case <-timeout.C:
			t.Fatalf("waited in vain until %s", what)
		}
	}
}

func randomHex() string {
	var b [8]byte
	rand.Read(b[:])
	return hex.EncodeToString(b[:])
}
