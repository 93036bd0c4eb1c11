package uplink_test

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"math/big"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"testing"
	"time"

	"github.com/eclipse/paho.mqtt.golang/packets"

	"counterpart/agent/uplink"
)

// linkPatience bounds every wait in these tests; reaching it is a failure.
const linkPatience = 15 * time.Second

const (
	upTopic     = "cp/1/a7/s1/till-1/up"
	downTopic   = "cp/1/a7/s1/till-1/dn"
	statusTopic = "cp/1/a7/s1/till-1/st"
)

func TestLinkCarriesMessages(t *testing.T) {
	m := startMosquitto(t)
	hub := dialLink(t, uplink.LinkOptions{URL: m.url, Subscribe: []string{"cp/1/+/+/+/up", "cp/1/+/+/+/st"}})
	agent := dialLink(t, agentOptions(m.url))
	if got := nextMessage(t, hub); got.Topic != statusTopic || string(got.Payload) != "online" {
		t.Errorf("the hub got %+v, want the birth", got)
	}
	// Small messages and large ones go different ways to the socket.
	payloads := [][]byte{[]byte("hello"), {}, bytes.Repeat([]byte("0123456789ab"), 100_000)}
	for _, size := range []int{106, 107, 127, 128, 16_357, 16_358, 16_359, 16_384} {
		payloads = append(payloads, bytes.Repeat([]byte{byte(size)}, size))
	}
	for _, payload := range payloads {
		if err := agent.Send(upTopic, payload); err != nil {
			t.Fatal(err)
		}
		if got := nextMessage(t, hub); got.Topic != upTopic || !bytes.Equal(got.Payload, payload) || got.Retained {
			t.Errorf("the hub got %d bytes on %s", len(got.Payload), got.Topic)
		}
	}
	if err := hub.Send(downTopic, []byte("down")); err != nil {
		t.Fatal(err)
	}
	if got := nextMessage(t, agent); string(got.Payload) != "down" {
		t.Errorf("the agent got %+v", got)
	}
	if err := agent.Subscribe("cp/1/feed/#"); err != nil {
		t.Fatal(err)
	}
	if err := hub.Send("cp/1/feed/price/north", []byte("price")); err != nil {
		t.Fatal(err)
	}
	if got := nextMessage(t, agent); got.Topic != "cp/1/feed/price/north" {
		t.Errorf("the agent got %+v", got)
	}
	if err := agent.Send(upTopic, make([]byte, 3<<20)); err == nil {
		t.Error("Send took more than the hub's broker does")
	}
	if agent.Err() != nil || agent.Dropped() != 0 {
		t.Errorf("Err() = %v, Dropped() = %d", agent.Err(), agent.Dropped())
	}
}

func TestLinkStatus(t *testing.T) {
	m := startMosquitto(t)
	hub := dialLink(t, uplink.LinkOptions{URL: m.url, Subscribe: []string{statusTopic}})
	status := func(want string) {
		t.Helper()
		if got := nextMessage(t, hub); string(got.Payload) != want {
			t.Errorf("status %q, want %q", got.Payload, want)
		}
	}
	agent := dialLink(t, agentOptions(m.url))
	status("online")
	began := time.Now()
	agent.Close()
	if took := time.Since(began); took > 1500*time.Millisecond {
		t.Errorf("Close took %s", took)
	}
	status("offline")
	closedWithin(t, agent.Done(), linkPatience)
	if !errors.Is(agent.Err(), uplink.ErrLinkClosed) {
		t.Errorf("Err() after Close = %v", agent.Err())
	}
	if err := agent.Send(upTopic, nil); !errors.Is(err, uplink.ErrLinkClosed) {
		t.Errorf("Send after Close = %v", err)
	}
	agent.Close()

	// The will speaks for an agent whose line is cut.
	line := startLine(t, m.address)
	agent = dialLink(t, agentOptions("mqtt://"+line.address))
	status("online")
	line.cut()
	closedWithin(t, agent.Done(), linkPatience)
	if agent.Err() == nil || errors.Is(agent.Err(), uplink.ErrLinkClosed) {
		t.Errorf("Err() after a cut = %v", agent.Err())
	}
	status("offline")

	late := dialLink(t, uplink.LinkOptions{URL: m.url, Subscribe: []string{statusTopic}})
	if got := nextMessage(t, late); string(got.Payload) != "offline" || !got.Retained {
		t.Errorf("a late subscriber got %+v", got)
	}
}

