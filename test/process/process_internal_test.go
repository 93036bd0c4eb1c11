package process

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// childVariable makes this test program play a program under test.
const childVariable = "COUNTERPART_TEST_CHILD"

// patience bounds every wait that is expected to end.
const patience = 30 * time.Second

func TestMain(m *testing.M) {
	if how := os.Getenv(childVariable); how != "" {
		os.Exit(child(how))
	}
	os.Exit(m.Run())
}

// child serves until SIGTERM, or behaves badly in the way that how names.
func child(how string) int {
	flags := flag.NewFlagSet("child", flag.ContinueOnError)
	listen := flags.String("listen", "", "")
	mqtt := flags.String("mqtt", "", "")
	if err := flags.Parse(os.Args[1:]); err != nil {
		return 2
	}
	fmt.Fprintln(os.Stderr, "child says hello")
	if how == "refuse" {
		fmt.Fprintln(os.Stderr, "panic: no")
		return 3
	}
	stop := make(chan os.Signal, 1)
	signal.Notify(stop, syscall.SIGTERM)
	mux := http.NewServeMux()
	mux.HandleFunc("GET /crash", func(http.ResponseWriter, *http.Request) { os.Exit(7) })
	mux.HandleFunc("POST /echo", func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			return
		}
		fmt.Fprintf(w, "%s %s", r.Header.Get("Idempotency-Key"), body)
	})
	listeners := [2]net.Listener{}
	for i, addr := range []string{*listen, *mqtt} {
		listener, err := net.Listen("tcp", addr)
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 1
		}
		listeners[i] = listener
	}
	go http.Serve(listeners[0], mux)
	fmt.Println("some other line")
	fmt.Printf("ready http=%s mqtt=%s\n", listeners[0].Addr(), listeners[1].Addr())
	<-stop
	if how == "sulk" {
		return 1
	}
	return 0
}

// host is a Host that runs this test program.
func host(t *testing.T, how string, crashed func(error)) *Host {
	t.Helper()
	t.Setenv(childVariable, how)
	h := &Host{options: Options{Crashed: crashed, Keep: true}, dir: t.TempDir(), starter: make(chan func())}
	if err := os.Mkdir(filepath.Join(h.dir, "logs"), 0o755); err != nil {
		t.Fatal(err)
	}
	go h.start()
	t.Cleanup(func() {
		if err := h.Close(); err != nil {
			t.Error(err)
		}
	})
	return h
}

func start(t *testing.T, h *Host) (*Process, *Client) {
	t.Helper()
	p, err := h.Start(t.Context(), spec())
	if err != nil {
		t.Fatal(err)
	}
	return p, NewClient(p)
}

func spec() Spec {
	return Spec{Name: "child", Program: os.Args[0], Listen: []string{"--listen", "--mqtt"}}
}

func noCrash(t *testing.T) func(error) {
	return func(err error) { t.Errorf("crashed: %v", err) }
}

func TestRestartKeepsTheAddresses(t *testing.T) {
	p, client := start(t, host(t, "serve", noCrash(t)))
	first := p.Ready()
	if first.HTTP == "" || first.MQTT == "" || first.HTTP == first.MQTT {
		t.Fatalf("ready at %+v", first)
	}
	for i, end := range []func() error{p.Kill, p.Stop, p.Kill} {
		if _, err := client.Send(t.Context(), Request{Method: http.MethodPost, Path: "/echo"}); err != nil {
			t.Fatal(err)
		}
		if err := end(); err != nil {
			t.Fatal(err)
		}
		if p.PID() != 0 {
			t.Error("it runs after it was ended")
		}
		if err := end(); err != nil {
			t.Errorf("ending what has ended: %v", err)
		}
		if _, err := client.Send(t.Context(), Request{Method: http.MethodPost, Path: "/echo"}); err == nil {
			t.Fatal("somebody answered for a process that has ended")
		}
		if err := p.Restart(t.Context()); err != nil {
			t.Fatal(err)
		}
		if p.Ready() != first {
			t.Errorf("ready at %+v after restart %d, before at %+v", p.Ready(), i+1, first)
		}
	}
	if err := p.Restart(t.Context()); err == nil {
		t.Error("started while it ran")
	}
}

