package proxy_test

import (
	"bufio"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"
	"time"

	"counterpart/test/proxy"
)

// patience bounds every wait that is expected to end.
const patience = 20 * time.Second

// echo starts a server that answers each line with itself.
func echo(t *testing.T) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { listener.Close() })
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			go func() {
				defer conn.Close()
				io.Copy(conn, conn)
			}()
		}
	}()
	return listener.Addr().String()
}

func line(t *testing.T, target string) *proxy.Proxy {
	t.Helper()
	p, err := proxy.Listen(target)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := p.Close(); err != nil {
			t.Error(err)
		}
	})
	return p
}

func set(t *testing.T, p *proxy.Proxy, mode proxy.Mode) {
	t.Helper()
	if err := p.Set(mode); err != nil {
		t.Fatal(err)
	}
}

// A caller is one connection that sends lines and reads them back.
type caller struct {
	conn net.Conn
	read *bufio.Reader
}

func dial(t *testing.T, p *proxy.Proxy) *caller {
	t.Helper()
	conn, err := net.Dial("tcp", p.Addr())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	return &caller{conn: conn, read: bufio.NewReader(conn)}
}

// say sends a line and waits for its echo.
func (c *caller) say(text string, wait time.Duration) error {
	if err := c.conn.SetDeadline(time.Now().Add(wait)); err != nil {
		return err
	}
	if _, err := io.WriteString(c.conn, text+"\n"); err != nil {
		return err
	}
	return c.hear(text, wait)
}

func (c *caller) hear(text string, wait time.Duration) error {
	if err := c.conn.SetDeadline(time.Now().Add(wait)); err != nil {
		return err
	}
	got, err := c.read.ReadString('\n')
	if err == nil && got != text+"\n" {
		return errors.New("heard " + got)
	}
	return err
}

func TestPassCountsBothDirections(t *testing.T) {
	p := line(t, echo(t))
	c := dial(t, p)
	if err := c.say("hello", patience); err != nil {
		t.Fatal(err)
	}
	if up, down := p.Bytes(); up != 6 || down != 6 {
		t.Errorf("counted %d up and %d down, want 6 and 6", up, down)
	}
}

func TestCutResetsAndRefusesUntilItPasses(t *testing.T) {
	p := line(t, echo(t))
	addr := p.Addr()
	for range 3 {
		c := dial(t, p)
		if err := c.say("before", patience); err != nil {
			t.Fatal(err)
		}
		set(t, p, proxy.Cut)
		if err := c.say("during", patience); err == nil || errors.Is(err, os.ErrDeadlineExceeded) {
			t.Fatalf("a cut line gave %v, want a reset", err)
		}
		if conn, err := net.Dial("tcp", addr); err == nil {
			conn.Close()
			t.Fatal("a cut line accepted a connection")
		}
		set(t, p, proxy.Pass)
		if p.Addr() != addr {
			t.Fatalf("the line moved from %s to %s", addr, p.Addr())
		}
		if err := dial(t, p).say("after", patience); err != nil {
			t.Fatal(err)
		}
	}
}

func TestHangAcceptsAndAnswersNothing(t *testing.T) {
	p := line(t, echo(t))
	old := dial(t, p)
	if err := old.say("before", patience); err != nil {
		t.Fatal(err)
	}
	set(t, p, proxy.Hang)
	fresh := dial(t, p)
	for name, c := range map[string]*caller{"old": old, "fresh": fresh} {
		if err := c.say("during", 50*time.Millisecond); !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Fatalf("the %s connection of a hanging line gave %v, want silence", name, err)
		}
	}
	set(t, p, proxy.Pass)
	for name, c := range map[string]*caller{"old": old, "fresh": fresh} {
		if err := c.hear("during", patience); err != nil {
			t.Errorf("the %s connection after the line passes again: %v", name, err)
		}
	}
}

func TestLossyLosesEverySecondChunk(t *testing.T) {
	p := line(t, echo(t))
	set(t, p, proxy.Lossy)
	lost := 0
	for range 6 {
		// A question and its answer are two chunks, so one of them is lost.
		if err := dial(t, p).say("hello", patience); err != nil {
			lost++
		}
	}
	if lost != 6 {
		t.Errorf("%d of 6 exchanges were lost, want all", lost)
	}
	if up, down := p.Bytes(); up != 36 || down != 0 {
		t.Errorf("counted %d up and %d down, want 36 and 0", up, down)
	}
}

func TestLatencyDelaysEachDirection(t *testing.T) {
	p := line(t, echo(t))
	p.SetLatency(30 * time.Millisecond)
	start := time.Now()
	if err := dial(t, p).say("hello", patience); err != nil {
		t.Fatal(err)
	}
	if took := time.Since(start); took < 60*time.Millisecond {
		t.Errorf("an exchange took %v, want at least 60 ms", took)
	}
}

// TestCarriesHTTP passes more than one chunk, with the end of data as the only
// mark of length.
func TestCarriesHTTP(t *testing.T) {
	body := strings.Repeat("counterpart ", 100_000)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Connection", "close")
		io.Copy(w, r.Body)
	}))
	t.Cleanup(server.Close)
	p := line(t, strings.TrimPrefix(server.URL, "http://"))
	client := &http.Client{Transport: &http.Transport{}, Timeout: patience}
	answer, err := client.Post("http://"+p.Addr(), "text/plain", strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	got, err := io.ReadAll(answer.Body)
	if err != nil || string(got) != body {
		t.Errorf("%d of %d bytes came back: %v", len(got), len(body), err)
	}
}

// TestDeadTargetResets is a line whose far end is not there.
func TestDeadTargetResets(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	target := listener.Addr().String()
	listener.Close()
	conn, err := net.Dial("tcp", line(t, target).Addr())
	if err != nil {
		return // The reset was faster than the handshake was noticed.
	}
	defer conn.Close()
	c := &caller{conn: conn, read: bufio.NewReader(conn)}
	if err := c.say("hello", patience); err == nil || errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("a line to nowhere gave %v, want a reset", err)
	}
}
