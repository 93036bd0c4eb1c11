package floor

import (
	"context"
	"errors"
	"net"
	"net/http"
	"os"
)

// shelf answers lookups over HTTP from a map of whole answers, as a hub would
// that knows nothing but one of them: the bytes of a file, under a key.
func shelf(ctx context.Context, d *desk, o options) error {
	text, err := os.ReadFile(o.path)
	if err != nil {
		return err
	}
	answers := map[string][]byte{o.key: text}
	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	server := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		answer, ok := answers[r.URL.Query().Get("code")]
		if !ok {
			http.NotFound(w, r)
			return
		}
		w.Header().Set("Content-Type", "application/json")
		// Whoever asked and is gone misses nothing.
		_, _ = w.Write(answer)
	})}
	context.AfterFunc(ctx, func() { _ = server.Close() })
	d.tell(Note{What: "ready", Addr: listener.Addr().String()})
	if err := server.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}
