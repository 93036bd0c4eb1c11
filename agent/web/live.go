package web

import (
	"bytes"
	"context"
	"net/http"
	"time"
)

func (s *site) serveLive(w http.ResponseWriter, r *http.Request) {
	s.follow(w, r, "live", func(ctx context.Context) any { return s.live(ctx) })
}

// follow sends a page's moving parts at once and whenever they look different. A
// busy till changes them many times a second, so changes are let
// settle; ages move without any change, so they are rendered at each beat.
func (s *site) follow(w http.ResponseWriter, r *http.Request, template string, view func(context.Context) any) {
	ctx := r.Context()
	stream, err := OpenStream(w)
	if err != nil {
		return
	}
	beat := time.NewTicker(s.beat)
	defer beat.Stop()
	var last []byte
	for {
		// Asked for before the state is read, so that no change falls between.
		changed := s.deps.Changed()
		parts, err := s.render(template, view(ctx))
		switch {
		case ctx.Err() != nil:
			return
		case err != nil:
			s.deps.Log.ErrorContext(ctx, "page not rendered", "template", template, "error", err)
			return
		case bytes.Equal(parts, last):
			err = stream.Beat()
		default:
			last, err = parts, stream.Send(Message{Name: "parts", Data: parts})
		}
		if err != nil {
			return
		}
		select {
		case <-ctx.Done():
			return
		case <-beat.C:
		case <-changed:
			settled := time.NewTimer(s.settle)
			select {
			case <-ctx.Done():
				settled.Stop()
				return
			case <-settled.C:
			}
		}
	}
}
