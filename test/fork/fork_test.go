// Package fork_test brings back old disks of real agents and hubs, copies them,
// loses them, and demands that every sale that was confirmed is at the hub once.
package fork_test

import (
	"context"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"testing"
	"time"

	"counterpart/protocol"
	"counterpart/test/process"
)

const (
	patience = 3 * time.Minute
	askEvery = 50 * time.Millisecond
	sku      = "PEN"
)

// shop is a store with its hub, and what its tills were told.
type shop struct {
	t    *testing.T
	ctx  context.Context
	host *process.Host
	hub  *process.Hub
	// confirmed are the receipts that tills were told of, by event id.
	confirmed []process.SaleDocument
	keys      int
}

// machine builds the programs once for all tests.
var machine *process.Host

func TestMain(m *testing.M) {
	os.Exit(func() int {
		var err error
		if machine, err = process.Open(context.Background(), process.Options{}); err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 1
		}
		code := m.Run()
		if err := machine.Close(); err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 1
		}
		return code
	}())
}

func openShop(t *testing.T) *shop {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 2*patience)
	t.Cleanup(cancel)
	s := &shop{t: t, ctx: ctx, host: machine}
	var err error
	if s.hub, err = machine.StartHub(ctx, "hub-"+t.Name(), "GBP"); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.hub.Kill(); err != nil {
			t.Error(err)
		}
	})
	s.load("stores", map[string]any{"id": "s1", "name": "High Street", "timezone": "Europe/London"})
	s.load("items", map[string]any{"sku": sku, "name": "Pen", "price_minor": 100})
	return s
}

func (s *shop) load(what string, row map[string]any) {
	s.t.Helper()
	if _, err := process.Load(s.ctx, s.hub, what, []map[string]any{row}); err != nil {
		s.t.Fatal(err)
	}
}

// agent starts an agent on a folder and waits until it can sell.
func (s *shop) agent(id, data string) *process.Agent {
	s.t.Helper()
	if data == "" {
		data = filepath.Join(s.t.TempDir(), id)
	}
	a, err := s.host.StartAgent(s.ctx, process.AgentOptions{Agent: id, Store: "s1", Hub: "http://" + s.hub.Ready().HTTP, Data: data})
	if err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(func() {
		if err := a.Kill(); err != nil {
			s.t.Error(err)
		}
	})
	s.await("the agent can sell", func(ctx context.Context) (string, error) { return "", a.Selling(ctx) })
	return a
}

func (s *shop) await(what string, ask func(context.Context) (string, error)) {
	s.t.Helper()
	ctx, cancel := context.WithTimeoutCause(s.ctx, patience, fmt.Errorf("%s: not within %s", what, patience))
	defer cancel()
	if err := process.Await(ctx, askEvery, ask); err != nil {
		s.t.Fatal(err)
	}
}

// sell sells one pen n times.
func (s *shop) sell(a *process.Agent, n int) {
	s.t.Helper()
	for range n {
		s.keys++
		s.confirmed = append(s.confirmed, s.sellOnce(a, s.keys))
	}
}

// sellOnce sells one pen under a key.
func (s *shop) sellOnce(a *process.Agent, key int) (doc process.SaleDocument) {
	s.t.Helper()
	r, err := process.JSON(http.MethodPost, "/v1/sales", fmt.Sprint("key-", key), process.Sale{
		Lines: []process.Line{{Code: sku, Quantity: 1000}}, Tenders: []process.Tender{{Type: "card", Amount: 100}},
	})
	if err != nil {
		s.t.Fatal(err)
	}
	answer, err := a.Send(s.ctx, r)
	if err != nil {
		s.t.Fatal(err)
	}
	if err := answer.Into(&doc); err != nil {
		s.t.Fatal(err)
	}
	return doc
}

// again sends a sale that was confirmed once more, with its key.
func (s *shop) again(a *process.Agent, key int) {
	s.t.Helper()
	if got, want := s.sellOnce(a, key), s.confirmed[key-1]; got.EventID != want.EventID || got.ReceiptNo != want.ReceiptNo {
		s.t.Errorf("key %d is answered with %s, the first answer was %s", key, got.ReceiptNo, want.ReceiptNo)
	}
}

// synced waits until the hub has all that agents hold.
func (s *shop) synced(agents ...*process.Agent) {
	s.t.Helper()
	for _, a := range agents {
		s.await(a.Name()+" has told everything", func(ctx context.Context) (string, error) {
			st, err := a.Status(ctx)
			if err == nil && (st.Link.State != "online" || st.Stream.Pending > 0) {
				return fmt.Sprintf("the link is %s, %d wait", st.Link.State, st.Stream.Pending), nil
			}
			return "", err
		})
	}
}

