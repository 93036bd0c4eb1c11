package webhooks

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"github.com/hashicorp/go-retryablehttp"
)

const (
	// answerBytesMax is how much of an answer is read, so that the connection
	// can be used again.
	answerBytesMax = 64 << 10
	// attemptPatience bounds an attempt with its repetition at once.
	attemptPatience = 30 * time.Second
	errorBytesMax   = 200
)

// answer is what an endpoint made of a message.
type answer struct {
	err   string        // empty: it has it
	gone  bool          // it wants no more
	after time.Duration // for how long it asks to be left alone
}

// deliver sends a message once. A connection that breaks is tried again at once,
// because it may have been closed while nothing went over it.
func (s *Sender) deliver(ctx context.Context, e *endpoint, m *Message) answer {
	ctx, cancel := context.WithTimeout(ctx, attemptPatience)
	defer cancel()
	req, err := retryablehttp.NewRequestWithContext(ctx, http.MethodPost, e.URL, []byte(m.Body))
	if err != nil {
		return answer{err: plain(err)}
	}
	at := s.o.Now()
	h := req.Header
	h.Set("Content-Type", "application/cloudevents+json")
	h.Set("User-Agent", "counterpart-hub")
	h.Set("Webhook-Id", m.ID)
	h.Set("Webhook-Timestamp", strconv.FormatInt(at.Unix(), 10))
	h.Set("Webhook-Signature", e.Secret.sign(m.ID, at, m.Body))
	client := retryablehttp.NewClient()
	client.Logger, client.HTTPClient, client.RetryMax = nil, s.client, 1
	client.RetryWaitMin, client.RetryWaitMax = 100*time.Millisecond, 100*time.Millisecond
	client.CheckRetry = func(ctx context.Context, _ *http.Response, err error) (bool, error) {
		return err != nil && ctx.Err() == nil && !errors.Is(err, errPrivate) && !isTimeout(err), nil
	}
	client.ErrorHandler = func(resp *http.Response, err error, _ int) (*http.Response, error) { return resp, err }
	resp, err := client.Do(req)
	if err != nil {
		return answer{err: plain(err)}
	}
	defer resp.Body.Close()
	_, _ = io.Copy(io.Discard, io.LimitReader(resp.Body, answerBytesMax)) // its status has been read
	if resp.StatusCode/100 == 2 {
		return answer{}
	}
	return answer{
		err: fmt.Sprintf("answered %d", resp.StatusCode), gone: resp.StatusCode == http.StatusGone,
		after: retryAfter(resp.Header.Get("Retry-After"), at),
	}
}

func isTimeout(err error) bool {
	var t interface{ Timeout() bool }
	return errors.As(err, &t) && t.Timeout()
}

// plain is an error without the address, which may hold what nobody else should
// read.
func plain(err error) string {
	var u *url.Error
	if errors.As(err, &u) {
		err = u.Err
	}
	text := err.Error()
	if errors.Is(err, errPrivate) {
		text = errPrivate.Error()
	}
	return text[:min(len(text), errorBytesMax)]
}
