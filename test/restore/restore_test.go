// Package restore_test loses the disks of real hubs, brings them back from
// backups and second copies while agents go on selling, and demands that every
// sale that was confirmed is at the hub once.
package restore_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"counterpart/protocol"
	"counterpart/test/process"
)

const (
	patience = 3 * time.Minute
	askEvery = 50 * time.Millisecond
	store    = "s1"
	sku      = "PEN"
	piece    = protocol.Quantity(1000)
	price    = 100
	// exitRefused is the exit code of a program that leaves its data alone.
	exitRefused = 3
)

// host builds the programs once for all tests.
var host *process.Host

func TestMain(m *testing.M) {
	os.Exit(func() int {
		var err error
		if host, err = process.Open(context.Background(), process.Options{}); err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 1
		}
		code := m.Run()
		for _, complaint := range host.Complaints() {
			fmt.Fprintln(os.Stderr, complaint)
			code = 1
		}
		if err := host.Close(); err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 1
		}
		return code
	}())
}

// chain is a hub, a store's agents, and what their tills were told.
type chain struct {
	t      *testing.T
	ctx    context.Context
	hub    *process.Hub
	data   string // the hub's folder
	files  string // of copies and backups
	agents []*process.Agent
	sold   map[string]bool // event ids of confirmed sales
}

// openChain starts a hub with further flags and agents that can sell.
func openChain(t *testing.T, agents []string, flags ...string) *chain {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 2*patience)
	t.Cleanup(cancel)
	c := &chain{t: t, ctx: ctx, data: host.Data(t.Name()), files: t.TempDir(), sold: map[string]bool{}}
	for i, flag := range flags {
		flags[i] = strings.ReplaceAll(flag, "FILES", c.files)
	}
	var err error
	if c.hub, err = host.StartHub(ctx, t.Name(), "GBP", flags...); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.must(c.hub.Kill()) })
	c.load("stores", map[string]any{"id": store, "name": "High Street", "timezone": "Europe/London"})
	c.load("items", map[string]any{"sku": sku, "name": "Pen", "price_minor": price})
	for _, id := range agents {
		a, err := host.StartAgent(ctx, process.AgentOptions{Agent: id, Store: store, Hub: "http://" + c.hub.Ready().HTTP, Data: filepath.Join(c.files, id)})
		c.must(err)
		t.Cleanup(func() { c.must(a.Kill()) })
		c.agents = append(c.agents, a)
		c.await(id+" can sell", func(ctx context.Context) (string, error) { return "", a.Selling(ctx) })
	}
	return c
}

func (c *chain) must(err error) {
	c.t.Helper()
	if err != nil {
		c.t.Fatal(err)
	}
}

func (c *chain) load(what string, row map[string]any) {
	c.t.Helper()
	_, err := process.Load(c.ctx, c.hub, what, []map[string]any{row})
	c.must(err)
}

func (c *chain) await(what string, ask func(context.Context) (string, error)) {
	c.t.Helper()
	ctx, cancel := context.WithTimeoutCause(c.ctx, patience, fmt.Errorf("%s: not within %s", what, patience))
	defer cancel()
	c.must(process.Await(ctx, askEvery, ask))
}

// sell has each agent sell one pen n times.
func (c *chain) sell(n int) {
	c.t.Helper()
	for _, a := range c.agents {
		for range n {
			request, err := process.JSON(http.MethodPost, "/v1/sales", "", process.Sale{
				Lines: []process.Line{{Code: sku, Quantity: piece}}, Tenders: []process.Tender{{Type: "card", Amount: price}},
			})
			c.must(err)
			answer, err := a.Send(c.ctx, request)
			c.must(err)
			var doc process.SaleDocument
			c.must(answer.Into(&doc))
			c.sold[doc.EventID] = true
		}
	}
}

// told waits until the hub has everything that the agents hold.
func (c *chain) told() {
	c.t.Helper()
	for _, a := range c.agents {
		c.await(a.Name()+" has told everything", func(ctx context.Context) (string, error) {
			st, err := a.Status(ctx)
			if err == nil && (st.Link.State != "online" || st.Stream.Pending > 0) {
				return fmt.Sprintf("the link is %s, %d wait", st.Link.State, st.Stream.Pending), nil
			}
			return "", err
		})
	}
}

// safe waits until every agent was told that all it sold is safe.
func (c *chain) safe() {
	c.t.Helper()
	for _, a := range c.agents {
		c.await(a.Name()+" knows all to be safe", func(ctx context.Context) (string, error) {
			var st struct {
				Stream struct {
					Last int64 `json:"last_seq"`
					Safe int64 `json:"safe_seq"`
				} `json:"stream"`
			}
			err := a.Get(ctx, "/v1/status", &st)
			if err == nil && st.Stream.Safe != st.Stream.Last {
				return fmt.Sprintf("%d of %d are safe", st.Stream.Safe, st.Stream.Last), nil
			}
			return "", err
		})
	}
}