func TestLinkNoticesADeadBroker(t *testing.T) {
	m := startMosquitto(t)
	agent := dialLink(t, agentOptions(m.url))
	m.kill()
	closedWithin(t, agent.Done(), linkPatience)
	if agent.Err() == nil {
		t.Error("Err() = nil")
	}
	began := time.Now()
	if err := agent.Send(upTopic, []byte("x")); err == nil {
		t.Error("Send succeeded without a broker")
	}
	agent.Close()
	if took := time.Since(began); took > 1500*time.Millisecond {
		t.Errorf("Send and Close took %s", took)
	}
}

func TestLinkDropsWhatFindsNoRoom(t *testing.T) {
	m := startMosquitto(t)
	o := agentOptions(m.url)
	o.QueueDepth = 4
	agent := dialLink(t, o)
	hub := dialLink(t, uplink.LinkOptions{URL: m.url})
	for i := range 10 {
		if err := hub.Send(downTopic, fmt.Append(nil, i)); err != nil {
			t.Fatal(err)
		}
	}
	until(t, "six messages are dropped", func() bool { return agent.Dropped() == 6 })
	for i := range 4 {
		if got := nextMessage(t, agent); string(got.Payload) != fmt.Sprint(i) {
			t.Errorf("message %d is %s", i, got.Payload)
		}
	}
}

func TestDialCauses(t *testing.T) {
	free, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	free.Close()
	tests := []struct {
		name string
		url  func(*testing.T) string
		want uplink.DialCause
	}{
		{"nobody listens", func(*testing.T) string { return "mqtt://" + free.Addr().String() }, uplink.CauseRefused},
		{"no route", func(*testing.T) string { return "mqtt://255.255.255.255:1883" }, uplink.CauseNoRoute},
		{"not an address", func(*testing.T) string { return "http://127.0.0.1:1" }, uplink.CauseHubError},
		{"accepts and answers nothing", fakeBroker("mqtt"), uplink.CauseTimeout},
		{"accepts TLS and answers nothing", fakeBroker("mqtts"), uplink.CauseTimeout},
		{"closes at once", fakeBroker("mqtt", hangUp), uplink.CauseHubError},
		{"speaks no MQTT", fakeBroker("mqtt", say("HTTP/1.1 400 Bad Request\r\n\r\n"), hangUp), uplink.CauseHubError},
		{"speaks no TLS", fakeBroker("mqtts", say("HTTP/1.1 400 Bad Request\r\n\r\n")), uplink.CauseTLS},
		{"unknown certificate", untrustedBroker, uplink.CauseTLS},
		{"wrong version", fakeBroker("mqtt", say("\x20\x02\x00\x01"), hangUp), uplink.CauseVersion},
		{"client id rejected", fakeBroker("mqtt", say("\x20\x02\x00\x02"), hangUp), uplink.CauseHubError},
		{"unavailable", fakeBroker("mqtt", say("\x20\x02\x00\x03"), hangUp), uplink.CauseHubError},
		{"bad password", fakeBroker("mqtt", say("\x20\x02\x00\x04"), hangUp), uplink.CauseAuth},
		{"not authorised", fakeBroker("mqtt", say("\x20\x02\x00\x05"), hangUp), uplink.CauseAuth},
		{"closes after CONNACK", fakeBroker("mqtt", connack, hangUp), uplink.CauseHubError},
		{"never grants the subscription", fakeBroker("mqtt", connack), uplink.CauseTimeout},
		{"refuses the subscription", fakeBroker("mqtt", connack, suback(0x80)), uplink.CauseAuth},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			o := agentOptions(tt.url(t))
			o.DialTimeout = time.Second
			began := time.Now()
			l, err := uplink.Dial(t.Context(), o)
			if err == nil {
				l.Close()
				t.Fatal("Dial succeeded")
			}
			var dial *uplink.DialError
			if !errors.As(err, &dial) || dial.Cause != tt.want {
				t.Errorf("Dial: %v, want cause %s", err, tt.want)
			}
			if took := time.Since(began); took > 2*time.Second {
				t.Errorf("Dial took %s", took)
			}
		})
	}
}

