package uplink

import (
	"bufio"
	"context"
	"crypto/tls"
	"encoding/binary"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	mqtt "github.com/eclipse/paho.mqtt.golang"
	"github.com/eclipse/paho.mqtt.golang/packets"
)

const (
	dialTimeoutDefault = 5 * time.Second
	queueDepthDefault  = 256
	sendTimeout        = 5 * time.Second
	handOverTimeout    = 3 * time.Second // until the line takes the message before ours
	keepAlive          = 10 * time.Second
	pingTimeout        = 5 * time.Second
	farewellTimeout    = 600 * time.Millisecond
	quiesce            = 200 // milliseconds that a disconnect may take
	lostGrace          = time.Second

	// wireChunk is written under one deadline: a slow line that still moves is
	// never cut off because a message is large.
	wireChunk        = 16 << 10
	wireReadBuffer   = 16 << 10
	wireWriteTimeout = 5 * time.Second

	// packetOverhead is the most that MQTT adds to a topic and a payload.
	packetOverhead = 7

	// payloadMax is what the hub's broker takes. It hangs up on more, so a larger
	// message that is sent again and again would keep the agent offline for ever.
	payloadMax = 2 << 20
)

// ErrLinkClosed is the reason of a link that this side closed.
var ErrLinkClosed = errors.New("uplink: link closed")

// ErrLineBusy means that the line did not take a message in time. The link still
// lives: a slow line needs patience, not another connection.
var ErrLineBusy = errors.New("uplink: line busy")

var errGaveUp = errors.New("uplink: the broker no longer answers or breaks the protocol")

// DialCause says in one word why there is no link. It is shown to staff and
// decides how soon the next attempt is made.
type DialCause string

// The causes. CauseAuth, CauseHubError and CauseVersion are answers of a hub or
// broker that is there; after the others nothing has answered.
const (
	CauseNoRoute  DialCause = "no_route"
	CauseDNS      DialCause = "dns"
	CauseRefused  DialCause = "refused"
	CauseTimeout  DialCause = "timeout"
	CauseTLS      DialCause = "tls"
	CauseAuth     DialCause = "auth"
	CauseHubError DialCause = "hub_error"
	CauseVersion  DialCause = "version"
)

// DialError is the only kind of error that Dial returns. A dial that the caller
// cancelled counts as a timeout and unwraps to context.Canceled.
type DialError struct {
	Cause DialCause
	Err   error
}

// Error implements error.
func (e *DialError) Error() string { return fmt.Sprintf("uplink: dial (%s): %v", e.Cause, e.Err) }

// Unwrap gives access to the cause beneath.
func (e *DialError) Unwrap() error { return e.Err }

// errHubAnswered marks an answer of the hub that was not what was asked for.
var errHubAnswered = errors.New("uplink: the hub answered otherwise")

// refused tells whether a hub or broker that is there said no. Only that is a
// reason to come back more slowly: a line that breaks at once is no answer.
func (e *DialError) refused() bool {
	return e.Cause == CauseAuth || e.Cause == CauseVersion || errors.Is(e.Err, errHubAnswered) ||
		errors.Is(e.Err, packets.ErrorRefusedServerUnavailable) || errors.Is(e.Err, packets.ErrorRefusedIDRejected)
}

// Message is one message that arrived on a link.
type Message struct {
	Topic    string
	Payload  []byte
	Retained bool
}

// Will is the retained status that the broker publishes when the link is lost,
// and that Close publishes itself.
type Will struct {
	Topic   string
	Payload []byte
}

// LinkOptions says how to make a link.
type LinkOptions struct {
	URL         string        // mqtt://host:port or mqtts://host:port
	ClientID    string        // must be new for every link, see Dial
	Subscribe   []string      // filters that must be granted before Dial returns
	Will        Will          // no status at all if its topic is empty
	Birth       []byte        // published on the will's topic, retained, after subscribing
	QueueDepth  int           // 0 means 256
	DialTimeout time.Duration // 0 means 5 s
	Log         *slog.Logger  // nil discards
}

