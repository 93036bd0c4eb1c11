package cloud

import (
	"context"

	"counterpart/cloud/api"
	"counterpart/cloud/hub"
	"counterpart/protocol"
)

// lending adds what is about leases of members' points.
func (c *Cloud) lending(d api.Deps) api.Deps {
	h := c.hub
	d.AdjustPoints = func(ctx context.Context, call protocol.Call, id protocol.MemberID, q api.PointsRequest) (protocol.Answer, error) {
		return h.AdjustPoints(ctx, call, id, hub.PointsRequest(q))
	}
	d.MemberLeases = func(ctx context.Context, id protocol.MemberID) (any, error) { return h.MemberLeases(ctx, id) }
	d.CreditLease = func(ctx context.Context, id protocol.MemberID, holder string, q api.CreditRequest) (any, error) {
		return h.CreditLease(ctx, id, holder, hub.CreditRequest(q))
	}
	d.Visit = func(ctx context.Context, id protocol.MemberID, q api.VisitRequest) (any, error) {
		return h.Visit(ctx, id, hub.VisitRequest(q))
	}
	return d
}
