package agent

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"time"

	"counterpart/agent/till"
	"counterpart/agent/uplink"
	"counterpart/protocol"

	"github.com/hashicorp/go-retryablehttp"
)

const (
	// visitTimeout bounds one question for a member's points: a shopper waits.
	visitTimeout     = 2 * time.Second
	visitAnswerBytes = 64 << 10
)

// newVisitClient asks the hub once. Each question has a connection of its own: one
// from before an outage may never answer again. It follows no proxy of the
// environment, since hub addresses are configured.
func newVisitClient() *retryablehttp.Client {
	transport := http.DefaultTransport.(*http.Transport).Clone()
	transport.Proxy, transport.DisableKeepAlives = nil, true
	client := retryablehttp.NewClient()
	client.Logger, client.RetryMax = nil, 0
	client.HTTPClient = &http.Client{Transport: transport, Timeout: visitTimeout}
	return client
}

// visit asks the hub to let this machine's stream spend points of a member. The
// points come down as an event.
func (a *Agent) visit(ctx context.Context, q till.VisitRequest) (answer till.VisitAnswer, err error) {
	body, err := json.Marshal(map[string]any{"store": q.Origin.Store, "agent": q.Origin.Agent, "inc": q.Origin.Inc.String(), "points": q.Points})
	if err != nil {
		return answer, err
	}
	address, err := url.JoinPath(a.cfg.Hub, "v1/members", string(q.Member), "visit")
	if err != nil {
		return answer, err
	}
	req, err := retryablehttp.NewRequestWithContext(ctx, http.MethodPost, address, body)
	if err != nil {
		return answer, err
	}
	req.Header.Set("Content-Type", "application/json")
	resp, err := a.visits.Do(req)
	if err != nil {
		return answer, err
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(io.LimitReader(resp.Body, visitAnswerBytes))
	if err != nil {
		return answer, err
	}
	if resp.StatusCode != http.StatusOK {
		return answer, fmt.Errorf("the hub answers a question for points with %s", resp.Status)
	}
	var said struct {
		Balance protocol.Points `json:"balance"`
		Left    protocol.Points `json:"left"`
		Coming  bool            `json:"coming"`
	}
	err = json.Unmarshal(text, &said)
	return till.VisitAnswer(said), err
}

// confirmed tells whether the hub has confirmed the head of a stream since the
// process started, by a WELCOME that fits this machine's log.
func (a *Agent) confirmed(inc protocol.Inc) bool {
	s := a.present.Load()
	return s.origin.Inc == inc && s.uplink.Status().HubHeard
}

func (a *Agent) online() bool { return a.uplink().Status().Link.State == uplink.Online }