// status is what GET /v1/status of the hub says about safety.
func (c *chain) status() (epoch, mode string) {
	c.t.Helper()
	var st struct {
		Epoch string `json:"epoch"`
		Mode  string `json:"safe_mode"`
	}
	c.must(c.hub.Get(c.ctx, "/v1/status", &st))
	return st.Epoch, st.Mode
}

// settled demands that the hub lists every confirmed sale once and no other,
// and that hub and agents agree on the stock that follows.
func (c *chain) settled() {
	c.t.Helper()
	c.told()
	listed := map[string]bool{}
	c.must(c.hub.Sales(c.ctx, store, func(d *process.SaleDocument) error {
		if listed[d.EventID] {
			c.t.Errorf("the hub lists %s twice", d.EventID)
		}
		listed[d.EventID] = true
		if !c.sold[d.EventID] {
			c.t.Errorf("the hub lists %s, which nobody sold", d.EventID)
		}
		return nil
	}))
	for id := range c.sold {
		if !listed[id] {
			c.t.Errorf("the hub lacks %s", id)
		}
	}
	want := -protocol.Quantity(len(c.sold)) * piece
	levels, err := c.hub.Stock(c.ctx, store)
	c.must(err)
	if got := levels[sku].OnHand; got != want {
		c.t.Errorf("the hub shows %s on hand, want %s", got, want)
	}
	for _, a := range c.agents {
		c.await(a.Name()+" knows the stock", func(ctx context.Context) (string, error) {
			level, err := a.Level(ctx, sku)
			if err == nil && level.OnHand != want {
				return fmt.Sprintf("%s on hand, want %s", level.OnHand, want), nil
			}
			return "", err
		})
	}
	st, err := c.hub.Status(c.ctx)
	c.must(err)
	if st.DeadLetters != 0 || st.Gaps != 0 {
		c.t.Errorf("the hub has %d dead letters and %d gaps", st.DeadLetters, st.Gaps)
	}
}

// command runs a command of the hub's program on the hub's folder and returns
// what it printed and its exit code.
func (c *chain) command(args ...string) (string, int) {
	c.t.Helper()
	out, err := host.Run(c.ctx, host.Hub(), append(args, "--data", c.data)...)
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		c.t.Fatal(err)
	}
	if err != nil {
		return out, exit.ExitCode()
	}
	return out, 0
}

// restore demands that a restore works and says all of this.
func (c *chain) restore(args []string, says ...string) {
	c.t.Helper()
	out, exit := c.command(append([]string{"restore"}, args...)...)
	if exit != 0 {
		c.t.Fatalf("restore: exit %d: %s", exit, out)
	}
	c.says(out, says...)
}

func (c *chain) says(out string, says ...string) {
	c.t.Helper()
	for _, word := range says {
		if !strings.Contains(out, word) {
			c.t.Errorf("%q does not say %q", out, word)
		}
	}
}

func (c *chain) verify() {
	c.t.Helper()
	if out, exit := c.command("verify"); exit != 0 {
		c.t.Errorf("verify: exit %d: %s", exit, out)
	}
}

// database is the hub's file.
func (c *chain) database() string { return filepath.Join(c.data, "hub.db") }

// TestI2_I7_HubComesBackFromBackupAndSecondCopy: the hub's disk dies long after
// the last backup. What its second copy holds comes back from there, the hub's
// own acts included, and what it had not yet synced from the agents.
func TestI2_I7_HubComesBackFromBackupAndSecondCopy(t *testing.T) {
	c := openChain(t, []string{"a1", "a2"}, "--second-copy", "FILES/copy")
	backup, second := filepath.Join(c.files, "backup"), filepath.Join(c.files, "copy")
	epoch, mode := c.status()
	if mode != "backup" {
		t.Errorf("safe_mode is %s", mode)
	}
	c.sell(10)
	c.told()
	out, err := host.Run(c.ctx, host.Hub(), "backup", "--hub", "http://"+c.hub.Ready().HTTP, backup)
	c.must(err)
	c.says(out, "written")
	c.load("items", map[string]any{"sku": "INK", "name": "Ink", "price_minor": 300})
	c.sell(10)
	c.safe()
	c.sell(5)
	c.must(c.hub.Kill())
	c.must(os.Remove(c.database()))

	// A hub that is started on nothing must not take the copy for its own.
	before, err := os.ReadFile(second)
	c.must(err)
	if out, exit := c.command("serve", "--insecure-dev", "--listen", "127.0.0.1:0", "--mqtt", "127.0.0.1:0", "--second-copy", second); exit != exitRefused {
		t.Errorf("the hub started on an empty folder: exit %d: %s", exit, out)
	} else {
		c.says(out, "another hub's database", "restore")
	}
	if after, err := os.ReadFile(second); err != nil || !slices.Equal(before, after) {
		t.Errorf("the refused copy was changed: %v", err)
	}
	c.restore([]string{backup, "--second-copy", second}, "from the backup", "hub.db.before-restore-1")
	c.verify()
	c.sell(5)
	c.must(c.hub.Restart(c.ctx))
	if now, _ := c.status(); now <= epoch {
		t.Errorf("the epoch was %s and is %s", epoch, now)
	}
	c.sell(5)
	c.settled()
	c.safe()
	if got, err := c.hub.Send(c.ctx, process.Request{Method: http.MethodGet, Path: "/v1/availability?code=INK&store=" + store}); err != nil {
		t.Errorf("what was imported after the backup is gone: %v %s", err, got.Body)
	}
	// The copy goes on, and is enough by itself. The hub's own streams of several
	// lives give the catalogue in the order of those lives.
	for n := range 3 {
		c.load("items", map[string]any{"sku": "INK", "name": "Ink", "price_minor": 310 + n})
		c.must(c.hub.Stop())
		c.verify()
		c.must(os.Remove(c.database()))
		c.restore([]string{"--second-copy", second}, "0 from the backup")
		c.verify()
		c.must(c.hub.Restart(c.ctx))
	}
	c.sell(1)
	c.settled()
}

