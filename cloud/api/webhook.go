package api

import (
	"net/http"

	"counterpart/protocol"
)

// webhookBytesMax bounds the body of a request about a webhook.
const webhookBytesMax = 4 << 20

// WebhookRequest asks for a webhook. Without a secret one is made.
type WebhookRequest struct {
	URL    string   `json:"url"`
	Events []string `json:"events"`
	Secret string   `json:"secret"`
}

// ReplayRequest asks for what was sent since a moment, RFC 3339, to be sent
// again.
type ReplayRequest struct {
	From string `json:"from"`
}

func (s *server) webhooks(w http.ResponseWriter, r *http.Request) error {
	p := parametersOf(r)
	page := p.page()
	if p.err != nil {
		return p.err
	}
	doc, err := s.deps.Webhooks(r.Context(), page)
	if err != nil {
		return err
	}
	return writeJSON(w, http.StatusOK, doc)
}

func (s *server) addWebhook(w http.ResponseWriter, r *http.Request) error {
	var request WebhookRequest
	call, err := readCall(r, "POST /v1/webhooks", &request)
	if err != nil {
		return err
	}
	answer, err := s.deps.AddWebhook(r.Context(), call, request)
	return writeAnswer(w, answer, err)
}

func (s *server) dropWebhook(w http.ResponseWriter, r *http.Request) error {
	id, err := webhookID(r)
	if err != nil {
		return err
	}
	doc, err := s.deps.DropWebhook(r.Context(), id)
	if err != nil {
		return err
	}
	return writeJSON(w, http.StatusOK, doc)
}

func (s *server) replayWebhook(w http.ResponseWriter, r *http.Request) error {
	id, err := webhookID(r)
	if err != nil {
		return err
	}
	var request ReplayRequest
	call, err := readCall(r, "POST /v1/webhooks/"+id+"/replay", &request)
	if err != nil {
		return err
	}
	answer, err := s.deps.ReplayWebhook(r.Context(), call, id, request)
	return writeAnswer(w, answer, err)
}

func (s *server) deadWebhooks(w http.ResponseWriter, r *http.Request) error {
	id, err := webhookID(r)
	if err != nil {
		return err
	}
	p := parametersOf(r)
	page := p.page()
	if p.err != nil {
		return p.err
	}
	doc, err := s.deps.DeadWebhooks(r.Context(), id, page)
	if err != nil {
		return err
	}
	return writeJSON(w, http.StatusOK, doc)
}

func webhookID(r *http.Request) (string, error) {
	id := r.PathValue("id")
	if !protocol.ValidID(id) {
		return "", protocol.Refuse(protocol.NotFound, "That is not the id of a webhook. Nothing was recorded. GET /v1/webhooks lists them.")
	}
	return id, nil
}
