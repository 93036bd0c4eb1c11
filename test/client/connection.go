package client

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"

	mqtt "github.com/eclipse/paho.mqtt.golang"
	"google.golang.org/protobuf/encoding/protowire"
)

// The messages, by their field of the envelope.
const (
	kindHello   protowire.Number = 1
	KindWelcome protowire.Number = 2
	kindBatch   protowire.Number = 3
	KindAck     protowire.Number = 4
	KindNack    protowire.Number = 5
	KindBeat    protowire.Number = 6
	KindFence   protowire.Number = 7
	KindDelta   protowire.Number = 9
	kindDack    protowire.Number = 10
	// KindHub is no message but the hub's own topic: it has connected anew.
	KindHub protowire.Number = 1000
)

const (
	topicHub    = "cp/1/hub"
	keepAlive   = 10 * time.Second
	dialTimeout = 5 * time.Second
	queueDepth  = 256
	quiesce     = 100 // milliseconds
)

// Part is the share of the chain that a store's topics bear.
func Part(store string) string {
	sum := sha256.Sum256([]byte(store))
	return hex.EncodeToString(sum[:1])
}

func (s Stream) topic(leaf string) string {
	return "cp/1/" + Part(s.Store) + "/" + s.Store + "/" + s.Agent + "/" + leaf
}

// Received is one message of the hub.
type Received struct {
	Kind protowire.Number
	Body Message
}

// Connection is one MQTT connection of an agent.
type Connection struct {
	stream Stream
	boot   uint64
	client mqtt.Client
	inbox  chan Received
}

// Connect asks the hub for its broker, connects and subscribes.
func Connect(ctx context.Context, hub string, s Stream, boot uint64, feeds []string) (*Connection, error) {
	broker, err := askBroker(ctx, hub)
	if err != nil {
		return nil, err
	}
	c := &Connection{stream: s, boot: boot, inbox: make(chan Received, queueDepth)}
	o := mqtt.NewClientOptions()
	o.AddBroker("tcp://" + strings.TrimPrefix(broker, "mqtt://"))
	o.SetClientID("cp-" + s.Agent + "-" + rand.Text())
	o.SetProtocolVersion(4)
	o.SetCleanSession(true)
	o.SetAutoReconnect(false)
	o.SetConnectRetry(false)
	o.SetKeepAlive(keepAlive)
	o.SetConnectTimeout(dialTimeout)
	o.SetBinaryWill(s.topic("st"), c.status(false), 1, true)
	o.SetDefaultPublishHandler(func(_ mqtt.Client, m mqtt.Message) { c.receive(m) })
	c.client = mqtt.NewClient(o)
	filters := map[string]byte{s.topic("dn"): 0, topicHub: 0}
	for _, feed := range feeds {
		filters["cp/1/feed/"+feed] = 0
	}
	for _, step := range []func() mqtt.Token{
		c.client.Connect,
		func() mqtt.Token { return c.client.SubscribeMultiple(filters, nil) },
		func() mqtt.Token { return c.client.Publish(s.topic("st"), 1, true, c.status(true)) },
	} {
		if err := wait(ctx, step()); err != nil {
			return nil, err
		}
	}
	return c, nil
}

func askBroker(ctx context.Context, hub string) (string, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, hub+"/v1/connect", nil)
	if err != nil {
		return "", err
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return "", err
	}
	defer response.Body.Close()
	var answer struct {
		MQTT string `json:"mqtt_url"`
	}
	return answer.MQTT, json.NewDecoder(response.Body).Decode(&answer)
}

func wait(ctx context.Context, token mqtt.Token) error {
	select {
	case <-token.Done():
		return token.Error()
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (c *Connection) status(online bool) []byte {
	return fmt.Appendf(nil, `{"online":%t,"boot_id":"%s"}`, online, strconv.FormatUint(c.boot, 10))
}

// receive runs on the library's goroutine and must not block.
func (c *Connection) receive(m mqtt.Message) {
	in := Received{Kind: KindHub}
	if m.Topic() == topicHub {
		if m.Retained() {
			return
		}
	} else {
		for kind, bodies := range ParseMessage(m.Payload()) {
			in = Received{Kind: kind, Body: ParseMessage(bodies[len(bodies)-1].data)}
		}
	}
	select {
	case c.inbox <- in:
	default: // What is lost is asked for or sent again.
	}
}

// Send publishes one message on the up topic.
func (c *Connection) Send(ctx context.Context, kind protowire.Number, body []byte) error {
	var envelope fields
	envelope.element(kind, body)
	return wait(ctx, c.client.Publish(c.stream.topic("up"), 0, false, []byte(envelope)))
}

// Close says goodbye.
func (c *Connection) Close() {
	c.client.Publish(c.stream.topic("st"), 1, true, c.status(false)).WaitTimeout(dialTimeout)
	c.client.Disconnect(quiesce)
}
