// Package member_test enrols members at a real hub, changes and erases them over
// restarts and a restore, and looks for what personal fields say in every file
// that the programs leave.
package member_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"counterpart/test/process"
)

const (
	patience = 3 * time.Minute
	askEvery = 50 * time.Millisecond
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

// chain is a hub and an agent of one store.
type chain struct {
	t     *testing.T
	ctx   context.Context
	hub   *process.Hub
	agent *process.Agent
}

func open(t *testing.T) *chain {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 2*patience)
	t.Cleanup(cancel)
	c := &chain{t: t, ctx: ctx}
	var err error
	c.hub, err = host.StartHub(ctx, t.Name(), "GBP")
	c.must(err)
	t.Cleanup(func() { c.must(c.hub.Kill()) })
	c.load("stores", map[string]any{"id": "s1", "name": "High Street", "timezone": "Europe/London"})
	c.load("items", map[string]any{"sku": "PEN", "name": "Pen", "price_minor": 250})
	c.load("items", map[string]any{"sku": "INK", "name": "Ink", "price_minor": 900})
	c.agent, err = host.StartAgent(ctx, process.AgentOptions{Agent: "a1", Store: "s1", Hub: "http://" + c.hub.Ready().HTTP, Data: host.Data(t.Name() + "-a1")})
	c.must(err)
	t.Cleanup(func() { c.must(c.agent.Kill()) })
	c.await("the agent can sell", func(ctx context.Context) (string, error) { return "", c.agent.Selling(ctx) })
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

// member is a member as the hub shows one.
type member struct {
	ID, Status, Card string
	Name, Phone      *string
	Email, Locale    *string
	Locked           bool
	Consents         []struct {
		Channel string
		Granted bool
	}
	Merged []struct{ ID, Card string }
	Points struct {
		Balance       int64
		SpendableHere int64 `json:"spendable_here"`
	}
}

// ask sends a request to the hub; body may be nil.
func (c *chain) ask(method, path, key string, body, into any) error {
	c.t.Helper()
	r := process.Request{Method: method, Path: path, Key: key}
	if body != nil {
		text, err := json.Marshal(body)
		c.must(err)
		r.Body = text
	}
	answer, err := c.hub.Send(c.ctx, r)
	if err == nil && into != nil {
		err = answer.Into(into)
	}
	return err
}

// find looks members up.
func (c *chain) find(by, value string) (ids []string) {
	c.t.Helper()
	var list struct{ Items []member }
	c.must(c.ask(http.MethodGet, "/v1/members?"+url.Values{by: {value}}.Encode(), "", nil, &list))
	for _, m := range list.Items {
		ids = append(ids, m.ID)
	}
	return ids
}

func (c *chain) refused(err error, code string) {
	c.t.Helper()
	var refusal *process.Refusal
	if !errors.As(err, &refusal) || refusal.Problem().Code != code {
		c.t.Errorf("got %v, want %s", err, code)
	}
}

func text(p *string) string {
	if p == nil {
		return ""
	}
	return *p
}

// person is somebody whose name and numbers stand nowhere else.
type person struct{ name, phone, email string }

var (
	ayla  = person{"Ayla Quliyeva-Zxqv", "+994501234567", "ayla.zxqv@example.com"}
	basti = person{"Bastian Wkjh", "+4915112345678", "b.wkjh@example.org"}
)

func (p person) request(more map[string]any) map[string]any {
	r := map[string]any{"name": p.name, "phone": p.phone, "email": p.email, "home_store": "s1"}
	for k, v := range more {
		r[k] = v
	}
	return r
}

// traces lists the files in the test's folders, and the logs, that hold what a
// person's fields say. Names and e-mail addresses hold the last four letters of the
// name.
func traces(t *testing.T, people ...person) (found []string) {
	t.Helper()
	var words []string
	for _, p := range people {
		end := p.name[len(p.name)-4:]
		words = append(words, p.phone[1:], end, strings.ToLower(end))
	}
	folders, err := filepath.Glob(host.Data(t.Name()) + "*")
	if err != nil || len(folders) < 2 {
		t.Fatalf("the test has the folders %v: %v", folders, err)
	}
	for _, folder := range append(folders, filepath.Join(host.Dir(), "logs")) {
		err := filepath.WalkDir(folder, func(path string, d fs.DirEntry, err error) error {
			if err != nil || !d.Type().IsRegular() {
				return err
			}
			b, err := os.ReadFile(path)
			if errors.Is(err, fs.ErrNotExist) {
				return nil
			}
			for _, word := range words {
				if bytes.Contains(b, []byte(word)) {
					found = append(found, fmt.Sprintf("%s holds %q", path, word))
				}
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	return found
}

// TestMembers enrols, finds, changes and sells to members over a restart of the
// hub. What their fields say is in no file.
func TestMembers(t *testing.T) {
	c := open(t)
	c.must(c.ask(http.MethodPut, "/v1/programme", "", map[string]any{
		"earn": []any{map[string]any{"per_minor": 100, "points": 1}}, "home_lease_cap": 0, "valid_from": "2020-01-01",
	}, nil))
	enrol := ayla.request(map[string]any{"consents": []any{map[string]any{"channel": "email", "purpose": "marketing", "granted": true}}})
	var m, again member
	c.must(c.ask(http.MethodPost, "/v1/members", "k-1", enrol, &m))
	if m.Status != "active" || m.Card == "" || text(m.Name) != ayla.name || text(m.Phone) != ayla.phone || len(m.Consents) != 1 || m.Locked {
		t.Fatalf("enrolled as %+v", m)
	}
	c.must(c.hub.Kill())
	c.must(c.hub.Restart(c.ctx))
	c.must(c.ask(http.MethodPost, "/v1/members", "k-1", enrol, &again))
	if again.ID != m.ID || again.Card != m.Card || text(again.Name) != ayla.name {
		t.Errorf("the same key answers %+v after a restart, first %+v", again, m)
	}
	c.refused(c.ask(http.MethodPost, "/v1/members", "k-1", basti.request(nil), nil), "idempotency_mismatch")
	c.refused(c.ask(http.MethodPost, "/v1/members", "", basti.request(map[string]any{"card": m.Card}), nil), "conflict")
	var b member
	c.must(c.ask(http.MethodPost, "/v1/members", "", basti.request(map[string]any{"phone": "00 994 50 123-45-67"}), &b))
	for by, value := range map[string]string{"card": m.Card, "email": "AYLA.ZXQV@EXAMPLE.COM"} {
		if got := c.find(by, value); len(got) != 1 || got[0] != m.ID {
			t.Errorf("by %s %s: %v, want %s", by, value, got, m.ID)
		}
	}
	if got := c.find("phone", ayla.phone); len(got) != 2 {
		t.Errorf("two share a phone number, and %v are found by it", got)
	}
	c.must(c.ask(http.MethodPatch, "/v1/members/"+b.ID, "", map[string]any{"phone": basti.phone, "locale": "de"}, &b))
	if got := c.find("phone", ayla.phone); len(got) != 1 || text(b.Phone) != basti.phone || text(b.Name) != basti.name || text(b.Locale) != "de" {
		t.Errorf("after a change %+v, and %v are found by the number of before", b, got)
	}
	request, err := process.JSON(http.MethodPost, "/v1/sales", "", map[string]any{
		"lines": []any{map[string]any{"code": "PEN", "qty": 3}}, "tenders": []any{map[string]any{"type": "card", "amount_minor": 750}}, "member_id": m.ID,
	})
	c.must(err)
	var sold struct {
		Points int64 `json:"points_earned"`
	}
	answer, err := c.agent.Send(c.ctx, request)
	c.must(err)
	if c.must(answer.Into(&sold)); sold.Points != 7 {
		t.Errorf("the sale earned %d points, want 7", sold.Points)
	}
	c.await("the points are on the account", func(context.Context) (string, error) {
		var now member
		err := c.ask(http.MethodGet, "/v1/members/"+m.ID, "", nil, &now)
		if err == nil && now.Points.Balance != 7 {
			return fmt.Sprint("the balance is ", now.Points.Balance), nil
		}
		return "", err
	})
	c.must(errors.Join(c.agent.Stop(), c.hub.Stop()))
	for _, found := range traces(t, ayla, basti) {
		t.Error(found)
	}
}

// TestErased erases a member and restores a backup of before: the person stays
// erased, also in the answer to a repeated enrolment, and what was earned stays.
func TestErased(t *testing.T) {
	c := open(t)
	var m, gone, again member
	c.must(c.ask(http.MethodPost, "/v1/members", "k-1", ayla.request(nil), &m))
	backup := filepath.Join(t.TempDir(), "backup")
	_, err := host.Run(c.ctx, host.Hub(), "backup", "--hub", "http://"+c.hub.Ready().HTTP, backup)
	c.must(err)
	erased := func(when string) {
		t.Helper()
		c.must(c.ask(http.MethodGet, "/v1/members/"+m.ID, "", nil, &gone))
		if gone.Status != "erased" || gone.Name != nil || gone.Phone != nil || gone.Email != nil || gone.Card != "" || gone.Locked {
			t.Errorf("%s the member is %+v", when, gone)
		}
		for by, value := range map[string]string{"phone": ayla.phone, "email": ayla.email, "card": m.Card} {
			if got := c.find(by, value); len(got) > 0 {
				t.Errorf("%s %v are found by %s", when, got, by)
			}
		}
		c.must(c.ask(http.MethodPost, "/v1/members", "k-1", ayla.request(nil), &again))
		if again.ID != m.ID || again.Name != nil || again.Phone != nil {
			t.Errorf("%s the enrolment is answered %+v", when, again)
		}
	}
	c.must(c.ask(http.MethodDelete, "/v1/members/"+m.ID, "", nil, &gone))
	erased("once erased")
	c.must(c.ask(http.MethodDelete, "/v1/members/"+m.ID, "", nil, &gone))
	c.refused(c.ask(http.MethodPatch, "/v1/members/"+m.ID, "", map[string]any{"name": ayla.name}, nil), "conflict")
	c.must(c.hub.Stop())
	if out, err := host.Run(c.ctx, host.Hub(), "restore", backup, "--data", host.Data(t.Name()), "--accept-gaps"); err != nil {
		t.Fatalf("restore: %v %s", err, out)
	}
	c.must(c.hub.Restart(c.ctx))
	erased("after a restore")
	c.must(errors.Join(c.agent.Stop(), c.hub.Stop()))
	for _, found := range traces(t, ayla) {
		t.Error(found)
	}
}

// TestBadMembers asks for members who cannot be.
func TestBadMembers(t *testing.T) {
	c := open(t)
	for want, body := range map[string]map[string]any{
		"out_of_range/phone":      {"phone": "0501234567"},
		"out_of_range/phone2":     {"phone": "+99450123456789012"},
		"out_of_range/email":      {"email": "ayla@"},
		"out_of_range/birthday":   {"birthday": "1990-02-30"},
		"out_of_range/store":      {"home_store": "s 1"},
		"unknown_store/":          {"home_store": "s9"},
		"card_number/":            {"name": "4111 1111 1111 1111"},
		"out_of_range/consent":    {"consents": []any{map[string]any{"channel": "e mail", "purpose": "marketing", "granted": true}}},
		"unknown_field/":          {"nickname": "A"},
		"out_of_range/locale":     {"locale": "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"},
		"out_of_range/preferred_": {"preferred_channel": "pigeon post"},
	} {
		code, _, _ := bytes.Cut([]byte(want), []byte("/"))
		c.refused(c.ask(http.MethodPost, "/v1/members", "", body, nil), string(code))
	}
	for _, path := range []string{"/v1/members/m-9", "/v1/members/m%20x"} {
		c.refused(c.ask(http.MethodGet, path, "", nil, nil), "not_found")
		c.refused(c.ask(http.MethodDelete, path, "", nil, nil), "not_found")
	}
	for _, query := range []string{"", "?card=1&phone=%2B994501234567", "?phone=123"} {
		c.refused(c.ask(http.MethodGet, "/v1/members"+query, "", nil, nil), "out_of_range")
	}
	c.must(errors.Join(c.agent.Stop(), c.hub.Stop()))
}
