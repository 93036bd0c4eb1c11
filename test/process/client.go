package process

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"sync/atomic"
	"time"
)

const (
	// answerPatience bounds one try, from dialling to the end of the answer.
	answerPatience = 30 * time.Second
	// retryDelayMin and retryDelayMax bound the wait between two tries.
	retryDelayMin = 10 * time.Millisecond
	retryDelayMax = 250 * time.Millisecond
	// bodyShown bounds what an error repeats of an answer.
	bodyShown = 600
	// connectionsIdle is how many connections a client keeps open.
	connectionsIdle = 16
)

// A Client speaks to one process over HTTP.
type Client struct {
	address func() string // HOST:PORT
	http    *http.Client
	retries atomic.Int64
}

// NewClient makes a client of a process. It follows the process over restarts.
func NewClient(p *Process) *Client {
	return newClient(func() string { return p.Ready().HTTP })
}

func newClient(address func() string) *Client {
	return &Client{
		address: address,
		http: &http.Client{
			Transport: &http.Transport{MaxIdleConnsPerHost: connectionsIdle},
		},
	}
}

// URL is the address of a page or of an operation.
func (c *Client) URL(path string) string { return "http://" + c.address() + path }

// A Request is one call.
type Request struct {
	Method string
	Path   string // with the query
	Key    string // Idempotency-Key; empty for none
	Type   string // of the body; JSON if empty
	Body   []byte
	// Patience bounds one try; answerPatience if 0.
	Patience time.Duration
}

// JSON makes a request with a body of JSON.
func JSON(method, path, key string, body any) (Request, error) {
	text, err := json.Marshal(body)
	if err != nil {
		return Request{}, fmt.Errorf("%s %s: %w", method, path, err)
	}
	return Request{Method: method, Path: path, Key: key, Body: text}, nil
}

// An Answer is what a process said.
type Answer struct {
	Status int
	Body   []byte
}

// A Refusal is an answer that is no success.
type Refusal struct {
	Method, Path string
	Answer
}

// Problem is the part of application/problem+json that a program branches on.
type Problem struct {
	Code   string `json:"code"`
	Detail string `json:"detail"`
}

// Problem is what the refusal says; it is empty if that is not JSON.
func (r *Refusal) Problem() Problem {
	var problem Problem
	if json.Unmarshal(r.Body, &problem) != nil {
		return Problem{}
	}
	return problem
}

func (r *Refusal) Error() string {
	return fmt.Sprintf("%s %s: %d %s", r.Method, r.Path, r.Status, r.Body[:min(len(r.Body), bodyShown)])
}

// passing tells whether the same request may get another answer later: the
// server has trouble of its own, or is still busy with this very request.
func (r *Refusal) passing() bool {
	return r.Status >= 500 || r.Status == http.StatusTooManyRequests ||
		r.Status == http.StatusConflict && r.Problem().Code == "in_progress"
}

// Open sends a request and returns the answer to read, however long that
// takes. An answer that is no success is an error, a *Refusal.
func (c *Client) Open(ctx context.Context, r Request) (*http.Response, error) {
	request, err := http.NewRequestWithContext(ctx, r.Method, c.URL(r.Path), bytes.NewReader(r.Body))
	if err != nil {
		return nil, err
	}
	if r.Body != nil {
		request.Header.Set("Content-Type", "application/json")
	}
	if r.Type != "" {
		request.Header.Set("Content-Type", r.Type)
	}
	if r.Key != "" {
		request.Header.Set("Idempotency-Key", r.Key)
	}
	response, err := c.http.Do(request)
	if err != nil {
		return nil, err
	}
	if response.StatusCode >= 200 && response.StatusCode < 300 {
		return response, nil
	}
	body, err := io.ReadAll(response.Body)
	if err := errors.Join(err, response.Body.Close()); err != nil {
		return nil, err
	}
	return nil, &Refusal{Method: r.Method, Path: r.Path, Answer: Answer{Status: response.StatusCode, Body: body}}
}

// Send sends a request once.
func (c *Client) Send(ctx context.Context, r Request) (Answer, error) {
	if r.Patience == 0 {
		r.Patience = answerPatience
	}
	ctx, cancel := context.WithTimeout(ctx, r.Patience)
	defer cancel()
	response, err := c.Open(ctx, r)
	if err != nil {
		return Answer{}, err
	}
	body, err := io.ReadAll(response.Body)
	if err := errors.Join(err, response.Body.Close()); err != nil {
		return Answer{}, fmt.Errorf("%s %s: %w", r.Method, r.Path, err)
	}
	return Answer{Status: response.StatusCode, Body: body}, nil
}

// Persist sends a request until it is answered, as a till must that may not
// lose or double a sale: with the same key, however often the process dies. A
// refusal that will not change is an answer too, and is returned as an error.
func (c *Client) Persist(ctx context.Context, r Request) (Answer, error) {
	delay := retryDelayMin
	for {
		answer, err := c.Send(ctx, r)
		var refusal *Refusal
		if err == nil || errors.As(err, &refusal) && !refusal.passing() {
			return answer, err
		}
		if waitErr := Pause(ctx, delay); waitErr != nil {
			return Answer{}, errors.Join(waitErr, err)
		}
		c.retries.Add(1)
		delay = min(2*delay, retryDelayMax)
	}
}

// Retries is how often Persist has sent a request again.
func (c *Client) Retries() int64 { return c.retries.Load() }

// Get reads a document.
func (c *Client) Get(ctx context.Context, path string, into any) error {
	answer, err := c.Send(ctx, Request{Method: http.MethodGet, Path: path})
	if err != nil {
		return err
	}
	return answer.Into(into)
}

// Into decodes the answer's JSON.
func (a Answer) Into(into any) error {
	if err := json.Unmarshal(a.Body, into); err != nil {
		return fmt.Errorf("answer %s: %w", a.Body[:min(len(a.Body), bodyShown)], err)
	}
	return nil
}

// Stream reads NDJSON and calls see for each object. A stream that breaks off
// is an error, so whoever sees no error has seen all.
func Stream[T any](ctx context.Context, c *Client, path string, see func(*T) error) error {
	response, err := c.Open(ctx, Request{Method: http.MethodGet, Path: path})
	if err != nil {
		return err
	}
	defer response.Body.Close()
	for lines := json.NewDecoder(response.Body); ; {
		row := new(T)
		if err := lines.Decode(row); errors.Is(err, io.EOF) {
			return nil
		} else if err != nil {
			return fmt.Errorf("GET %s: %w", path, err)
		}
		if err := see(row); err != nil {
			return fmt.Errorf("GET %s: %w", path, err)
		}
	}
}

// Pause waits for d, or until ctx ends.
func Pause(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// Await asks until the answer is yes or ctx ends. What holds it up is a
// sentence for the error: the answer to the last question.
func Await(ctx context.Context, every time.Duration, ask func(context.Context) (holdup string, err error)) error {
	ticker := time.NewTicker(every)
	defer ticker.Stop()
	for last := ""; ; {
		holdup, err := ask(ctx)
		switch {
		case err == nil && holdup == "":
			return nil
		case ctx.Err() != nil: // The question was cut short and says nothing.
		case err != nil:
			last = err.Error()
		default:
			last = holdup
		}
		select {
		case <-ticker.C:
		case <-ctx.Done():
			return fmt.Errorf("%w; last: %s", context.Cause(ctx), last)
		}
	}
}