// Link is one live MQTT connection of an agent, used for exactly one session.
//
// It is a lossy wire: nothing is stored, repeated or reconnected, since the sync
// engine does all that itself and a second opinion below would only hide losses.
type Link struct {
	log      *slog.Logger
	wire     *linkWire
	client   mqtt.Client
	will     Will
	messages chan Message
	dropped  atomic.Uint64
	closing  sync.Once
}

// Dial returns a link on which everything is confirmed: TCP and TLS, MQTT's
// CONNECT and every subscription, together within DialTimeout. Its error is
// always a *DialError.
//
// Every link needs a client id of its own, because brokers hold back a client
// that takes over its own half-dead predecessor.
func Dial(ctx context.Context, o LinkOptions) (*Link, error) {
	timeout := o.DialTimeout
	if timeout == 0 {
		timeout = dialTimeoutDefault
	}
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	socket, u, err := openSocket(ctx, o.URL)
	if err != nil {
		return nil, err
	}
	l := newLink(o, u, timeout, socket)
	if err := l.await(ctx, l.client.Connect()); err != nil {
		l.abandon()
		return nil, answerError(err)
	}
	if err := l.subscribe(ctx, o.Subscribe...); err != nil {
		l.abandon()
		return nil, answerError(err)
	}
	if o.Will.Topic != "" {
		// It is only handed over, so that Close cannot overtake it; nobody waits
		// for the confirmation, since the next heartbeat repairs a lost status.
		if _, err := l.handOver(ctx, func() mqtt.Token { return l.client.Publish(o.Will.Topic, 1, true, o.Birth) }); err != nil {
			l.abandon()
			return nil, answerError(err)
		}
	}
	l.log.Debug("link up", "broker", u.Host, "client_id", o.ClientID)
	return l, nil
}

// newLink prepares a link on a connected socket, with everything off by which
// the MQTT library would store or repeat messages or reconnect on its own.
func newLink(o LinkOptions, u *url.URL, timeout time.Duration, socket net.Conn) *Link {
	depth := o.QueueDepth
	if depth <= 0 {
		depth = queueDepthDefault
	}
	l := &Link{log: o.Log, wire: newLinkWire(socket), will: o.Will, messages: make(chan Message, depth)}
	if l.log == nil {
		l.log = slog.New(slog.DiscardHandler)
	}
	c := mqtt.NewClientOptions()
	c.Servers = []*url.URL{u}
	c.SetClientID(o.ClientID)
	c.SetProtocolVersion(4) // an explicit version also stops the library from dialling twice
	c.SetCleanSession(true)
	c.SetAutoReconnect(false)
	c.SetConnectRetry(false)
	c.SetOrderMatters(true)
	c.SetKeepAlive(keepAlive)
	c.SetPingTimeout(pingTimeout)
	c.SetConnectTimeout(timeout)
	c.SetWriteTimeout(handOverTimeout)
	c.SetCustomOpenConnectionFn(func(*url.URL, mqtt.ClientOptions) (net.Conn, error) { return l.wire, nil })
	c.SetDefaultPublishHandler(func(_ mqtt.Client, m mqtt.Message) { l.enqueue(m) })
	if o.Will.Topic != "" {
		c.SetBinaryWill(o.Will.Topic, o.Will.Payload, 1, true)
	}
	l.client = mqtt.NewClient(c)
	return l
}

// enqueue runs in the library's read path, so it must never block.
func (l *Link) enqueue(m mqtt.Message) {
	select {
	case l.messages <- Message{Topic: m.Topic(), Payload: m.Payload(), Retained: m.Retained()}:
	default:
		l.dropped.Add(1)
	}
}

// Messages delivers what arrived, in order. It is bounded and drops what finds
// no room; it is never closed, so select on Done as well.
func (l *Link) Messages() <-chan Message { return l.messages }

