package api

import (
	"net/http"

	"counterpart/protocol"
)

// MergeRequest says that two members are one person.
type MergeRequest struct {
	With   protocol.MemberID `json:"with"`
	Staff  protocol.StaffID  `json:"staff"`
	Reason string            `json:"reason"`
}

// UnmergeRequest says that a merged member is another person after all.
type UnmergeRequest struct {
	Staff  protocol.StaffID `json:"staff"`
	Reason string           `json:"reason"`
}

func (s *server) mergeMember(w http.ResponseWriter, r *http.Request) error {
	id, err := memberOf(r)
	if err != nil {
		return err
	}
	var request MergeRequest
	call, err := readCall(r, "POST /v1/members/"+string(id)+"/merge", &request)
	if err != nil {
		return err
	}
	answer, err := s.deps.MergeMember(r.Context(), call, id, request)
	return writeAnswer(w, answer, err)
}

func (s *server) unmergeMember(w http.ResponseWriter, r *http.Request) error {
	id, err := memberOf(r)
	if err != nil {
		return err
	}
	var request UnmergeRequest
	call, err := readCall(r, "POST /v1/members/"+string(id)+"/unmerge", &request)
	if err != nil {
		return err
	}
	answer, err := s.deps.UnmergeMember(r.Context(), call, id, request)
	return writeAnswer(w, answer, err)
}