// settled waits until the hub lists every confirmed sale, and checks that it
// does so once, and that the stock of the hub and of every agent follows.
func (s *shop) settled(agents ...*process.Agent) {
	s.t.Helper()
	s.synced(agents...)
	// Two sales under one id, of a machine and its copy, both count.
	type key struct{ event, at string }
	s.await("the hub lists every sale", func(ctx context.Context) (string, error) {
		events := map[string]int{}
		where := map[key]int{}
		n := 0
		err := s.hub.Sales(ctx, "s1", func(d *process.SaleDocument) error {
			n++
			events[d.EventID]++
			where[key{d.EventID, fmt.Sprint(d.Inc, d.Seq)}]++
			return nil
		})
		if err != nil {
			return "", err
		}
		for k, times := range where {
			if times > 1 {
				s.t.Fatalf("the hub lists %v %d times", k, times)
			}
		}
		want := map[string]int{}
		for _, d := range s.confirmed {
			want[d.EventID]++
		}
		for id, times := range want {
			if events[id] < times {
				return fmt.Sprintf("%d of %d sales are there, %s is missing", n, len(s.confirmed), id), nil
			}
		}
		if n > len(s.confirmed) {
			s.t.Fatalf("the hub lists %d sales, %d were confirmed", n, len(s.confirmed))
		}
		return "", nil
	})
	want := -protocol.Quantity(len(s.confirmed)) * 1000
	levels, err := s.hub.Stock(s.ctx, "s1")
	if err != nil {
		s.t.Fatal(err)
	}
	if got := levels[sku].OnHand; got != want {
		s.t.Errorf("the hub's stock is %d, want %d", got, want)
	}
	for _, a := range agents {
		s.await(a.Name()+" knows the stock", func(ctx context.Context) (string, error) {
			level, err := a.Level(ctx, sku)
			if err == nil && level.OnHand != want {
				return fmt.Sprintf("%s shows %d on hand, want %d", a.Name(), level.OnHand, want), nil
			}
			return "", err
		})
	}
	s.sound(agents)
}

// sound stops everything and has it verified.
func (s *shop) sound(agents []*process.Agent) {
	s.t.Helper()
	for _, a := range agents {
		if err := a.Stop(); err != nil {
			s.t.Fatal(err)
		}
		if err := a.Verify(s.ctx); err != nil {
			s.t.Error(err)
		}
	}
}

// exceptions counts the open exceptions by kind.
func (s *shop) exceptions() map[string]int {
	s.t.Helper()
	var page struct {
		Items []struct {
			Kind string `json:"kind"`
		} `json:"items"`
	}
	if err := s.hub.Get(s.ctx, "/v1/exceptions?state=open&limit=1000", &page); err != nil {
		s.t.Fatal(err)
	}
	kinds := map[string]int{}
	for _, x := range page.Items {
		kinds[x.Kind]++
	}
	return kinds
}

// image copies a folder of a stopped process.
func (s *shop) image(from string) string {
	s.t.Helper()
	to := filepath.Join(s.t.TempDir(), "image")
	if err := os.CopyFS(to, os.DirFS(from)); err != nil {
		s.t.Fatal(err)
	}
	return to
}

// putBack makes a folder what its image is.
func (s *shop) putBack(image, to string) {
	s.t.Helper()
	if err := os.RemoveAll(to); err != nil {
		s.t.Fatal(err)
	}
	if err := os.CopyFS(to, os.DirFS(image)); err != nil {
		s.t.Fatal(err)
	}
}

func (s *shop) hubData() string { return s.host.Data(s.hub.Name()) }

func (s *shop) do(what string, err error) {
	s.t.Helper()
	if err != nil {
		s.t.Fatalf("%s: %v", what, err)
	}
}

// receiptsTwice counts the receipt numbers that were printed twice.
func (s *shop) receiptsTwice() (twice int) {
	seen := map[string]bool{}
	for _, d := range s.confirmed {
		if seen[d.ReceiptNo] {
			twice++
		}
		seen[d.ReceiptNo] = true
	}
	return twice
}

// TestI2_I3_RestoredImage brings back the whole disk of an agent as it was
// before some of its sales, which nobody but the hub can notice.
func TestI2_I3_RestoredImage(t *testing.T) {
	s := openShop(t)
	a := s.agent("a1", "")
	s.sell(a, 12)
	s.synced(a)
	s.do("stop", a.Stop())
	image := s.image(a.Data())
	s.do("restart", a.Restart(s.ctx))
	s.sell(a, 9)
	s.synced(a)
	s.do("kill", a.Kill())
	s.putBack(image, a.Data())
	s.do("restart", a.Restart(s.ctx))
	s.sell(a, 7)
	s.await("the log goes on as a new one", func(ctx context.Context) (string, error) {
		st, err := a.Status(ctx)
		if err == nil && st.Stream.Inc == s.confirmed[0].Inc {
			return "it is still the old one", nil
		}
		return "", err
	})
	s.sell(a, 5)
	s.settled(a)
	if twice, told := s.receiptsTwice(), s.exceptions(); told["event_twice"] != twice {
		t.Errorf("%d numbers were used twice, the exceptions are %v", twice, told)
	}
}

