package api

import (
	"bytes"
	"encoding/json"
	"net/http"
	"strconv"

	"counterpart/protocol"
)

// methodCode is the code of a 405. It is not one of protocol's codes, because
// only HTTP has methods.
const methodCode protocol.Code = "method_not_allowed"

// writeProblem answers with a problem document (RFC 9457). Members of the error
// never replace those of the document.
func writeProblem(w http.ResponseWriter, status int, e *protocol.Error) {
	doc := make(map[string]any, len(e.Members)+6)
	for name, value := range e.Members {
		doc[name] = value
	}
	title := e.Code.Title()
	if e.Code == methodCode {
		title = "Method not allowed"
	}
	doc["type"], doc["title"], doc["status"], doc["code"], doc["detail"] = "about:blank", title, status, e.Code, e.Message
	body, err := json.Marshal(doc)
	if err != nil {
		body = []byte(`{"type":"about:blank","title":"Internal error","status":500,"code":"internal","detail":"Something went wrong inside."}`)
		status = http.StatusInternalServerError
	}
	w.Header().Set("Content-Type", "application/problem+json")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	_, _ = w.Write(append(body, '\n')) // fails only when the reader is gone
}

// writeJSON answers with a document.
func writeJSON(w http.ResponseWriter, status int, doc any) error {
	body, err := encodeJSON(doc)
	if err == nil {
		sendJSON(w, status, body)
	}
	return err
}

func encodeJSON(doc any) ([]byte, error) {
	var body bytes.Buffer
	err := json.NewEncoder(&body).Encode(doc)
	return body.Bytes(), err
}

func sendJSON(w http.ResponseWriter, status int, body []byte) {
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	w.Header().Set("Content-Length", strconv.Itoa(len(body)))
	w.WriteHeader(status)
	_, _ = w.Write(body) // fails only when the reader is gone
}
