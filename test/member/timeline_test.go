package member_test

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"

	"counterpart/test/process"
)

// entry is an entry of a timeline as both programs show one.
type entry struct {
	ID, Kind    string
	Store, Text *string
	Open        bool
	Locked      bool
	Reference   *string
}

type timeline struct {
	Items []entry
	AsOf  string `json:"as_of"`
	From  string
}

// exported is what the hub keeps of a member.
type exported struct {
	Member   member
	HeldBy   []string `json:"held_by"`
	Points   []struct{ Earned int64 }
	Timeline []entry
	Sales    []process.SaleDocument
}

// told is a timeline in short.
func (d timeline) told() string {
	var list []string
	for _, e := range d.Items {
		list = append(list, strings.TrimSpace(e.Kind+" "+text(e.Store)+" "+text(e.Text)))
	}
	return strings.Join(list, " | ")
}

// TestTimeline writes down what a member says at the hub, at home with a dead hub,
// and elsewhere, and shows it everywhere. Erasing makes it unreadable.
func TestTimeline(t *testing.T) {
	c := open(t)
	away := c.stores()
	var m member
	c.must(c.ask(http.MethodPost, "/v1/members", "", ayla.request(nil), &m))
	c.holds(c.agent, 1)
	path := "/v1/members/" + m.ID + "/timeline"
	say := func(who *process.Client, key, what string, open bool) (e entry) {
		t.Helper()
		c.must(c.at(who, http.MethodPost, path, key, map[string]any{"channel": "chat", "kind": "question", "text": what + " " + ayla.name, "open": open}, &e))
		return e
	}
	say(c.hub.Client, "k-1", "By phone", false)
	elsewhere := say(away.Client, "k-2", "Elsewhere", true)
	if again := say(away.Client, "k-2", "Elsewhere", true); again.ID != elsewhere.ID || text(elsewhere.Store) != "s1" {
		t.Errorf("passed on twice it is %+v, first %+v", again, elsewhere)
	}
	c.sell(c.agent, m.ID, 1)
	c.await("everything is at the store", func(context.Context) (string, error) {
		var d timeline
		err := c.ask(http.MethodGet, path, "", nil, &d)
		if err == nil && len(d.Items) != 4 {
			return fmt.Sprintf("the hub tells %s", d.told()), nil
		}
		return "", err
	})
	c.must(c.hub.Kill())
	here := say(c.agent.Client, "k-3", "Here", true)
	if again := say(c.agent.Client, "k-3", "Here", true); again.ID != here.ID || !again.Open {
		t.Errorf("written twice it is %+v, first %+v", again, here)
	}
	var d timeline
	c.must(c.at(c.agent.Client, http.MethodGet, path, "", nil, &d))
	if d.From != "store" || d.AsOf == "" || len(d.Items) < 2 || d.Items[0].ID != here.ID || d.Items[1].Kind != "sale" || text(d.Items[0].Text) != "Here "+ayla.name {
		t.Errorf("with a dead hub home tells %s from %s", d.told(), d.From)
	}
	var done entry
	c.must(c.at(c.agent.Client, http.MethodPost, path+"/"+here.ID+"/close", "", map[string]any{"staff": "s7", "text": "Answered"}, &done))
	c.refused(c.at(c.agent.Client, http.MethodPost, path+"/"+here.ID+"/close", "", map[string]any{}, nil), "conflict")
	c.refused(c.at(away.Client, http.MethodPost, path, "", map[string]any{"channel": "chat", "kind": "note", "text": "lost?"}, nil), "cannot_know")
	c.refused(c.at(away.Client, http.MethodGet, path, "", nil, nil), "cannot_know")
	c.must(c.hub.Restart(c.ctx))
	c.await("the hub has what was said", func(context.Context) (string, error) {
		err := c.ask(http.MethodGet, path, "", nil, &d)
		if err == nil && len(d.Items) != 6 {
			return d.told(), nil
		}
		return "", err
	})
	if d.Items[0].ID != done.ID || d.Items[1].Open || text(d.Items[1].Text) != "Here "+ayla.name {
		t.Errorf("the hub tells %s", d.told())
	}
	c.eraseExported(m, len(d.Items))
	c.must(c.ask(http.MethodGet, path, "", nil, &d))
	for _, e := range d.Items {
		if e.Text != nil || e.Kind == "question" && !e.Locked {
			t.Errorf("of somebody erased %+v", e)
		}
	}
	c.must(c.agent.Stop())
	c.must(c.agent.Verify(c.ctx))
	c.must(away.Stop())
	c.must(c.hub.Stop())
	for _, found := range traces(t, ayla) {
		t.Error(found)
	}
}

// eraseExported erases a member who bought once, and demands all that is kept of them
// before it, and of the same what is nobody's after it.
func (c *chain) eraseExported(m member, entries int) {
	c.t.Helper()
	var all, none exported
	c.must(c.ask(http.MethodGet, "/v1/members/"+m.ID+"/export", "", nil, &all))
	if text(all.Member.Name) != ayla.name || len(all.Timeline) != entries || len(all.Sales) != 1 || len(all.Sales[0].Lines) != 1 || !slices.Equal(all.HeldBy, []string{"s1"}) || len(all.Points) != 1 || all.Points[0].Earned == 0 {
		c.t.Errorf("the hub exports %+v", all)
	}
	c.must(c.ask(http.MethodDelete, "/v1/members/"+m.ID, "", nil, nil))
	c.must(c.ask(http.MethodGet, "/v1/members/"+m.ID+"/export", "", nil, &none))
	if none.Member.Name != nil || len(none.Sales) != 1 || len(none.Timeline) != entries {
		c.t.Errorf("of somebody erased the hub exports %+v", none)
	}
}
