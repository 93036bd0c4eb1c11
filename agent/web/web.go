// Package web is the agent's own pages: plain, live pages for the people in the
// shop. The first says whether what was sold has reached the hub, shows the last
// receipts and finds what is on hand of an item. The page of orders is the
// pickup clerk's: what is to be done next about each order, and the forms for it.
// The page to sell at takes goods and members' cards in one field.
//
// Pages are rendered on the server in full and can be read without scripts. A
// script only replaces the parts that changed, with what the same templates
// rendered, so no text is put together in two places. What clerks do goes to the
// HTTP API that other programs use. Nothing is loaded from
// anywhere but the agent, and no style or script stands in the page itself,
// which lets the content security policy forbid them.
package web

import (
	"bytes"
	"context"
	"embed"
	"html/template"
	"log/slog"
	"net/http"
	"path"
	"strings"
	"time"

	"counterpart/protocol"
	"counterpart/protocol/cart"
	"counterpart/protocol/loyalty"
	"counterpart/protocol/pickup"
	"counterpart/protocol/sale"
	"counterpart/protocol/stock"
)

// Deps is what the page shows.
type Deps struct {
	Status    func(context.Context) Status
	LastSales func(ctx context.Context, n int) ([]sale.Document, error)
	// Items finds items by a part of the name or by a scanned code.
	Items func(ctx context.Context, q string, limit int) ([]stock.ItemDocument, error)
	// Orders lists the orders of this store that are not over, and Exceptions
	// counts the open ones.
	Orders     func(context.Context) ([]pickup.Document, error)
	Exceptions func(context.Context) (int, error)
	// Members looks members up by one of card, phone and email. Like Member, Cart and
	// Timeline it fails with protocol.CannotKnow where nobody can tell now.
	Members  func(ctx context.Context, by, value string) ([]loyalty.MemberDocument, error)
	Member   func(context.Context, protocol.MemberID) (loyalty.MemberDocument, error)
	Cart     func(context.Context, protocol.MemberID) (cart.Document, error)
	Timeline func(ctx context.Context, id protocol.MemberID, limit int) (loyalty.TimelineDocument, error)
	// ItemsOf shows items as they are sold here; those that are not known are left out.
	ItemsOf func(context.Context, []protocol.SKU) ([]stock.ItemDocument, error)
	// Changed returns a channel that is closed at the next change of anything
	// that the page shows.
	Changed func() <-chan struct{}
	Log     *slog.Logger
	// Now is the clock for ages; nil is the machine's.
	Now func() time.Time
	// NotFound answers where an asset is not there; nil is plain text.
	NotFound http.Handler
}

// Status is what the page says about the agent. Its times are RFC 3339 with
// the store's offset, empty where unknown; its words are those of HTTP.md.
type Status struct {
	Agent           protocol.AgentID
	Store           protocol.StoreID
	Version         string
	Currency        string
	BusinessDate    string
	Link            string
	Cause           string
	Since           string
	Pending         uint64
	OldestPendingAt string
	DeadLetters     uint64
	Disk            string
	ClockOffsetMs   int64
}

// The addresses that New answers. Whoever mounts it lists them as its own.
const (
	PagePath   = "/"
	FindPath   = "/find"   // the hits of ?q= alone
	LivePath   = "/live"   // server-sent events with the parts that changed
	AssetsPath = "/assets" // style, script and icon below

	OrdersPath     = "/orders"
	OrdersLivePath = "/orders/live"

	SellPath       = "/sell"
	MemberPath     = "/sell/member"      // a member alone, by ?card=, ?phone=, ?email= or ?id=
	MemberLivePath = "/sell/member/live" // the member of ?id= as things change
)

// contentPolicy forbids everything that does not come from the agent itself,
// and with it every inline style and script: a name from the catalogue that
// holds markup could do nothing even if it were not escaped.
const contentPolicy = "default-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'; object-src 'none'"

//go:embed page.html orders.html sell.html assets
var files embed.FS

// site is the page with what it needs.
type site struct {
	deps   Deps
	page   *template.Template
	assets map[string]asset
	// settle is the least time between two renderings of one stream, and beat
	// the longest without one.
	settle, beat time.Duration
	// memberSettle and memberBeat are those of a member, who is asked for at the hub.
	memberSettle, memberBeat time.Duration
}

// New makes the page's handler.
func New(d Deps) http.Handler {
	s := newSite(d)
	mux := http.NewServeMux()
	mux.HandleFunc("GET "+PagePath+"{$}", s.servePage)
	mux.HandleFunc("GET "+FindPath, s.serveFind)
	mux.HandleFunc("GET "+LivePath, s.serveLive)
	mux.HandleFunc("GET "+OrdersPath, s.serveOrders)
	mux.HandleFunc("GET "+OrdersLivePath, s.serveOrdersLive)
	mux.HandleFunc("GET "+SellPath, s.serveSell)
	mux.HandleFunc("GET "+MemberPath, s.serveMember)
	mux.HandleFunc("GET "+MemberLivePath, s.serveMemberLive)
	mux.HandleFunc("GET "+AssetsPath+"/{file}", s.serveAsset)
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
		page:   template.Must(template.New("page.html").ParseFS(files, "page.html", "orders.html", "sell.html")),
		assets: loadAssets(),
		settle: 250 * time.Millisecond,
		beat:   15 * time.Second,

		memberSettle: 500 * time.Millisecond,
		memberBeat:   5 * time.Second,
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
	// A write fails only when the reader is gone.
	_, _ = w.Write(b)
}

func (s *site) servePage(w http.ResponseWriter, r *http.Request) {
	view := s.live(r.Context())
	view.Find = s.find(r.Context(), r.URL.Query().Get("q"))
	s.answer(w, r, "page", view)
}

func (s *site) serveFind(w http.ResponseWriter, r *http.Request) {
	s.answer(w, r, "results", s.find(r.Context(), r.URL.Query().Get("q")))
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

// serveAsset answers with a file. Browsers keep it but ask each time, so that
// a new version of the agent never runs with an old script.
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

// loadAssets reads the embedded files. They are part of the program, so what
// is wrong with them is wrong in every start of it.
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
		kind := assetKinds[strings.ToLower(path.Ext(entry.Name()))]
		if kind == "" {
			kind = "application/octet-stream"
		}
		assets[entry.Name()] = asset{data: data, kind: kind, etag: contentTag(data)}
	}
	return assets
}
