package cloud

import (
	"context"

	"counterpart/cloud/api"
	"counterpart/cloud/hub"
	"counterpart/protocol"
)

// lending adds what is about members' points, and who has them.
func (c *Cloud) lending(d api.Deps) api.Deps {
	h := c.hub
	d.AdjustPoints = func(ctx context.Context, call protocol.Call, id protocol.MemberID, q api.PointsRequest) (protocol.Answer, error) {
		return h.AdjustPoints(ctx, call, id, hub.PointsRequest(q))
	}
	d.MergeMember = func(ctx context.Context, call protocol.Call, id protocol.MemberID, q api.MergeRequest) (protocol.Answer, error) {
		return h.MergeMember(ctx, call, id, hub.MergeRequest(q))
	}
	d.UnmergeMember = func(ctx context.Context, call protocol.Call, id protocol.MemberID, q api.UnmergeRequest) (protocol.Answer, error) {
		return h.UnmergeMember(ctx, call, id, hub.UnmergeRequest(q))
	}
	d.MemberLeases = func(ctx context.Context, id protocol.MemberID) (any, error) { return h.MemberLeases(ctx, id) }
	d.CreditLease = func(ctx context.Context, id protocol.MemberID, holder string, q api.CreditRequest) (any, error) {
		return h.CreditLease(ctx, id, holder, hub.CreditRequest(q))
	}
	d.Visit = func(ctx context.Context, id protocol.MemberID, q api.VisitRequest) (any, error) {
		return h.Visit(ctx, id, hub.VisitRequest(q))
	}
	d.Exposure = func(ctx context.Context) (bound, atRisk protocol.Points, err error) {
		e, err := h.Exposure(ctx)
		return e.Bound, e.AtRisk, err
	}
	return d
}