// Dropped counts messages for which Messages had no room.
func (l *Link) Dropped() uint64 { return l.dropped.Load() }

// Done is closed when the connection is lost or closed.
func (l *Link) Done() <-chan struct{} { return l.wire.lost }

// Err says why the connection ended; it is nil while it lives.
func (l *Link) Err() error {
	select {
	case <-l.wire.lost:
		return l.wire.cause
	default:
		return nil
	}
}

// Send gives one message to the line, at most once, and never waits longer than
// five seconds. After ErrLineBusy the message may or may not arrive and the link
// still lives; after any other error the link is lost, unless the message is too
// large. The payload must not be changed afterwards.
func (l *Link) Send(topic string, payload []byte) error {
	if len(payload) > payloadMax {
		return fmt.Errorf("uplink: %d bytes to %q exceed the %d that a broker takes", len(payload), topic, payloadMax)
	}
	if err := l.Err(); err != nil {
		return err
	}
	if done, err := l.wire.publish(topic, payload); done {
		return err
	}
	ctx, cancel := context.WithTimeout(context.Background(), sendTimeout)
	defer cancel()
	token, err := l.handOver(ctx, func() mqtt.Token { return l.client.Publish(topic, 0, false, payload) })
	if err == nil {
		err = l.await(ctx, token)
	}
	switch {
	case err == nil:
		return nil
	case l.Err() != nil:
		return l.Err()
	case errors.Is(err, mqtt.ErrNotConnected):
		return fmt.Errorf("uplink: send to %q: %w", topic, err)
	default:
		return fmt.Errorf("%w: %w", ErrLineBusy, err)
	}
}

// Subscribe returns once the broker has granted one more filter, within five
// seconds.
func (l *Link) Subscribe(filter string) error {
	ctx, cancel := context.WithTimeout(context.Background(), sendTimeout)
	defer cancel()
	if err := l.subscribe(ctx, filter); err != nil {
		return fmt.Errorf("uplink: subscribe to %q: %w", filter, err)
	}
	return nil
}

var errNotGranted = errors.New("subscription not granted")

func (l *Link) subscribe(ctx context.Context, filters ...string) error {
	if len(filters) == 0 {
		return nil
	}
	wanted := make(map[string]byte, len(filters))
	for _, filter := range filters {
		wanted[filter] = 0
	}
	token, err := l.handOver(ctx, func() mqtt.Token { return l.client.SubscribeMultiple(wanted, nil) })
	if err == nil {
		err = l.await(ctx, token)
	}
	if err != nil {
		return err
	}
	for filter, granted := range token.(*mqtt.SubscribeToken).Result() {
		if granted == 0x80 {
			return fmt.Errorf("%w: %q", errNotGranted, filter)
		}
	}
	return nil
}

// handOver calls into the library, which blocks for handOverTimeout when the
// connection is lost at that moment; here the caller goes on at once.
func (l *Link) handOver(ctx context.Context, send func() mqtt.Token) (mqtt.Token, error) {
	if err := l.Err(); err != nil {
		return nil, err
	}
	handed := make(chan mqtt.Token, 1)
	go func() { handed <- send() }()
	select {
	case token := <-handed:
		return token, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	case <-l.wire.lost:
		return nil, l.wire.cause
	}
}

// await waits for one answer of the broker. The library closes the socket on a
// refusal before it says so, hence the second wait.
func (l *Link) await(ctx context.Context, token mqtt.Token) error {
	select {
	case <-token.Done():
		return token.Error()
	case <-ctx.Done():
		return ctx.Err()
	case <-l.wire.lost:
	}
	if token.WaitTimeout(lostGrace) && token.Error() != nil {
		return token.Error()
	}
	return l.wire.cause
}

// Close publishes the will's payload as the retained status and ends the
// connection, within one second. If the status is not confirmed, the socket is
// closed without a goodbye, for then the broker publishes the will.
func (l *Link) Close() {
	l.closing.Do(func() {
		l.wire.farewell.Store(true)
		if l.sayFarewell() {
			l.client.Disconnect(quiesce)
		}
		l.abandon()
	})
}

