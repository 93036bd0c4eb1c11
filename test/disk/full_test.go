//go:build linux

package disk_test

import (
	"context"
	"errors"
	"net/http"
	"os"
	"path/filepath"
	"testing"

	"counterpart/test/process"
	"counterpart/test/retail"
)

// noRoom are the system calls that need room, as strace injects it.
const (
	noRoomCalls  = "pwrite64,write,ftruncate,fallocate"
	noRoomEffect = "error=ENOSPC"
)

// withoutRoom is a command that runs another one for which there is no room in
// the files. The other one keeps the process's number, and strace ends with it.
func withoutRoom(paths ...string) []string {
	return append([]string{"strace", "-D", "-f", "-qq", "-o", os.DevNull, "-e", "trace=" + noRoomCalls, "-e", "inject=" + noRoomCalls + ":" + noRoomEffect}, only(paths)...)
}

// growing are the agent's files that need room.
func (s *shop) growing() []string {
	return []string{s.database(), filepath.Join(s.agentData(), "reserve"), filepath.Join(s.agentData(), "reserve.try")}
}

// TestI19_FullDiskOfAnAgent takes an agent's disk from stage to stage until it
// is full, starts the agent anew there, and gives the room back. Nothing that
// was confirmed is lost, what is refused is refused as disk_full, reading and
// sending go on, and selling too as soon as there is room.
func TestI19_FullDiskOfAnAgent(t *testing.T) {
	v := mount(t, newPlace(t).agentData(), "24m")
	s := open(t)
	s.sell(20)
	if v == nil {
		s.fullByFault()
	} else {
		s.fullByFigures(v)
	}
	s.again()
	s.sell(5)
	s.settle()
	s.end()
}

// fullByFigures fills a file system.
func (s *shop) fullByFigures(v *volume) {
	s.t.Helper()
	s.awaitDisk("ok")
	reserve := filepath.Join(v.dir, "reserve")
	s.awaitReserve(reserve, true)
	v.fill(83)
	s.awaitDisk("trim")
	s.sell(3)
	v.fill(92)
	s.awaitDisk("low")
	s.sell(3)
	s.hold("an item that comes at stage low")
	v.fill(97)
	s.awaitDisk("reserve")
	s.awaitReserve(reserve, false)
	s.sell(3)
	s.must(s.hub.Stop())
	v.fill(100)
	s.sellUntilRefused()
	s.whileFull()
	s.must(s.agent.Crash(s.t.Context()))
	v.fill(100)
	s.sellUntilRefused()
	s.whileFull()
	life := s.agent.PID()
	s.must(s.hub.Restart(s.t.Context()))
	s.allSent()
	var first process.SaleDocument
	s.must(s.confirmed["sale-1"].Into(&first))
	s.await("what is safe at the hub is given up", func(ctx context.Context) (string, error) {
		var refusal *process.Refusal
		err := s.agent.Get(ctx, "/v1/sales/"+first.ReceiptNo, new(process.SaleDocument))
		if errors.As(err, &refusal) && refusal.Status == http.StatusNotFound {
			return "", nil
		}
		return "receipt " + first.ReceiptNo + " is still here", err
	})
	s.await("that makes room for a sale", func(context.Context) (string, error) {
		return "", s.try(s.next())
	})
	if free := 100 - v.used(); free > 2 {
		s.t.Errorf("the disk is not full any more: %.1f %% are free", free)
	}
	v.empty()
	s.awaitDisk("ok")
	s.awaitReserve(reserve, true)
	if s.agent.PID() != life {
		s.t.Error("the agent was started anew")
	}
}

// hold loads an item at the hub and wants to see it wait there.
func (s *shop) hold(name string) {
	s.t.Helper()
	items, err := retail.Items(seed, itemCount+1)
	s.must(err)
	late := items[itemCount:]
	late[0].Name = name
	_, err = process.Load(s.t.Context(), s.hub, "items", late)
	s.must(err)
	s.await("the catalogue waits", func(ctx context.Context) (string, error) {
		status, err := s.status(ctx)
		for _, feed := range status.Feeds {
			if feed.Feed == "catalog" && feed.Behind > 0 {
				return "", err
			}
		}
		return "the agent has all of the catalogue, or does not know of more", err
	})
}

