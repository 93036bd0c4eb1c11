package agent

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"

	"counterpart/agent/till"
	"counterpart/agent/uplink"
	"counterpart/protocol"
	"counterpart/protocol/loyalty"
)

// visit asks the hub to let this machine's stream spend points of a member. The
// points come down as an event.
func (a *Agent) visit(ctx context.Context, q till.VisitRequest) (answer till.VisitAnswer, err error) {
	body, err := json.Marshal(map[string]any{"store": q.Origin.Store, "agent": q.Origin.Agent, "inc": q.Origin.Inc.String(), "points": q.Points})
	if err != nil {
		return answer, err
	}
	status, text, err := a.uplink().Tell(ctx, memberPath(q.Member, "/visit"), "", body)
	if err != nil {
		return answer, err
	}
	if status == http.StatusNotFound || status == http.StatusConflict {
		a.log.Info("the hub lends no points of a member", "member", q.Member, "status", status)
		return till.VisitAnswer{Refused: true}, nil
	}
	if status != http.StatusOK {
		return answer, fmt.Errorf("the hub answers a question for points with %d", status)
	}
	var said struct {
		Member  protocol.MemberID `json:"member_id"`
		Balance protocol.Points   `json:"balance"`
		Left    protocol.Points   `json:"left"`
		Coming  bool              `json:"coming"`
	}
	err = json.Unmarshal(text, &said)
	return till.VisitAnswer{Member: said.Member, Balance: said.Balance, Left: said.Left, Coming: said.Coming}, err
}

// visitorsMax bounds how many members wait to be asked for. Whoever finds no place
// is asked for when they pay.
const visitorsMax = 16

// greet notes that members of other stores were looked up at a till, so that their
// points are here when they pay, though the line should break meanwhile.
func (a *Agent) greet(list []loyalty.MemberDocument) {
	if len(list) != 1 || list[0].Status != protocol.MemberActive || list[0].Points.Balance <= 0 || list[0].HomeStore != nil && *list[0].HomeStore == a.origin().Store {
		return
	}
	select {
	case a.visitors <- list[0].ID:
	default:
	}
}

// receive asks for the points of visitors, one after the other.
func (a *Agent) receive(ctx context.Context) error {
	for {
		select {
		case <-ctx.Done():
			return nil
		case id := <-a.visitors:
			if err := a.till.Visit(ctx, id); err != nil && ctx.Err() == nil {
				a.log.Warn("a visitor's points were not asked for; they are when the visitor pays", "member", id, "error", err)
			}
		}
	}
}

// confirmed tells whether the hub has confirmed the head of a stream since the
// process started, by a WELCOME that fits this machine's log.
func (a *Agent) confirmed(inc protocol.Inc) bool {
	s := a.present.Load()
	return s.origin.Inc == inc && s.uplink.Status().HubHeard
}

func (a *Agent) online() bool { return a.uplink().Status().Link.State == uplink.Online }
