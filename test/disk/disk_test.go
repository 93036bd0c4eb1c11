//go:build linux

// Package disk_test runs an agent and a hub as real processes on disks that
// have no room, may not be written, are slow, or fail.
//
// A disk without room is a small file system of its own, in memory, where this
// machine lets us mount one. A container usually does not; there the system
// calls that write the database are made to fail, which shows the same to the
// programs except for the figures of the file system. Faults that a file system
// does not have by itself are always made that way: strace needs no rights
// beyond those of the one who started the process, in a plain container too.
package disk_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"counterpart/protocol"
	"counterpart/test/fleet"
	"counterpart/test/process"
	"counterpart/test/retail"
)

const (
	store = "s1"
	// patience bounds what is awaited. It is generous, because tests share the
	// machine with other tests.
	patience = 2 * time.Minute
	askEvery = 50 * time.Millisecond
	seed     = 1907
	// itemCount is how many items the shop begins with.
	itemCount = 50
)

// A shop is a hub with one agent and what the agent has confirmed.
type shop struct {
	place
	t     *testing.T
	hub   *process.Hub
	agent *process.Agent

	mu        sync.Mutex
	shopper   *retail.Shopper
	sent      int
	confirmed map[string]process.Answer // by key
	refused   map[string]process.Request
}

// host has the programs, which are built once for all tests.
var host *process.Host

func TestMain(m *testing.M) { os.Exit(withHost(m.Run)) }

func withHost(run func() int) int {
	var err error
	if host, err = process.Open(context.Background(), process.Options{}); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	status := run()
	if found := host.Complaints(); len(found) > 0 {
		err = fmt.Errorf("the programs complain: %s", strings.Join(found, "\n"))
	}
	if err = errors.Join(err, host.Close()); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return status
}

// A place names the programs of one test, and with them their folders.
type place struct{ agent, hub string }

func newPlace(t *testing.T) place {
	name := strings.TrimPrefix(t.Name(), "TestI19_")
	return place{agent: "a" + name, hub: "hub-" + name}
}

func (p place) agentData() string { return host.Data("agent-" + p.agent) }

func (p place) hubData() string { return host.Data(p.hub) }

// open starts a hub and an agent and waits until it can sell.
func open(t *testing.T) *shop {
	t.Helper()
	s := &shop{t: t, place: newPlace(t), confirmed: map[string]process.Answer{}, refused: map[string]process.Request{}}
	t.Cleanup(func() {
		if s.agent != nil {
			s.must(s.agent.Kill())
		}
		if s.hub != nil {
			s.must(s.hub.Kill())
		}
	})
	items, err := retail.Items(seed, itemCount)
	s.must(err)
	s.shopper = retail.NewShopper(seed, 1, items)
	stores := retail.Stores(seed, 1)
	stores[0].PrimaryAgent = s.place.agent
	s.hub, err = host.StartHub(t.Context(), s.place.hub, "")
	s.must(err)
	_, err = process.Load(t.Context(), s.hub, "stores", stores)
	s.must(err)
	_, err = process.Load(t.Context(), s.hub, "taxes", retail.Taxes())
	s.must(err)
	_, err = process.Load(t.Context(), s.hub, "items", items)
	s.must(err)
	s.agent, err = host.StartAgent(t.Context(), process.AgentOptions{
		Agent: s.place.agent, Store: store, Hub: s.hub.URL(""), MQTT: "mqtt://" + s.hub.Ready().MQTT, Data: s.agentData(),
	})
	s.must(err)
	s.await("the agent can sell", func(ctx context.Context) (string, error) { return "", s.agent.Selling(ctx) })
	return s
}

func (s *shop) database() string { return filepath.Join(s.agentData(), "agent.db") }

func (s *shop) hubDatabase() string { return filepath.Join(s.hubData(), "hub.db") }

func (s *shop) must(err error) {
	s.t.Helper()
	if err != nil {
		s.t.Fatal(err)
	}
}

func (s *shop) await(what string, ask func(context.Context) (string, error)) {
	s.t.Helper()
	ctx, cancel := context.WithTimeoutCause(s.t.Context(), patience, errors.New("waited "+patience.String()+" until "+what))
	defer cancel()
	if err := process.Await(ctx, askEvery, ask); err != nil {
		s.t.Fatalf("%v\n%s", err, s.agent.Tail())
	}
}

