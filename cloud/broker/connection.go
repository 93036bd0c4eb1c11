package broker

import (
	"context"
	"crypto/rand"
	"crypto/tls"
	"encoding/hex"
	"errors"
	"fmt"
	random "math/rand/v2"
	"net"
	"net/url"
	"sync/atomic"
	"time"

	mqtt "github.com/eclipse/paho.mqtt.golang"
	"github.com/eclipse/paho.mqtt.golang/packets"
)

const (
	// redialDelay is the time from one dial to the next while nothing answers.
	redialDelay = 250 * time.Millisecond
	// refusedDelayMax bounds the random pause after a broker that answered
	// refused: it is there, so asking faster only hurts it.
	refusedDelayMax = 30 * time.Second
	dialTimeout     = 5 * time.Second
	publishTimeout  = 5 * time.Second
	handOverTimeout = 3 * time.Second
	keepAlive       = 10 * time.Second
	pingTimeout     = 5 * time.Second
	lostGrace       = time.Second
	quiesce         = 200 // milliseconds that a goodbye may take

	// The queue between the socket and Handlers.Message is bounded twice, since
	// a herd of small messages and a few large ones fill memory differently.
	queueMessagesMax = 8192
	queueBytesMax    = 32 << 20
)

// ErrTooLarge means that a payload exceeds PayloadMax and was not sent.
var ErrTooLarge = errors.New("broker: payload too large")

// errRefused marks a broker that answered, and said no.
var errRefused = errors.New("the broker refused")

// Handlers is what the hub's connection reports to. All functions are called
// from Run's goroutine, one at a time: Up, then the messages of that connection,
// then Down.
type Handlers struct {
	// Filters is subscribed to on every connection, before Up.
	Filters []string
	// Up says that the connection is live and all filters are granted.
	Up func()
	// Down says why the connection ended.
	Down func(cause error)
	// Message receives one message; the payload is the receiver's to keep.
	Message func(topic string, payload []byte, retained bool)
}

// session is one MQTT connection, from its dial to its loss. A client is never
// used again: the library warns against it, and a fresh one has no leftovers.
type session struct {
	wire   *wire
	client mqtt.Client
	queue  chan mqtt.Message
	queued atomic.Int64 // bytes in queue
}

// Run keeps the hub connected until ctx ends, which is the only way it returns
// apart from filters that this hub may not use. Only one Run may be active.
func (b *Broker) Run(ctx context.Context, h Handlers) error {
	for _, filter := range h.Filters {
		if !Allowed(b.principal, Identity{}, Subscribe, filter) {
			return fmt.Errorf("broker: the hub may not subscribe to %q", filter)
		}
	}
	refusals, lastText := 0, ""
	for ctx.Err() == nil {
		dialed := time.Now()
		s, err := b.dial(ctx, h.Filters)
		pause := time.Until(dialed.Add(redialDelay))
		switch {
		case ctx.Err() != nil:
		case err == nil:
			refusals, lastText = 0, ""
			b.serve(ctx, s, h)
			pause = time.Until(dialed.Add(redialDelay))
		case errors.Is(err, errRefused):
			refusals++
			pause = max(pause, random.N(min(time.Second<<min(refusals, 10), refusedDelayMax)))
		default:
			refusals = 0
		}
		// A dead broker gives the same answer four times a second; once is enough.
		if err != nil && err.Error() != lastText && ctx.Err() == nil {
			lastText = err.Error()
			b.log.Warn("broker unreachable, still trying", "broker", b.URL(), "error", err)
		}
		if s != nil {
			s.end()
		}
		wait(ctx, pause)
	}
	return ctx.Err()
}

// serve passes messages on until the connection is lost or ctx ends. What had
// arrived before the loss is still delivered.
func (b *Broker) serve(ctx context.Context, s *session, h Handlers) {
	b.live.Store(s)
	if h.Up != nil {
		h.Up()
	}
	var cause error
	for cause == nil {
		select {
		case <-ctx.Done():
			cause = ctx.Err()
		case <-s.wire.lost:
			cause = s.wire.cause
		case m := <-s.queue:
			s.deliver(m, h)
		}
	}
	b.live.Store(nil)
	for len(s.queue) > 0 && ctx.Err() == nil {
		s.deliver(<-s.queue, h)
	}
	if h.Down != nil {
		h.Down(cause)
	}
}

func (s *session) deliver(m mqtt.Message, h Handlers) {
	s.queued.Add(-int64(len(m.Payload())))
	if h.Message != nil {
		h.Message(m.Topic(), m.Payload(), m.Retained())
	}
}

// Publish sends one message: at most once, or for a retained one until the
// broker has confirmed it. It never waits longer than a few seconds. The payload
// must not be changed afterwards.
func (b *Broker) Publish(topic string, payload []byte, retain bool) error {
	if len(payload) > PayloadMax {
		return fmt.Errorf("%w: %d bytes to %q", ErrTooLarge, len(payload), topic)
	}
	if !Allowed(b.principal, Identity{}, Publish, topic) {
		return fmt.Errorf("broker: the hub may not publish to %q", topic)
	}
	s := b.live.Load()
	if s == nil || s.wire.isLost() {
		return ErrNotConnected
	}
	var qos byte
	if retain {
		qos = 1
	} else if done, err := s.wire.publish(topic, payload); err != nil {
		return ErrNotConnected
	} else if done {
		return nil
	}
	ctx, cancel := context.WithTimeout(context.Background(), publishTimeout)
	defer cancel()
	token, err := s.handOver(ctx, func() mqtt.Token { return s.client.Publish(topic, qos, retain, payload) })
	if err == nil {
		err = s.await(ctx, token)
	}
	switch {
	case err == nil:
		return nil
	case s.wire.isLost():
		return ErrNotConnected
	default:
		return fmt.Errorf("broker: publish to %q: %w", topic, err)
	}
}

