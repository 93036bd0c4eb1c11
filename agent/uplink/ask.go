package uplink

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"net/url"
	"time"
)

const (
	// askTimeout is how long somebody at the till waits for what only the hub knows.
	askTimeout  = 2 * time.Second
	askBytesMax = 4 << 20
)

// ErrNotAsked is returned by Ask where the hub could not be asked or did not answer.
var ErrNotAsked = errors.New("the hub cannot be asked")

// Ask asks the hub for a document, once, while the link is up. An error names
// neither path nor query, which may hold what identifies a person.
func (u *Uplink) Ask(ctx context.Context, path string, query url.Values) (status int, body []byte, err error) {
	return u.request(ctx, http.MethodGet, path, query, "", nil)
}

// Tell sends a request to the hub under an Idempotency-Key, or none, once, while the
// link is up. Its errors are those of Ask.
func (u *Uplink) Tell(ctx context.Context, path, key string, document []byte) (status int, body []byte, err error) {
	return u.request(ctx, http.MethodPost, path, nil, key, document)
}

func (u *Uplink) request(ctx context.Context, method, path string, query url.Values, key string, document []byte) (status int, body []byte, err error) {
	if u.Status().Link.State != Online {
		return 0, nil, ErrNotAsked
	}
	ctx, cancel := context.WithTimeout(ctx, askTimeout)
	defer cancel()
	address, err := url.JoinPath(u.o.HubURL, path)
	if err != nil {
		return 0, nil, ErrNotAsked
	}
	req, err := http.NewRequestWithContext(ctx, method, address+"?"+query.Encode(), bytes.NewReader(document))
	if err != nil {
		return 0, nil, ErrNotAsked
	}
	if document != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	if key != "" {
		req.Header.Set("Idempotency-Key", key)
	}
	resp, err := u.asking.Do(req)
	if err != nil {
		return 0, nil, errors.Join(ErrNotAsked, withoutAddress(err))
	}
	defer resp.Body.Close()
	body, err = io.ReadAll(http.MaxBytesReader(nil, resp.Body, askBytesMax))
	if err != nil {
		return 0, nil, errors.Join(ErrNotAsked, withoutAddress(err))
	}
	return resp.StatusCode, body, nil
}

// withoutAddress takes the address out of an error.
func withoutAddress(err error) error {
	var asked *url.Error
	if errors.As(err, &asked) {
		return asked.Err
	}
	return err
}
