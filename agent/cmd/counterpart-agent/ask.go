package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"time"
)

// urlFlag names a running agent.
type urlFlag struct {
	URL string `help:"Address of the agent's local API." default:"http://${listen}"`
}

const askTimeout = 5 * time.Second

func (f urlFlag) get(ctx context.Context, path string) (int, []byte, error) {
	ctx, cancel := context.WithTimeout(ctx, askTimeout)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, f.URL+path, nil)
	if err != nil {
		return 0, nil, err
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return 0, nil, fmt.Errorf("no agent answers at %s: %w. Is the service running? Another address: --url", f.URL, err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	return resp.StatusCode, b, err
}

type statusCommand struct{ urlFlag }

// Run prints the status as JSON.
func (c *statusCommand) Run(ctx context.Context, out io.Writer) error {
	code, b, err := c.get(ctx, "/v1/status")
	if err != nil {
		return err
	}
	if code != http.StatusOK {
		return fmt.Errorf("the agent answered %d: %s", code, b)
	}
	var status map[string]any
	if err := json.Unmarshal(b, &status); err != nil {
		return err
	}
	pretty, err := json.MarshalIndent(status, "", "  ")
	if err != nil {
		return err
	}
	_, err = fmt.Fprintln(out, string(pretty))
	return err
}

type doctorCommand struct{ urlFlag }

// agentStatus is the part of the status that the doctor speaks of.
type agentStatus struct {
	Store string `json:"store"`
	Agent string `json:"agent"`
	Link  struct {
		State string  `json:"state"`
		Cause *string `json:"cause"`
		Since string  `json:"since"`
	} `json:"link"`
	Stream struct {
		Pending int64 `json:"pending"`
	} `json:"stream"`
	Feeds []struct {
		Feed   string `json:"feed"`
		State  string `json:"state"`
		Behind int64  `json:"behind"`
	} `json:"feeds"`
	Clock struct {
		OffsetMs int64 `json:"offset_ms"`
	} `json:"clock"`
	Disk struct {
		State     string `json:"state"`
		FreeBytes int64  `json:"free_bytes"`
	} `json:"disk"`
	DeadLetters int64 `json:"dead_letters"`
}

// advice says what to do about each cause of a missing link.
var advice = map[string]string{
	"no_route":           "Check the network cable and the router.",
	"dns":                "The hub's name is not found. Check the name server of this machine.",
	"refused":            "Nothing listens at the hub's address. Check --hub, or whether the hub runs.",
	"timeout":            "The hub does not answer. Check the line, and whether a firewall drops its ports.",
	"tls":                "The hub's certificate is not trusted. Check the clock and the certificates.",
	"auth":               "The hub does not accept this machine. Enrol it again.",
	"hub_error":          "The hub has trouble of its own. Call those who run it.",
	"version":            "The agent and the hub speak different versions. Update the older one.",
	"unknown_store":      "The hub does not know this store. Import it there, or correct --store.",
	"duplicate_identity": "Another machine uses this agent's name. Stop it, or give this one a name of its own.",
}

// Run says what works.
func (c *doctorCommand) Run(ctx context.Context, out io.Writer) error {
	code, b, err := c.get(ctx, "/v1/status")
	if err != nil {
		return err
	}
	var s agentStatus
	if code != http.StatusOK || json.Unmarshal(b, &s) != nil {
		return fmt.Errorf("the agent answered %d: %s", code, b)
	}
	ready, _, err := c.get(ctx, "/readyz")
	if err != nil {
		return err
	}
	line := func(ok bool, good, bad string) {
		if ok {
			fmt.Fprintln(out, "ok    ", good)
			return
		}
		fmt.Fprintln(out, "LOOK  ", bad)
	}
	cause := ""
	if s.Link.Cause != nil {
		cause = *s.Link.Cause
	}
	fmt.Fprintf(out, "agent %s of store %s at %s\n", s.Agent, s.Store, c.URL)
	line(ready == http.StatusOK, "it can sell", "it cannot sell yet: its catalogue, prices and store record have not arrived once")
	line(s.Link.State == "online", "the hub is reached", fmt.Sprintf("the hub is not reached (%s, %s) since %s. Selling goes on. %s", s.Link.State, cause, s.Link.Since, advice[cause]))
	line(s.Stream.Pending == 0, "everything is at the hub", fmt.Sprintf("%d records wait to be sent; they are safe on this machine", s.Stream.Pending))
	for _, f := range s.Feeds {
		line(f.State == "tail", "feed "+f.Feed+" is up to date", fmt.Sprintf("feed %s is behind by %d", f.Feed, f.Behind))
	}
	line(s.Clock.OffsetMs > -30000 && s.Clock.OffsetMs < 30000, "the clock is right", fmt.Sprintf("the clock is off by %d ms; set it", s.Clock.OffsetMs))
	line(s.Disk.State == "ok", "there is room on the disk", fmt.Sprintf("the disk is %s: %d bytes free. Make room", s.Disk.State, s.Disk.FreeBytes))
	line(s.DeadLetters == 0, "no record is set aside", fmt.Sprintf("%d records are set aside and need a person", s.DeadLetters))
	return nil
}