// next makes a request for another sale.
func (s *shop) next() process.Request {
	s.t.Helper()
	s.mu.Lock()
	defer s.mu.Unlock()
	s.sent++
	key := "sale-" + strconv.Itoa(s.sent)
	basket := s.shopper.Basket()
	sale := process.Sale{Till: "1", Tenders: []process.Tender{{Type: "card", Amount: retail.Total(basket), Ref: key}}}
	for _, line := range basket {
		sale.Lines = append(sale.Lines, process.Line{Code: line.Item.GTIN, Quantity: protocol.Quantity(line.Pieces) * 1000})
	}
	request, err := process.JSON(http.MethodPost, "/v1/sales", key, sale)
	if err != nil {
		s.t.Error(err)
	}
	return request
}

// try sends a sale once and notes what was confirmed, and what was refused for
// want of room.
func (s *shop) try(r process.Request) error {
	answer, err := s.agent.Send(s.t.Context(), r)
	s.mu.Lock()
	defer s.mu.Unlock()
	var refusal *process.Refusal
	switch {
	case err == nil:
		s.confirmed[r.Key] = answer
		delete(s.refused, r.Key)
	case errors.As(err, &refusal) && refusal.Status == http.StatusInsufficientStorage:
		if p := refusal.Problem(); p.Code != "disk_full" || p.Detail == "" {
			s.t.Errorf("refused with %s", refusal.Body)
		}
		s.refused[r.Key] = r
	}
	return err
}

// sell sells so many times and wants each confirmed.
func (s *shop) sell(times int) {
	s.t.Helper()
	for range times {
		s.must(s.try(s.next()))
	}
}

// sellUntilRefused sells until a sale is refused for want of room.
func (s *shop) sellUntilRefused() {
	s.t.Helper()
	const salesMax = 20_000
	for range salesMax {
		err := s.try(s.next())
		if isFull(err) {
			return
		}
		s.must(err)
	}
	s.t.Fatalf("%d sales, and none was refused", salesMax)
}

func isFull(err error) bool {
	var refusal *process.Refusal
	return errors.As(err, &refusal) && refusal.Status == http.StatusInsufficientStorage
}

// again sends the sales that were refused, which now have to be confirmed.
func (s *shop) again() {
	s.t.Helper()
	for _, r := range s.refused {
		s.must(s.try(r))
	}
}

// diskStatus is the part of GET /v1/status that is looked at here.
type diskStatus struct {
	Disk struct {
		State string `json:"state"`
		Free  int64  `json:"free_bytes"`
	} `json:"disk"`
	Link struct {
		State string `json:"state"`
	} `json:"link"`
	Feeds []struct {
		Feed   string `json:"feed"`
		Behind int64  `json:"behind"`
	} `json:"feeds"`
}

func (s *shop) status(ctx context.Context) (status diskStatus, err error) {
	return status, s.agent.Get(ctx, "/v1/status", &status)
}

// awaitDisk waits for a stage of the agent's disk.
func (s *shop) awaitDisk(stages ...string) {
	s.t.Helper()
	s.await("the disk is "+strings.Join(stages, " or "), func(ctx context.Context) (string, error) {
		status, err := s.status(ctx)
		for _, stage := range stages {
			if status.Disk.State == stage {
				return "", err
			}
		}
		return fmt.Sprintf("the disk is %s with %d bytes free", status.Disk.State, status.Disk.Free), err
	})
}

// settle waits until the hub has all, and compares it with what was confirmed:
// each sale once, as it was answered, and nothing that was not.
func (s *shop) settle() {
	s.t.Helper()
	chain := fleet.Fleet{Hub: s.hub, Machines: []*fleet.Machine{{Agent: s.agent}}}
	ctx, cancel := context.WithTimeout(s.t.Context(), patience)
	defer cancel()
	if err := errors.Join(chain.Converge(ctx), chain.CatchUp(ctx)); err != nil {
		s.t.Fatalf("%v\n%s", err, s.agent.Tail())
	}
	at := map[string][]process.SaleDocument{}
	books, err := fleet.ReadBooks(ctx, s.hub, store, func(doc *process.SaleDocument) {
		at[doc.Tenders[0].Ref] = append(at[doc.Tenders[0].Ref], *doc)
	})
	s.must(err)
	for _, fault := range books.Faults {
		s.t.Error(fault)
	}
	for key, answer := range s.confirmed {
		var first process.SaleDocument
		s.must(json.Unmarshal(answer.Body, &first))
		if len(at[key]) != 1 || at[key][0].EventID != first.EventID || at[key][0].ReceiptNo != first.ReceiptNo || at[key][0].Total != first.Total {
			s.t.Errorf("%s was confirmed as %s and is at the hub as %+v", key, first.ReceiptNo, at[key])
		}
		delete(at, key)
	}
	for key := range at {
		s.t.Errorf("%s is at the hub and was never confirmed", key)
	}
	s.t.Logf("%d sales confirmed, all at the hub once", len(s.confirmed))
}