// dial makes one connection with all filters granted, within dialTimeout.
func (b *Broker) dial(ctx context.Context, filters []string) (*session, error) {
	ctx, cancel := context.WithTimeout(ctx, dialTimeout)
	defer cancel()
	socket, err := b.target.open(ctx)
	if err != nil {
		return nil, err
	}
	s := &session{wire: newWire(socket), queue: make(chan mqtt.Message, queueMessagesMax)}
	s.client = mqtt.NewClient(b.clientOptions(s))
	if err := s.await(ctx, s.client.Connect()); err != nil {
		s.abandon()
		return nil, refusal(err)
	}
	if len(filters) == 0 {
		return s, nil
	}
	wanted := make(map[string]byte, len(filters))
	for _, filter := range filters {
		wanted[filter] = 0
	}
	token, err := s.handOver(ctx, func() mqtt.Token { return s.client.SubscribeMultiple(wanted, nil) })
	if err == nil {
		err = s.await(ctx, token)
	}
	if err != nil {
		s.abandon()
		return nil, refusal(err)
	}
	for filter, granted := range token.(*mqtt.SubscribeToken).Result() {
		if granted == 0x80 {
			s.abandon()
			return nil, fmt.Errorf("%w: subscription to %q", errRefused, filter)
		}
	}
	return s, nil
}

// clientOptions turns off everything by which the library would store or repeat
// messages or reconnect on its own.
func (b *Broker) clientOptions(s *session) *mqtt.ClientOptions {
	o := mqtt.NewClientOptions()
	o.Servers = []*url.URL{b.target.url}
	o.SetClientID(newClientID())
	o.SetProtocolVersion(4)
	o.SetCleanSession(true)
	o.SetAutoReconnect(false)
	o.SetConnectRetry(false)
	o.SetOrderMatters(true)
	o.SetKeepAlive(keepAlive)
	o.SetPingTimeout(pingTimeout)
	o.SetConnectTimeout(dialTimeout)
	o.SetWriteTimeout(handOverTimeout)
	o.SetCustomOpenConnectionFn(func(*url.URL, mqtt.ClientOptions) (net.Conn, error) { return s.wire, nil })
	o.SetDefaultPublishHandler(func(_ mqtt.Client, m mqtt.Message) { b.enqueue(s, m) })
	return o
}

// enqueue runs in the library's read path, so it must never block.
func (b *Broker) enqueue(s *session, m mqtt.Message) {
	size := int64(len(m.Payload()))
	if s.queued.Add(size) > queueBytesMax {
		s.queued.Add(-size)
		b.dropped.Add(1)
		return
	}
	select {
	case s.queue <- m:
	default:
		s.queued.Add(-size)
		b.dropped.Add(1)
	}
}

// handOver calls into the library, which blocks for handOverTimeout when the
// connection is lost at that moment; here the caller goes on at once.
func (s *session) handOver(ctx context.Context, send func() mqtt.Token) (mqtt.Token, error) {
	handed := make(chan mqtt.Token, 1)
	go func() { handed <- send() }()
	select {
	case token := <-handed:
		return token, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	case <-s.wire.lost:
		return nil, s.wire.cause
	}
}

// await waits for one answer of the broker. The library closes the socket on a
// refusal before it says so, hence the second wait.
func (s *session) await(ctx context.Context, token mqtt.Token) error {
	select {
	case <-token.Done():
		return token.Error()
	case <-ctx.Done():
		return ctx.Err()
	case <-s.wire.lost:
	}
	if token.WaitTimeout(lostGrace) && token.Error() != nil {
		return token.Error()
	}
	return s.wire.cause
}

// end says goodbye if the connection still lives and frees everything.
func (s *session) end() {
	if !s.wire.isLost() {
		s.client.Disconnect(quiesce)
	}
	s.abandon()
}

// abandon closes the socket, which ends everything that the library has started.
func (s *session) abandon() { s.wire.fail(errWireClosed) }

// open makes the TCP connection and, for mqtts, the TLS one.
func (t target) open(ctx context.Context) (net.Conn, error) {
	socket, err := (&net.Dialer{}).DialContext(ctx, "tcp", t.address)
	if err != nil || !t.tls {
		return socket, err
	}
	secured := tls.Client(socket, &tls.Config{ServerName: t.url.Hostname(), MinVersion: tls.VersionTLS12})
	if err := secured.HandshakeContext(ctx); err != nil {
		socket.Close()
		return nil, err
	}
	return secured, nil
}

// refusal marks the answers that mean no. A broker that is only just starting
// says "server unavailable" and is asked again soon.
func refusal(err error) error {
	for _, no := range []error{
		packets.ErrorRefusedBadProtocolVersion, packets.ErrorRefusedIDRejected,
		packets.ErrorRefusedBadUsernameOrPassword, packets.ErrorRefusedNotAuthorised,
	} {
		if errors.Is(err, no) {
			return fmt.Errorf("%w: %w", errRefused, err)
		}
	}
	return err
}

// newClientID is new for every connection: brokers hold back a client that takes
// over its own half-dead predecessor.
func newClientID() string {
	var b [8]byte
	rand.Read(b[:])
	return "cp-hub-" + hex.EncodeToString(b[:])
}

func wait(ctx context.Context, d time.Duration) {
	if d <= 0 {
		return
	}
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
	case <-t.C:
	}
}
