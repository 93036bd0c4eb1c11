package api

import (
	"net/http"

	"counterpart/protocol"
)

// pointsBytesMax bounds the body of a request about points.
const pointsBytesMax = 64 << 10

// PointsRequest gives a member points or takes some away.
type PointsRequest struct {
	Points protocol.Points  `json:"points"`
	Reason string           `json:"reason"`
	Staff  protocol.StaffID `json:"staff"`
}

// CreditRequest takes back what a stream that is over still held.
type CreditRequest struct {
	Staff  protocol.StaffID `json:"staff"`
	Reason string           `json:"reason"`
}

// VisitRequest asks that an agent's stream may spend points of a member.
type VisitRequest struct {
	Store  protocol.StoreID `json:"store"`
	Agent  protocol.AgentID `json:"agent"`
	Inc    string           `json:"inc"`
	Points protocol.Points  `json:"points"`
}

func (s *server) adjustPoints(w http.ResponseWriter, r *http.Request) error {
	id, err := memberOf(r)
	if err != nil {
		return err
	}
	var request PointsRequest
	call, err := readCall(r, "POST /v1/members/"+string(id)+"/points", &request)
	if err != nil {
		return err
	}
	answer, err := s.deps.AdjustPoints(r.Context(), call, id, request)
	return writeAnswer(w, answer, err)
}

func (s *server) memberLeases(w http.ResponseWriter, r *http.Request) error {
	return s.aboutMember(w, r, func(id protocol.MemberID) (any, error) { return s.deps.MemberLeases(r.Context(), id) })
}

// creditLease is done once: sent again it finds nothing to credit, so its key is
// not remembered.
func (s *server) creditLease(w http.ResponseWriter, r *http.Request) error {
	return s.aboutMember(w, r, func(id protocol.MemberID) (any, error) {
		var request CreditRequest
		if _, err := readCall(r, "POST /v1/members/"+string(id)+"/leases", &request); err != nil {
			return nil, err
		}
		return s.deps.CreditLease(r.Context(), id, r.PathValue("holder"), request)
	})
}

// visit asks for what is missing, so asking again does nothing more.
func (s *server) visit(w http.ResponseWriter, r *http.Request) error {
	return s.aboutMember(w, r, func(id protocol.MemberID) (any, error) {
		var request VisitRequest
		if _, err := readCall(r, "POST /v1/members/"+string(id)+"/visit", &request); err != nil {
			return nil, err
		}
		return s.deps.Visit(r.Context(), id, request)
	})
}