// awaitReserve waits until the reserve is whole, or given up but for what
// trimming needs.
func (s *shop) awaitReserve(path string, whole bool) {
	s.t.Helper()
	const wholeBytes = 256 << 10 // on a disk as small as the test's
	s.await("the reserve is as the stage wants it", func(context.Context) (string, error) {
		info, err := os.Stat(path)
		switch {
		case err != nil && whole:
			return "it is not there", nil
		case err != nil:
			return "", nil
		case whole == (info.Size() >= wholeBytes):
			return "", nil
		}
		return info.Name() + " has another size", nil
	})
}

// whileFull demands what has to work without any room.
func (s *shop) whileFull() {
	s.t.Helper()
	s.awaitDisk("full")
	if err := s.agent.Selling(s.t.Context()); !isFull(err) {
		s.t.Errorf("the agent says of itself: %v", err)
	}
	var some process.SaleDocument
	for _, answer := range s.confirmed {
		s.must(answer.Into(&some))
		break
	}
	if _, err := s.agent.Level(s.t.Context(), some.Lines[0].SKU); err != nil {
		s.t.Errorf("stock cannot be read: %v", err)
	}
	if err := s.agent.Get(s.t.Context(), "/v1/sales/"+some.ReceiptNo, new(process.SaleDocument)); err != nil {
		s.t.Errorf("a sale cannot be read: %v", err)
	}
}

// allSent waits until the hub has everything, which needs no room here.
func (s *shop) allSent() {
	s.t.Helper()
	s.await("everything is at the hub", func(ctx context.Context) (string, error) {
		status, err := s.agent.Status(ctx)
		if err == nil && (status.Link.State != "online" || status.Stream.Pending > 0) {
			return "the agent is " + status.Link.State, nil
		}
		return "", err
	})
}

// fullByFault makes the calls fail that need room.
func (s *shop) fullByFault() {
	s.t.Helper()
	life := s.agent.PID()
	f := inject(s.t, life, noRoomCalls, noRoomEffect, s.growing()...)
	s.sellUntilRefused()
	s.whileFull()
	s.allSent()
	f.end()
	// A disk that cannot be the test's own may be as used as it likes.
	s.awaitDisk("ok", "trim", "low")
	if s.agent.PID() != life {
		s.t.Error("the agent was started anew")
	}
}

// TestI19_RoomThatComesBack takes the room away below an agent whose file
// system shows plenty, as a quota does.
func TestI19_RoomThatComesBack(t *testing.T) {
	mount(t, newPlace(t).agentData(), "48m")
	s := open(t)
	s.sell(5)
	for range 2 {
		s.fullByFault()
		s.again()
		s.sell(5)
	}
	s.settle()
	s.end()
}

// TestI19_FullDiskOfTheHub fills the hub's disk. It says so to whoever loads
// something, acknowledges nothing that it could not commit, and takes in what
// waits at the store when there is room again.
func TestI19_FullDiskOfTheHub(t *testing.T) {
	v := mount(t, newPlace(t).hubData(), "48m")
	s := open(t)
	s.sell(5)
	s.settle()
	life := s.hub.PID()
	var f *fault
	if v == nil {
		f = inject(t, life, noRoomCalls, noRoomEffect, s.hubDatabase())
	} else {
		v.fill(100)
	}
	pending := s.sellUntilPending()
	if err := s.load(); !isFull(err) {
		t.Errorf("a load at the hub: %v", err)
	}
	hub, err := s.hub.Status(t.Context())
	s.must(err)
	status, err := s.agent.Status(t.Context())
	s.must(err)
	if status.Stream.Pending < pending || status.Stream.LastSeq-status.Stream.Pending > hub.Events {
		t.Errorf("the agent has %d events and thinks %d of them are not at the hub, which has %d", status.Stream.LastSeq, status.Stream.Pending, hub.Events)
	}
	if v == nil {
		f.end()
	} else {
		v.empty()
	}
	s.settle()
	if s.hub.PID() != life {
		t.Error("the hub was started anew")
	}
	s.must(s.hub.Stop())
	refusesToStart(t, "no room", withoutRoom(s.hubDatabase()), host.Hub(), s.hubArguments()...)
	s.must(s.hub.Restart(t.Context()))
	s.sell(5)
	s.settle()
	s.end()
}