func TestDialCausesOfNameServers(t *testing.T) {
	original := net.DefaultResolver
	t.Cleanup(func() { net.DefaultResolver = original })
	for _, tt := range []struct {
		name    string
		answers bool
		want    uplink.DialCause
	}{{"unknown name", true, uplink.CauseDNS}, {"hangs", false, uplink.CauseTimeout}} {
		t.Run(tt.name, func(t *testing.T) {
			server := startNameServer(t, tt.answers)
			net.DefaultResolver = &net.Resolver{PreferGo: true, Dial: func(context.Context, string, string) (net.Conn, error) {
				return net.DialUDP("udp", nil, server) // net.Dial would read the variable set here
			}}
			o := agentOptions("mqtt://hub.example.")
			o.DialTimeout = 500 * time.Millisecond
			_, err := uplink.Dial(t.Context(), o)
			var dial *uplink.DialError
			if !errors.As(err, &dial) || dial.Cause != tt.want {
				t.Errorf("Dial: %v, want cause %s", err, tt.want)
			}
		})
	}
}

func TestDialCanBeCancelled(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	o := agentOptions(fakeBroker("mqtt", func(net.Conn) bool { cancel(); return true })(t))
	o.DialTimeout = linkPatience
	began := time.Now()
	_, err := uplink.Dial(ctx, o)
	if !errors.Is(err, context.Canceled) {
		t.Errorf("Dial: %v", err)
	}
	if took := time.Since(began); took > linkPatience/2 {
		t.Errorf("Dial took %s", took)
	}
}

func TestStalledBrokerNeverBlocksForLong(t *testing.T) {
	o := agentOptions(fakeBroker("mqtt", connack, suback(0))(t))
	l := dialLink(t, o)
	payload := make([]byte, 2<<20)
	var err error
	for range 50 {
		began := time.Now()
		err = l.Send(upTopic, payload)
		if took := time.Since(began); took > 7*time.Second {
			t.Errorf("Send took %s", took)
		}
		if err != nil && !errors.Is(err, uplink.ErrLineBusy) {
			break
		}
	}
	if err == nil {
		t.Error("Send never failed")
	}
	closedWithin(t, l.Done(), linkPatience)

	l = dialLink(t, o)
	began := time.Now()
	l.Close()
	if took := time.Since(began); took > 1500*time.Millisecond {
		t.Errorf("Close took %s", took)
	}
}

func TestLinksLeaveNothingBehind(t *testing.T) {
	m := startMosquitto(t)
	line := startLine(t, m.address)
	cycle := func(address string, end func(*uplink.Link)) {
		l, err := uplink.Dial(t.Context(), agentOptions(address))
		if err != nil {
			t.Fatal(err)
		}
		if err := l.Send(upTopic, []byte("x")); err != nil {
			t.Fatal(err)
		}
		end(l)
		closedWithin(t, l.Done(), linkPatience)
	}
	cycle(m.url, (*uplink.Link).Close)
	settle := func() int {
		last, same := runtime.NumGoroutine(), 0
		until(t, "the goroutines settle", func() bool {
			now := runtime.NumGoroutine()
			if same++; now != last {
				last, same = now, 0
			}
			return same > 20
		})
		return last
	}
	base := settle()
	for i := range 50 {
		switch i % 3 {
		case 0:
			cycle(m.url, (*uplink.Link).Close)
		case 1:
			cycle("mqtt://"+line.address, func(*uplink.Link) { line.cut() })
		case 2:
			o := agentOptions(fakeBroker("mqtt", connack, hangUp)(t))
			if _, err := uplink.Dial(t.Context(), o); err == nil {
				t.Fatal("Dial succeeded")
			}
		}
	}
	// A fake broker's listener is a goroutine of the test that lives as long.
	fakes := 50 / 3
	until(t, "all goroutines of the links have ended", func() bool { return runtime.NumGoroutine() <= base+fakes })
}

func agentOptions(address string) uplink.LinkOptions {
	return uplink.LinkOptions{
		URL: address, ClientID: newClientID(), Subscribe: []string{downTopic},
		Will: uplink.Will{Topic: statusTopic, Payload: []byte("offline")}, Birth: []byte("online"),
	}
}

func newClientID() string {
	var b [8]byte
	rand.Read(b[:])
	return "test-" + hex.EncodeToString(b[:])
}

