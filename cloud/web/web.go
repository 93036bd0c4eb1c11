// Package web is the hub's own pages: one plain, live page on which people see
// how the stores of the chain are connected, the worst first, and where an item
// is to be had; and one on which customer service finds members.
//
// The page is rendered on the server in full and works without scripts. A
// script only puts what the same templates rendered anew in the place of what
// is there. Nothing is loaded from anywhere but the hub, and no style or script
// stands in the page itself, so the content security policy can forbid them.
package web

import (
	"bytes"
	"context"
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"html/template"
	"log/slog"
	"net/http"
	"path"
	"strings"
	"time"

	"counterpart/protocol"
)

// Deps is what the page shows.
type Deps struct {
	// Fleet calls each for every store.
	Fleet func(ctx context.Context, each func(Store)) error
	// Exposure is what stores may have spent of members' points without asking, and
	// what they are known to have spent so; nil shows neither.
	Exposure func(context.Context) (bound, atRisk protocol.Points, err error)
	// Find answers where an item is.
	Find   func(context.Context, Question) (Answer, error)
	People People
	// Changed returns a channel that is closed at the next change of anything
	// that the page shows.
	Changed func() <-chan struct{}
	Log     *slog.Logger
	// Now is the clock for ages; nil is the machine's.
	Now func() time.Time
	// NotFound answers where an asset is not there; nil is plain text.
	NotFound http.Handler
}

// Store is one store of the chain. Its times are RFC 3339, empty where unknown;
// its words are those of HTTP.md.
type Store struct {
	ID, Name, City string
	Link           string
	LastSeen       string
	Waiting        uint64
	AsOf           string // the hub had everything then
	Freshness      string
}

// Question asks where an item is: in one store, or near a place where Store is
// empty.
type Question struct {
	Code     string
	Store    protocol.StoreID
	Lat, Lon float64
}

// Answer says where an item is.
type Answer struct {
	SKU     protocol.SKU
	Name    string
	Unit    protocol.Unit
	Results []Result
}

// Result says what online may promise of the item from one store.
type Result struct {
	Store        protocol.StoreID
	Name         string
	DistanceKm   *float64
	PriceMinor   *protocol.Money
	Currency     string
	Promisable   protocol.Quantity
	Availability string
	Link         string
	AsOf         *string
	AgeS         *int64
	Freshness    string
}

// contentPolicy forbids everything that does not come from the hub itself, and
// with it every inline style and script: a store's name that holds markup could
// do nothing even if it were not escaped.
const contentPolicy = "default-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'; object-src 'none'"

//go:embed page.html members.html assets
var files embed.FS

// site is the page with what it needs.
type site struct {
	deps   Deps
	page   *template.Template
	assets map[string]asset
	// settle is the least time between two renderings of one stream, and beat
	// the longest without one.
	settle, beat time.Duration
}

// New makes the page's handler. It answers /, /fleet, /live, /members,
// /members/found and /assets/{file}.
func New(d Deps) http.Handler {
	s := newSite(d)
	mux := http.NewServeMux()
	mux.HandleFunc("GET /{$}", s.servePage)
	mux.HandleFunc("GET /fleet", s.serveFleet)
	mux.HandleFunc("GET /live", s.serveLive)
	mux.HandleFunc("GET /members", s.serveMembers)
	mux.HandleFunc("GET /members/found", s.serveFound)
	mux.HandleFunc("GET /assets/{file}", s.serveAsset)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("Content-Security-Policy", contentPolicy)
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("X-Frame-Options", "DENY")
		h.Set("Referrer-Policy", "no-referrer")
		h.Set("Cache-Control", "no-store")
		mux.ServeHTTP(w, r)
	})
}

func newSite(d Deps) *site {
	if d.Now == nil {
		d.Now = time.Now
	}
	if d.Log == nil {
		d.Log = slog.New(slog.DiscardHandler)
	}
	if d.NotFound == nil {
		d.NotFound = http.NotFoundHandler()
	}
	return &site{
		deps:   d,
		page:   template.Must(template.New("page.html").ParseFS(files, "page.html", "members.html")),
		assets: loadAssets(),
		settle: time.Second,
		beat:   15 * time.Second,
	}
}

// render executes one template, whole or not at all.
func (s *site) render(name string, data any) ([]byte, error) {
	var b bytes.Buffer
	if err := s.page.ExecuteTemplate(&b, name, data); err != nil {
		return nil, err
	}
	return b.Bytes(), nil
}

// answer renders one template as the answer to a request.
func (s *site) answer(w http.ResponseWriter, r *http.Request, name string, data any) {
	b, err := s.render(name, data)
	if err != nil {
		s.deps.Log.ErrorContext(r.Context(), "page not rendered", "template", name, "error", err)
		http.Error(w, protocol.AsError(err).Message, http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	_, _ = w.Write(b) // fails only when the reader is gone
}

// inert leaves out the characters that turn text around or end an isolation:
// in a name they only ever hide what it says. Everything else is shown.
func inert(s string) string {
	return strings.Map(func(r rune) rune {
		if r >= '\u202a' && r <= '\u202e' || r >= '\u2066' && r <= '\u2069' {
			return -1
		}
		return r
	}, s)
}

func (s *site) servePage(w http.ResponseWriter, r *http.Request) {
	view := pageView{fleetView: s.fleet(r.Context())}
	view.Find = s.find(r.Context(), r.URL.Query())
	s.answer(w, r, "page", view)
}

func (s *site) serveFleet(w http.ResponseWriter, r *http.Request) {
	s.answer(w, r, "fleet", s.fleet(r.Context()))
}

// pageView is everything on the page.
type pageView struct {
	fleetView
	Find findView
}

// asset is one embedded file.
type asset struct {
	data []byte
	kind string // Content-Type
	etag string
}

var assetKinds = map[string]string{
	".css": "text/css; charset=utf-8",
	".js":  "text/javascript; charset=utf-8",
	".svg": "image/svg+xml",
}

// serveAsset answers with a file. Browsers keep it but ask each time, so that a
// new version of the hub never runs with an old script.
func (s *site) serveAsset(w http.ResponseWriter, r *http.Request) {
	file := r.PathValue("file")
	a, ok := s.assets[file]
	if !ok {
		s.deps.NotFound.ServeHTTP(w, r)
		return
	}
	w.Header().Set("Content-Type", a.kind)
	w.Header().Set("Cache-Control", "no-cache")
	w.Header().Set("ETag", a.etag)
	http.ServeContent(w, r, file, time.Time{}, bytes.NewReader(a.data))
}

// loadAssets reads the embedded files. They are part of the program, so what is
// wrong with them is wrong in every start of it.
func loadAssets() map[string]asset {
	entries, err := files.ReadDir("assets")
	if err != nil {
		panic(err)
	}
	assets := make(map[string]asset, len(entries))
	for _, entry := range entries {
		data, err := files.ReadFile(path.Join("assets", entry.Name()))
		if err != nil {
			panic(err)
		}
		kind := assetKinds[path.Ext(entry.Name())]
		if kind == "" {
			panic("asset " + entry.Name() + " is of no known kind")
		}
		sum := sha256.Sum256(data)
		assets[entry.Name()] = asset{data: data, kind: kind, etag: `"` + hex.EncodeToString(sum[:12]) + `"`}
	}
	return assets
}