// sellUntilPending sells until the hub takes in nothing more for want of room.
func (s *shop) sellUntilPending() (pending int64) {
	s.t.Helper()
	s.await("the hub takes in nothing more", func(ctx context.Context) (string, error) {
		s.sell(20)
		if err := s.load(); err != nil && !isFull(err) {
			return "", err
		}
		status, err := s.agent.Status(ctx)
		pending = status.Stream.Pending
		if pending < 40 {
			return "it goes on", err
		}
		return "", err
	})
	return pending
}

// load loads items, each time other ones.
func (s *shop) load() error {
	const rows = 300
	s.sent++
	items, err := retail.Items(seed+uint64(s.sent), rows)
	if err != nil {
		return err
	}
	var body []byte
	for i := range items {
		r, err := process.JSON(http.MethodPut, "", "", items[i])
		if err != nil {
			return err
		}
		body = append(append(body, r.Body...), '\n')
	}
	_, err = s.hub.Send(s.t.Context(), process.Request{Method: http.MethodPut, Path: "/v1/items", Type: "application/x-ndjson", Body: body, Patience: patience})
	return err
}

// TestI19_FullDiskAtTheFirstStart starts both programs where there is no room
// for a database. They say so and start when there is.
func TestI19_FullDiskAtTheFirstStart(t *testing.T) {
	folder := host.Data("new")
	v := mount(t, folder, "1m")
	data := []string{"--insecure-dev", "--data", folder, "--listen", "127.0.0.1:0"}
	agentLine := append([]string{"run", "--hub", "http://127.0.0.1:1", "--store", store, "--agent", "a1"}, data...)
	hubLine := append([]string{"serve", "--mqtt", "127.0.0.1:0"}, data...)
	var wrap []string
	if v == nil {
		wrap = []string{"strace", "-D", "-f", "-qq", "-o", os.DevNull, "-e", "trace=pwrite64", "-e", "inject=pwrite64:error=ENOSPC"}
	} else {
		v.fill(100)
	}
	refusesToStart(t, "no room", wrap, host.Agent(), agentLine...)
	refusesToStart(t, "no room", wrap, host.Hub(), hubLine...)
	entries, err := os.ReadDir(folder)
	for _, e := range entries {
		if e.Name() != "ballast" {
			err = errors.Join(err, errors.New(e.Name()+" was left behind"))
		}
	}
	if err != nil {
		t.Error(err)
	}
}

// TestI19_StartOnAFullDisk starts an agent where not even the start can be
// counted. It reads, shows what is wrong, sends, and refuses sales.
func TestI19_StartOnAFullDisk(t *testing.T) {
	s := open(t)
	s.sell(10)
	s.must(s.hub.Stop())
	s.sell(10)
	s.must(s.agent.Kill())
	s.must(s.hub.Restart(t.Context()))
	healthy := s.agent
	var err error
	s.agent, err = host.StartAgent(t.Context(), process.AgentOptions{
		Agent: s.place.agent, Store: store, Hub: s.hub.URL(""), Data: s.agentData(),
		Wrap: withoutRoom(s.growing()...),
	})
	s.must(err)
	s.whileFull()
	if err := s.try(s.next()); !isFull(err) {
		t.Errorf("a sale: %v", err)
	}
	s.allSent()
	s.must(s.agent.Kill())
	s.agent = healthy
	s.must(s.agent.Restart(t.Context()))
	s.again()
	s.sell(5)
	s.settle()
	s.end()
}