// sayFarewell reports whether the broker may forget the will.
func (l *Link) sayFarewell() bool {
	ctx, cancel := context.WithTimeout(context.Background(), farewellTimeout)
	defer cancel()
	if l.will.Topic == "" {
		return l.Err() == nil
	}
	token, err := l.handOver(ctx, func() mqtt.Token { return l.client.Publish(l.will.Topic, 1, true, l.will.Payload) })
	return err == nil && l.await(ctx, token) == nil
}

// abandon closes the socket, which ends everything that the library has started.
func (l *Link) abandon() { l.wire.fail(ErrLinkClosed) }

// openSocket makes the TCP connection and, for mqtts, the TLS one. Doing it here
// and not in the MQTT library puts name lookup and handshake under ctx.
func openSocket(ctx context.Context, raw string) (net.Conn, *url.URL, error) {
	u, err := url.Parse(raw)
	if err != nil || u.Hostname() == "" || (u.Scheme != "mqtt" && u.Scheme != "mqtts") {
		// The URL may carry a password and stays out of the error.
		return nil, nil, &DialError{CauseHubError, errors.New("the hub's address must be mqtt://host:port or mqtts://host:port")}
	}
	port := u.Port()
	if port == "" {
		port = map[string]string{"mqtt": "1883", "mqtts": "8883"}[u.Scheme]
	}
	socket, err := newReacher().DialContext(ctx, "tcp", net.JoinHostPort(u.Hostname(), port))
	if err != nil {
		return nil, nil, &DialError{dialCause(ctx, err), err}
	}
	if u.Scheme == "mqtt" {
		return socket, u, nil
	}
	secured := tls.Client(socket, &tls.Config{ServerName: u.Hostname(), MinVersion: tls.VersionTLS12})
	if err := secured.HandshakeContext(ctx); err != nil {
		socket.Close()
		if timedOut(ctx, err) {
			return nil, nil, &DialError{CauseTimeout, err}
		}
		return nil, nil, &DialError{CauseTLS, err}
	}
	return secured, u, nil
}

// Windows' numbers for these errors, which the syscall package does not map to
// its portable names there; no other system uses them.
const (
	wsaNetUnreachable  = syscall.Errno(10051)
	wsaConnRefused     = syscall.Errno(10061)
	wsaHostUnreachable = syscall.Errno(10065)
)

// dialCause classifies the failure of a TCP connection, or of an HTTP request
// before its answer. A name server that never answers is a timeout, as it is for
// staff.
func dialCause(ctx context.Context, err error) DialCause {
	var dns *net.DNSError
	switch {
	case timedOut(ctx, err):
		return CauseTimeout
	case errors.As(err, &dns):
		return CauseDNS
	case errors.Is(err, syscall.ECONNREFUSED), errors.Is(err, wsaConnRefused):
		return CauseRefused
	case failedTLS(err):
		return CauseTLS
	case errors.Is(err, syscall.ECONNRESET):
		return CauseHubError
	default:
		return CauseNoRoute
	}
}

// failedTLS tells whether the two sides could not agree on TLS: the other one
// speaks something else, its certificate is not trusted, or it gave up. The
// alert that it then sends has no exported type, only an operation of its own.
func failedTLS(err error) bool {
	var certificate *tls.CertificateVerificationError
	var record tls.RecordHeaderError
	var alert *net.OpError
	return errors.Is(err, http.ErrSchemeMismatch) || errors.As(err, &certificate) || errors.As(err, &record) ||
		errors.As(err, &alert) && alert.Op == "remote error"
}

// answerError classifies what came, or did not come, over a connected socket.
func answerError(err error) error {
	cause := CauseHubError
	switch {
	case timedOut(context.Background(), err), errors.Is(err, context.Canceled):
		cause = CauseTimeout
	case errors.Is(err, packets.ErrorRefusedBadProtocolVersion):
		cause = CauseVersion
	case errors.Is(err, packets.ErrorRefusedBadUsernameOrPassword),
		errors.Is(err, packets.ErrorRefusedNotAuthorised),
		errors.Is(err, errNotGranted):
		cause = CauseAuth
	}
	return &DialError{cause, err}
}