// dialLink makes a link that the test closes.
func dialLink(t *testing.T, o uplink.LinkOptions) *uplink.Link {
	t.Helper()
	if o.ClientID == "" {
		o.ClientID = newClientID()
	}
	l, err := uplink.Dial(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(l.Close)
	return l
}

func nextMessage(t *testing.T, l *uplink.Link) uplink.Message {
	t.Helper()
	timeout := time.NewTimer(linkPatience)
	defer timeout.Stop()
	select {
	case m := <-l.Messages():
		return m
	case <-timeout.C:
		t.Fatal("waited in vain for a message")
		panic("unreachable")
	}
}

func closedWithin(t *testing.T, c <-chan struct{}, d time.Duration) {
	t.Helper()
	timeout := time.NewTimer(d)
	defer timeout.Stop()
	select {
	case <-c:
	case <-timeout.C:
		t.Fatal("waited in vain for the end of the link")
	}
}

func until(t *testing.T, what string, condition func() bool) {
	t.Helper()
	timeout := time.NewTimer(linkPatience)
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

// mosquitto is a real broker of the test's own.
type mosquitto struct {
	url, address string
	kill         func()
}

func startMosquitto(t *testing.T) *mosquitto {
	t.Helper()
	const path = "/usr/sbin/mosquitto"
	if _, err := os.Stat(path); err != nil {
		t.Fatalf("%s is missing: `make setup` installs it", path)
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
	process := exec.Command(path, "-c", config)
	if err := process.Start(); err != nil {
		t.Fatal(err)
	}
	m := &mosquitto{url: "mqtt://" + address.String(), address: address.String()}
	m.kill = func() {
		process.Process.Kill()
		process.Wait()
	}
	t.Cleanup(m.kill)
	until(t, "mosquitto listens", func() bool {
		c, err := net.Dial("tcp", m.address)
		if err == nil {
			c.Close()
		}
		return err == nil
	})
	return m
}

// line passes bytes on to a broker until it is cut.
type line struct {
	address string
	pairs   chan [2]net.Conn
}

func startLine(t *testing.T, to string) *line {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { listener.Close() })
	l := &line{address: listener.Addr().String(), pairs: make(chan [2]net.Conn, 100)}
	go func() {
		for {
			near, err := listener.Accept()
			if err != nil {
				return
			}
			far, err := net.Dial("tcp", to)
			if err != nil {
				near.Close()
				continue
			}
			l.pairs <- [2]net.Conn{near, far}
			go io.Copy(near, far)
			go io.Copy(far, near)
		}
	}()
	return l
}

func (l *line) cut() {
	pair := <-l.pairs
	pair[0].Close()
	pair[1].Close()
}

// step is one thing that a fake broker does after reading one packet; it returns
// false to hang up.
type step func(net.Conn) bool

func hangUp(net.Conn) bool { return false }

func say(bytes string) step {
	return func(c net.Conn) bool {
		_, err := c.Write([]byte(bytes))
		return err == nil
	}
}

func connack(c net.Conn) bool { return say("\x20\x02\x00\x00")(c) }

func suback(code byte) step {
	return func(c net.Conn) bool {
		p, err := packets.ReadPacket(c)
		subscribe, ok := p.(*packets.SubscribePacket)
		if err != nil || !ok {
			return false
		}
		return say(string([]byte{0x90, 3, byte(subscribe.MessageID >> 8), byte(subscribe.MessageID), code}))(c)
	}
}

// fakeBroker does its steps with every client and then reads nothing more, but
// keeps the connection open.
func fakeBroker(scheme string, steps ...step) func(*testing.T) string {
	return func(t *testing.T) string {
		t.Helper()
		listener, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { listener.Close() })
		go serveFake(t, listener, steps)
		return scheme + "://" + listener.Addr().String()
	}
}

func serveFake(t *testing.T, listener net.Listener, steps []step) {
	for {
		c, err := listener.Accept()
		if err != nil {
			return
		}
		c.Read(make([]byte, 1<<10)) // the CONNECT or a TLS hello
		open := true
		for _, do := range steps {
			if open = do(c); !open {
				break
			}
		}
		if !open {
			c.Close()
			continue
		}
		t.Cleanup(func() { c.Close() })
	}
}

func untrustedBroker(t *testing.T) string {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour), IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	listener, err := tls.Listen("tcp", "127.0.0.1:0", &tls.Config{Certificates: []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: key}}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { listener.Close() })
	go serveFake(t, listener, nil)
	return "mqtts://" + listener.Addr().String()
}

// startNameServer answers every question with "no such name", or not at all.
func startNameServer(t *testing.T, answers bool) *net.UDPAddr {
	t.Helper()
	socket, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { socket.Close() })
	go func() {
		question := make([]byte, 1<<10)
		for {
			n, from, err := socket.ReadFrom(question)
			if err != nil {
				return
			}
			if !answers || n < 12 {
				continue
			}
			reply := append([]byte(nil), question[:n]...)
			reply[2], reply[3] = 0x81, 0x83 // a response: NXDOMAIN
			socket.WriteTo(reply, from)
		}
	}()
	return socket.LocalAddr().(*net.UDPAddr)
}