// TestI2_I3_RestoreCommand brings back a backup in the proper way: no number is
// used twice, and nobody has to look.
func TestI2_I3_RestoreCommand(t *testing.T) {
	s := openShop(t)
	a := s.agent("a1", "")
	s.sell(a, 12)
	s.synced(a)
	s.do("stop", a.Stop())
	backup := filepath.Join(t.TempDir(), "backup")
	run := func(args ...string) {
		t.Helper()
		_, err := s.host.Run(s.ctx, s.host.Agent(), args...)
		s.do(args[0], err)
	}
	run("backup", "--data", a.Data(), backup)
	s.do("restart", a.Restart(s.ctx))
	s.sell(a, 9)
	s.synced(a)
	s.do("stop the hub", s.hub.Stop())
	s.do("stop", a.Stop())
	run("restore", "--data", a.Data(), backup)
	s.do("restart", a.Restart(s.ctx))
	s.sell(a, 7) // while the hub is away
	s.do("restart the hub", s.hub.Restart(s.ctx))
	s.sell(a, 5)
	want := -protocol.Quantity(len(s.confirmed)) * 1000
	s.await("what was sold after the backup comes back", func(ctx context.Context) (string, error) {
		level, err := a.Level(ctx, sku)
		if err == nil && level.OnHand != want {
			return fmt.Sprintf("it shows %d", level.OnHand), nil
		}
		return "", err
	})
	s.again(a, 3)  // was in the backup
	s.again(a, 15) // came back from the hub
	s.again(a, 24) // sold since
	s.settled(a)
	if told := s.exceptions(); len(told) > 0 || s.receiptsTwice() > 0 {
		t.Errorf("%d receipt numbers were printed twice; the exceptions are %v", s.receiptsTwice(), told)
	}
}

// TestI2_I3_SameImageTwice starts two machines from one disk image. Both sell;
// everything counts, and a person is told.
func TestI2_I3_SameImageTwice(t *testing.T) {
	s := openShop(t)
	a := s.agent("a1", "")
	s.sell(a, 6)
	s.synced(a)
	s.do("stop", a.Stop())
	image := s.image(a.Data())
	s.do("restart", a.Restart(s.ctx))
	b := s.agent("a1", image)
	for range 5 {
		s.sell(a, 2)
		s.sell(b, 3)
	}
	s.synced(a, b)
	s.sell(a, 4)
	s.sell(b, 4)
	s.settled(a, b)
	if told := s.exceptions(); told["identity_twice"] != 1 {
		t.Errorf("nobody is told of the copy; the exceptions are %v", told)
	}
}

// TestI2_I3_HubRestored puts an older copy in the place of the hub's database,
// while agents hold newer events. Nobody says so to the hub.
func TestI2_I3_HubRestored(t *testing.T) {
	s := openShop(t)
	a, b := s.agent("a1", ""), s.agent("a2", "")
	s.sell(a, 5)
	s.sell(b, 4)
	s.synced(a, b)
	s.do("stop the hub", s.hub.Stop())
	image := s.image(s.hubData())
	s.do("restart the hub", s.hub.Restart(s.ctx))
	s.sell(a, 8)
	s.sell(b, 7)
	s.synced(a, b)
	s.do("kill the hub", s.hub.Kill())
	s.sell(a, 3)
	s.putBack(image, s.hubData())
	s.do("restart the hub", s.hub.Restart(s.ctx))
	s.sell(b, 2)
	s.settled(a, b)
	if told := s.exceptions(); len(told) > 0 {
		t.Errorf("the exceptions are %v", told)
	}
}

// TestI2_DeadAgent loses an agent and the hub's newer data at once. What the
// agent sold last is on its sibling's disk only. A new machine takes its name.
func TestI2_DeadAgent(t *testing.T) {
	s := openShop(t)
	a, b := s.agent("a1", ""), s.agent("a2", "")
	s.sell(a, 5)
	s.synced(a, b)
	s.do("stop the hub", s.hub.Stop())
	image := s.image(s.hubData())
	s.do("restart the hub", s.hub.Restart(s.ctx))
	s.sell(a, 8)
	s.synced(a)
	want := -protocol.Quantity(len(s.confirmed)) * 1000
	s.await("the sibling knows of the sales", func(ctx context.Context) (string, error) {
		level, err := b.Level(ctx, sku)
		if err == nil && level.OnHand != want {
			return fmt.Sprintf("it shows %d", level.OnHand), nil
		}
		return "", err
	})
	s.do("kill the hub", s.hub.Kill())
	s.do("kill", a.Kill())
	s.do("lose the disk", os.RemoveAll(a.Data()))
	s.putBack(image, s.hubData())
	s.do("restart the hub", s.hub.Restart(s.ctx))
	s.sell(b, 1)
	_, err := s.host.Run(s.ctx, s.host.Agent(), "replace", "--data", a.Data())
	s.do("replace", err)
	s.do("start in its place", a.Restart(s.ctx))
	s.await("the new machine can sell", func(ctx context.Context) (string, error) { return "", a.Selling(ctx) })
	s.sell(a, 3)
	s.settled(a, b)
	if told := s.exceptions(); len(told) > 0 || s.receiptsTwice() > 0 {
		t.Errorf("%d receipt numbers were printed twice; the exceptions are %v", s.receiptsTwice(), told)
	}
}