// end stops both programs in order and has the agent's data verified.
func (s *shop) end() {
	s.t.Helper()
	s.must(errors.Join(s.agent.Stop(), s.hub.Stop(), s.agent.Verify(s.t.Context())))
}

// awaitEnd waits until a process has ended by itself.
func (s *shop) awaitEnd(p *process.Process) {
	s.t.Helper()
	s.await(p.Name()+" has ended", func(context.Context) (string, error) {
		if p.PID() == 0 {
			return "", nil
		}
		return "it runs", nil
	})
}

// A fault is a fault of system calls that lasts until end.
type fault struct {
	t      *testing.T
	strace *exec.Cmd
	said   strings.Builder
}

// inject makes system calls of a running process fail or wait, where they touch
// one of the paths. It returns when all its threads are affected.
func inject(t *testing.T, pid int, calls, effect string, paths ...string) *fault {
	t.Helper()
	args := append([]string{"-f", "-qq", "-p", strconv.Itoa(pid), "-o", os.DevNull, "-e", "trace=" + calls, "-e", "inject=" + calls + ":" + effect}, only(paths)...)
	f := &fault{t: t, strace: exec.Command("strace", args...)}
	f.strace.Stderr = &f.said
	f.strace.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := f.strace.Start(); err != nil {
		t.Fatalf("%v; `make setup` installs strace", err)
	}
	t.Cleanup(func() { _ = f.strace.Process.Kill() })
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	if err := process.Await(ctx, askEvery, func(context.Context) (string, error) { return untraced(pid) }); err != nil {
		t.Fatalf("strace does not hold the process: %v\n%s", err, f.said.String())
	}
	return f
}

// only limits a fault to the paths.
func only(paths []string) (args []string) {
	for _, path := range paths {
		args = append(args, "-P", path)
	}
	return args
}

// untraced names a thread of the process that nobody traces.
func untraced(pid int) (string, error) {
	tasks, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/status", pid))
	if err == nil && len(tasks) == 0 {
		err = errors.New("the process has ended")
	}
	for _, task := range tasks {
		text, err := os.ReadFile(task)
		if err == nil && strings.Contains(string(text), "TracerPid:\t0\n") {
			return task + " is not traced", nil
		}
	}
	return "", err
}

// end takes the fault away and lets the process go on.
func (f *fault) end() {
	f.t.Helper()
	if err := f.strace.Process.Signal(syscall.SIGTERM); err != nil && !errors.Is(err, os.ErrProcessDone) {
		f.t.Fatal(err)
	}
	_ = f.strace.Wait() // It ends by the signal.
}

// refusesToStart runs a program to its end and wants exit code 3 and one line
// that holds the words.
func refusesToStart(t *testing.T, words string, wrap []string, program string, args ...string) {
	t.Helper()
	line := append(append(append([]string{}, wrap...), program), args...)
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	cmd := exec.CommandContext(ctx, line[0], line[1:]...)
	var said strings.Builder
	cmd.Stdout, cmd.Stderr = io.Discard, &said
	err := cmd.Run()
	var exit *exec.ExitError
	if !errors.As(err, &exit) || exit.ExitCode() != 3 {
		t.Errorf("%s ended with %v, want exit status 3: %s", filepath.Base(program), err, said.String())
	}
	var lines []string
	for l := range strings.Lines(said.String()) {
		if !strings.HasPrefix(l, "time=") { // of the log
			lines = append(lines, strings.TrimSpace(l))
		}
	}
	if len(lines) != 1 || !strings.Contains(lines[0], words) {
		t.Errorf("%s says %q, want one line with %q", filepath.Base(program), lines, words)
	}
}

// agentArguments run the shop's agent by hand.
func (s *shop) agentArguments() []string {
	return []string{"run", "--insecure-dev", "--data", s.agentData(), "--hub", s.hub.URL(""), "--store", store, "--agent", s.place.agent, "--listen", "127.0.0.1:0"}
}

func (s *shop) hubArguments() []string {
	return []string{"serve", "--insecure-dev", "--data", s.hubData(), "--listen", "127.0.0.1:0", "--mqtt", "127.0.0.1:0"}
}