func timedOut(ctx context.Context, err error) bool {
	var network net.Error
	return ctx.Err() != nil || errors.Is(err, context.DeadlineExceeded) || errors.As(err, &network) && network.Timeout()
}

// linkWire is the socket under one link. It knows first when the connection is
// lost, so nothing waits for the MQTT library to notice, and it puts a deadline
// on every write: the library sets none on SUBSCRIBE and PINGREQ, and a stalled
// peer would hold it up for ever.
type linkWire struct {
	net.Conn
	in *bufio.Reader

	writing sync.Mutex // a ping must not land inside a chunked message
	packet  []byte     // room for one message of publish

	closing sync.Once
	lost    chan struct{}
	cause   error // readable once lost is closed

	farewell atomic.Bool // Link.Close is under way
}

func newLinkWire(c net.Conn) *linkWire {
	return &linkWire{Conn: c, in: bufio.NewReaderSize(c, wireReadBuffer), lost: make(chan struct{})}
}

// Read buffers, because the MQTT library reads every header byte by byte.
func (w *linkWire) Read(p []byte) (int, error) {
	n, err := w.in.Read(p)
	if err != nil {
		err = w.fail(err)
	}
	return n, err
}

// Write closes the connection on any error, since part of a packet may be out.
func (w *linkWire) Write(p []byte) (int, error) {
	w.writing.Lock()
	defer w.writing.Unlock()
	return w.write(p)
}

// publishQoS0 is the first byte of a message with QoS 0 that is not retained.
const publishQoS0 = 0x30

// publish writes a message with QoS 0 itself, past the MQTT library, which
// would hand it through three goroutines: on an idle machine each costs as much
// as the message. It tells whether it did. It does not where that could take
// longer than one deadline: the message is large, or another is being written.
func (w *linkWire) publish(topic string, payload []byte) (bool, error) {
	if len(topic)+len(payload)+packetOverhead > wireChunk || !w.writing.TryLock() {
		return false, nil
	}
	defer w.writing.Unlock()
	p := append(w.packet[:0], publishQoS0)
	p = binary.AppendUvarint(p, uint64(2+len(topic)+len(payload)))
	p = binary.BigEndian.AppendUint16(p, uint16(len(topic)))
	p = append(append(p, topic...), payload...)
	w.packet = p
	_, err := w.write(p)
	return true, err
}

// write is Write; writing is held.
func (w *linkWire) write(p []byte) (int, error) {
	written := 0
	for written < len(p) {
		end := min(written+wireChunk, len(p))
		if err := w.Conn.SetWriteDeadline(time.Now().Add(wireWriteTimeout)); err != nil {
			return written, w.fail(err)
		}
		n, err := w.Conn.Write(p[written:end])
		written += n
		if err != nil {
			return written, w.fail(err)
		}
	}
	return written, nil
}

// SetWriteDeadline does nothing: the MQTT library resets the deadline after a
// message and would take away that of a ping written at the same time.
func (w *linkWire) SetWriteDeadline(time.Time) error { return nil }

// Close implements net.Conn for the library, which closes the socket when it
// disconnects, when a ping stays unanswered and when it cannot read a packet.
func (w *linkWire) Close() error {
	w.fail(errGaveUp)
	return nil
}

// fail closes the socket and returns the first cause. It never returns
// net.ErrClosed, which the MQTT library takes for its own doing and ignores.
func (w *linkWire) fail(cause error) error {
	w.closing.Do(func() {
		w.cause = cause
		if w.farewell.Load() {
			w.cause = ErrLinkClosed // whoever hangs up first
		}
		w.Conn.Close()
		close(w.lost)
	})
	return w.cause
}