// TestI2_AgentsSendAgainWhatAnOlderHubLacks: there is no second copy, and the
// backup is older than what was acknowledged. That has to be accepted, and then
// nothing is lost that an agent still holds.
func TestI2_AgentsSendAgainWhatAnOlderHubLacks(t *testing.T) {
	c := openChain(t, []string{"a1"})
	backup := filepath.Join(c.files, "backup")
	c.sell(10)
	c.told()
	c.must(c.hub.Stop())
	if out, exit := c.command("backup", backup); exit != 0 {
		t.Fatalf("backup: exit %d: %s", exit, out)
	}
	c.must(c.hub.Restart(c.ctx))
	if _, mode := c.status(); mode != "ack" {
		t.Errorf("safe_mode is %s", mode)
	}
	c.sell(20)
	c.told()
	c.must(c.hub.Kill())
	out, exit := c.command("restore", backup)
	if exit != exitRefused {
		t.Fatalf("a restore that loses what was published as safe: exit %d: %s", exit, out)
	}
	c.says(out, "20 events of 1 streams", "11 to 30 of s1 a1", "--accept-gaps")
	c.must(c.hub.Restart(c.ctx)) // Nothing was changed.
	c.settled()
	c.must(c.hub.Kill())
	c.restore([]string{backup, "--accept-gaps"}, "13 from the backup, 0 from the second copy", "accepted: 20 events of 1 streams", "before-restore-1")
	c.verify()
	c.must(c.hub.Restart(c.ctx))
	c.settled()
	c.sell(5)
	c.settled()
}

// TestI7_CopyAheadOfTheDatabaseStopsTheHub: somebody put an old database back
// by hand. To go on would give numbers a second meaning.
func TestI7_CopyAheadOfTheDatabaseStopsTheHub(t *testing.T) {
	c := openChain(t, []string{"a1"}, "--second-copy", "FILES/copy")
	second, old := filepath.Join(c.files, "copy"), filepath.Join(c.files, "old.db")
	c.sell(3)
	c.safe()
	c.must(c.hub.Stop())
	if out, exit := c.command("backup", old); exit != 0 {
		t.Fatalf("backup: exit %d: %s", exit, out)
	}
	c.must(c.hub.Restart(c.ctx))
	c.sell(4)
	c.safe()
	c.must(c.hub.Kill())
	c.must(os.Rename(old, c.database()))
	out, exit := c.command("serve", "--insecure-dev", "--listen", "127.0.0.1:0", "--mqtt", "127.0.0.1:0", "--second-copy", second)
	if exit != exitRefused {
		t.Fatalf("exit %d: %s", exit, out)
	}
	c.says(out, "holds 4 events that the database lacks", "restore BACKUP --second-copy")
	c.must(os.Rename(c.database(), old))
	c.restore([]string{old, "--second-copy", second}, "4 from the second copy")
	c.must(c.hub.Restart(c.ctx))
	c.sell(1)
	c.settled()
}

// TestI14_OlderDatabaseIsNoticedAtItsStart: somebody put an old database back by
// hand, and there is no second copy. Before any agent is heard the hub knows that
// others may hold points which it does not know to be lent.
func TestI14_OlderDatabaseIsNoticedAtItsStart(t *testing.T) {
	c := openChain(t, []string{"a1"})
	old := filepath.Join(c.files, "old.db")
	c.sell(3)
	c.told()
	c.must(c.hub.Stop())
	if out, exit := c.command("backup", old); exit != 0 {
		t.Fatalf("backup: exit %d: %s", exit, out)
	}
	c.must(c.hub.Restart(c.ctx))
	epoch, _ := c.status()
	c.load("items", map[string]any{"sku": "INK", "name": "Ink", "price_minor": 300})
	c.must(c.agents[0].Stop())
	c.must(c.hub.Stop())
	c.must(os.Rename(old, c.database()))
	c.must(c.hub.Restart(c.ctx))
	renewed, _ := c.status()
	if renewed <= epoch {
		t.Errorf("the epoch was %s and is %s", epoch, renewed)
	}
	c.must(c.hub.Stop())
	c.must(c.hub.Restart(c.ctx))
	if again, _ := c.status(); again != renewed {
		t.Errorf("the epoch was %s and is %s, of the same database", renewed, again)
	}
	c.must(c.agents[0].Restart(c.ctx))
	c.sell(2)
	c.settled()
}