// TestPersistOutlivesARestart posts while nobody listens, and is answered once
// the process is back.
func TestPersistOutlivesARestart(t *testing.T) {
	p, client := start(t, host(t, "serve", noCrash(t)))
	if err := p.Kill(); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	answered := make(chan error, 1)
	go func() {
		r, err := JSON(http.MethodPost, "/echo", "k-1", map[string]int{"a": 1})
		if err != nil {
			answered <- err
			return
		}
		answer, err := client.Persist(ctx, r)
		if err == nil && string(answer.Body) != `k-1 {"a":1}` {
			err = fmt.Errorf("answered %s", answer.Body)
		}
		answered <- err
	}()
	if err := p.Restart(ctx); err != nil {
		t.Fatal(err)
	}
	if err := <-answered; err != nil {
		t.Error(err)
	}
}

func TestCrashIsReported(t *testing.T) {
	crashes := make(chan error, 1)
	p, client := start(t, host(t, "serve", func(err error) { crashes <- err }))
	if _, err := client.Send(t.Context(), Request{Method: http.MethodGet, Path: "/crash"}); err == nil {
		t.Fatal("a crashing process answered")
	}
	select {
	case err := <-crashes:
		if text := err.Error(); !strings.Contains(text, "exit status 7") || !strings.Contains(text, "child says hello") {
			t.Errorf("the crash reads %q", text)
		}
	case <-time.After(patience):
		t.Fatal("nobody noticed the crash")
	}
	if err := p.Restart(t.Context()); err != nil {
		t.Error(err)
	}
}

func TestRefusalToStartShowsTheLog(t *testing.T) {
	h := host(t, "refuse", func(error) {})
	_, err := h.Start(t.Context(), spec())
	if err == nil || !strings.Contains(err.Error(), "exit status 3") || !strings.Contains(err.Error(), "panic: no") {
		t.Errorf("the error reads %v", err)
	}
	if complaints := h.Complaints(); len(complaints) != 1 || complaints[0] != "child: panic: no" {
		t.Errorf("complaints %q", complaints)
	}
}

func TestStopWantsExitStatusZero(t *testing.T) {
	p, _ := start(t, host(t, "sulk", noCrash(t)))
	if err := p.Stop(); err == nil || !strings.Contains(err.Error(), "exit status 1") {
		t.Errorf("stopping gave %v", err)
	}
}

func TestParseReady(t *testing.T) {
	for line, want := range map[string]Ready{
		"ready http=127.0.0.1:80":                           {HTTP: "127.0.0.1:80"},
		"ready http=127.0.0.1:80 mqtt=127.0.0.1:1883":       {HTTP: "127.0.0.1:80", MQTT: "127.0.0.1:1883"},
		"ready http=[::1]:80 later=yes mqtt=[::1]:1883 a b": {HTTP: "[::1]:80", MQTT: "[::1]:1883"},
	} {
		if got, ok := parseReady(line); !ok || got != want {
			t.Errorf("%q gives %+v", line, got)
		}
	}
	for _, line := range []string{"", "ready", "ready mqtt=127.0.0.1:1883", "not ready http=127.0.0.1:80"} {
		if got, ok := parseReady(line); ok {
			t.Errorf("%q gives %+v", line, got)
		}
	}
}

func TestRefusalsThatPass(t *testing.T) {
	for _, c := range []struct {
		status int
		body   string
		want   bool
	}{
		{503, `{"code":"not_provisioned"}`, true},
		{500, `not JSON`, true},
		{429, `{"code":"slow_down"}`, true},
		{409, `{"code":"in_progress"}`, true},
		{409, `{"code":"over_return"}`, false},
		{422, `{"code":"idempotency_mismatch"}`, false},
	} {
		r := &Refusal{Answer: Answer{Status: c.status, Body: []byte(c.body)}}
		if r.passing() != c.want {
			t.Errorf("%v: passing is %v", r, !c.want)
		}
	}
}

func TestAwaitNamesTheHoldup(t *testing.T) {
	asked := 0
	err := Await(t.Context(), time.Millisecond, func(context.Context) (string, error) {
		if asked++; asked < 3 {
			return "not yet", nil
		}
		return "", nil
	})
	if err != nil || asked != 3 {
		t.Errorf("asked %d times: %v", asked, err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Millisecond)
	defer cancel()
	err = Await(ctx, time.Millisecond, func(context.Context) (string, error) { return "", errors.New("broken") })
	if !errors.Is(err, context.DeadlineExceeded) || !strings.Contains(err.Error(), "broken") {
		t.Errorf("the error reads %v", err)
	}
}

func TestRootIsTheProject(t *testing.T) {
	root, err := Root()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(filepath.Join(root, "test", "process", "host.go")); err != nil {
		t.Error(err)
	}
}
