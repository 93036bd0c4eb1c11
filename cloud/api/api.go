// Package api is the hub's HTTP interface for the online shop, for operators
// and for the parts of an agent's work that do not go over MQTT.
//
// Every address stands in one table, routes.go, with who may use it and how
// much it may send. The package holds no state of its own: what it answers
// comes from the functions in Deps, and every refusal is a problem document
// (RFC 9457) with the stable code of a *protocol.Error.
package api

import (
	"context"
	"io"
	"log/slog"
	"net/http"
	"time"

	"counterpart/cloud/web"
	"counterpart/protocol"
	"counterpart/protocol/cart"
	"counterpart/protocol/ledger"
	"counterpart/protocol/loyalty"
	"counterpart/protocol/pickup"
	"counterpart/protocol/stock"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// Deps is what the interface answers from. Values of type any are documents
// that are sent as JSON, as HTTP.md shows them.
type Deps struct {
	// Import takes in a file of rows while it arrives.
	Import func(context.Context, Upload) (Imported, error)
	// Load tells how far a stock load is.
	Load func(ctx context.Context, id string) (any, error)

	Availability func(context.Context, AvailabilityQuery) (any, error)
	// Stock and Sales call each for every row. An error of each ends them and
	// is returned.
	Stock  func(ctx context.Context, store protocol.StoreID, each func(any) error) error
	Sales  func(ctx context.Context, q SalesQuery, each func(any) error) error
	Sale   func(ctx context.Context, no protocol.ReceiptNo) (any, error)
	Stores func(context.Context, Page) (any, error)

	PlaceOrder func(context.Context, protocol.Call, pickup.PlaceRequest) (protocol.Answer, error)
	Order      func(context.Context, protocol.OrderID) (any, error)
	Orders     func(context.Context, OrdersQuery, Page) (any, error)
	ActOnOrder func(ctx context.Context, c protocol.Call, id protocol.OrderID, action string, a pickup.HubAction) (protocol.Answer, error)

	// LocalInventory calls each for every item of every store that search
	// engines are told of.
	LocalInventory func(ctx context.Context, each func(LocalItem) error) error
	// Product is one item in one store as schema.org has it.
	Product func(ctx context.Context, code string, store protocol.StoreID) (any, error)

	Webhooks      func(context.Context, Page) (any, error)
	AddWebhook    func(context.Context, protocol.Call, WebhookRequest) (protocol.Answer, error)
	DropWebhook   func(ctx context.Context, id string) (any, error)
	ReplayWebhook func(ctx context.Context, c protocol.Call, id string, r ReplayRequest) (protocol.Answer, error)
	// DeadWebhooks lists the messages that failed for the last time.
	DeadWebhooks func(ctx context.Context, id string, p Page) (any, error)

	Hold        func(context.Context, protocol.Call, pickup.HoldRequest) (protocol.Answer, error)
	ReleaseHold func(ctx context.Context, id string) error

	SetPolicy func(context.Context, stock.PolicyRequest) (any, error)
	Policies  func(context.Context, Page) (any, error)

	// Promotions lists those of all zones, in the order of zones and ids.
	Promotions func(context.Context, Page) (any, error)

	SetProgramme func(context.Context, loyalty.Document) (any, error)
	// Programmes lists the dated programmes, the newest last.
	Programmes func(context.Context, Page) (any, error)

	EnrolMember  func(context.Context, protocol.Call, loyalty.MemberRequest) (protocol.Answer, error)
	Member       func(context.Context, protocol.MemberID) (any, error)
	Members      func(context.Context, MemberQuery) (any, error)
	ChangeMember func(context.Context, protocol.MemberID, loyalty.MemberRequest) (any, error)

	// Gift cards, by code or by the id of the account, store credit, and offers.
	IssueGiftCard  func(context.Context, protocol.Call, GiftCardRequest) (protocol.Answer, error)
	GiftCard       func(ctx context.Context, code, currency string) (any, error)
	AdjustGiftCard func(ctx context.Context, c protocol.Call, code string, q AmountRequest) (protocol.Answer, error)
	AdjustCredit   func(context.Context, protocol.Call, protocol.MemberID, AmountRequest) (protocol.Answer, error)
	MemberAccounts func(context.Context, protocol.MemberID) (any, error)
	IssueOffers    func(context.Context, protocol.Call, OfferRequest) (protocol.Answer, error)
	WithdrawOffer  func(context.Context, protocol.Call, protocol.MemberID, CreditRequest) (protocol.Answer, error)

	AdjustPoints func(context.Context, protocol.Call, protocol.MemberID, PointsRequest) (protocol.Answer, error)
	// MergeMember lets one of two members stand for both, UnmergeMember undoes it.
	MergeMember   func(context.Context, protocol.Call, protocol.MemberID, MergeRequest) (protocol.Answer, error)
	UnmergeMember func(context.Context, protocol.Call, protocol.MemberID, UnmergeRequest) (protocol.Answer, error)
	// MemberLeases lists who holds what of a member's points.
	MemberLeases func(context.Context, protocol.MemberID) (any, error)
	CreditLease  func(ctx context.Context, id protocol.MemberID, holder string, q CreditRequest) (any, error)
	// Visit lets an agent's stream spend points of a member who is in its store.
	Visit func(context.Context, protocol.MemberID, VisitRequest) (any, error)
	// EraseMember forgets who a member is, for good.
	EraseMember func(context.Context, protocol.MemberID) (any, error)

	// ExportMember is all that is kept of a member.
	ExportMember func(context.Context, protocol.MemberID) (any, error)
	// Timeline is what happened with a member, newest first.
	Timeline     func(context.Context, protocol.MemberID, Page) (any, error)
	WriteContact func(context.Context, protocol.Call, protocol.MemberID, loyalty.ContactRequest) (protocol.Answer, error)
	CloseEntry   func(ctx context.Context, c protocol.Call, id protocol.MemberID, entry string, q loyalty.CloseRequest) (protocol.Answer, error)

	Cart       func(context.Context, protocol.MemberID) (any, error)
	ChangeCart func(context.Context, protocol.MemberID, cart.OpRequest) (any, error)
	MergeCart  func(context.Context, protocol.MemberID, cart.MergeRequest) (any, error)
	// NewCart begins a cart for somebody who has not said who they are.
	NewCart         func(context.Context, protocol.Call) (protocol.Answer, error)
	GuestCart       func(ctx context.Context, id string) (any, error)
	ChangeGuestCart func(ctx context.Context, id string, q cart.OpRequest) (any, error)

	Agents func(context.Context, Page) (any, error)
	// Exceptions lists those of a state, or all where state is empty.
	Exceptions      func(ctx context.Context, state string, p Page) (any, error)
	HandleException func(ctx context.Context, c protocol.Call, id, action string, q ledger.HandleRequest) (protocol.Answer, error)
	// Transfers lists those of a state, or all where state is empty.
	Transfers func(ctx context.Context, state string, p Page) (any, error)
	Status    func(context.Context) (any, error)

	Connect func() Connect
	// Snapshot is a state feed as a whole. The body is closed when it is an
	// io.Closer.
	Snapshot func(ctx context.Context, feed string) (body io.ReadSeeker, sha256 string, epoch, offset uint64, err error)

	// OrderKeys are the keys of orders that a store keeps, as a message.
	OrderKeys func(ctx context.Context, store protocol.StoreID, orders []protocol.OrderID) ([]byte, error)

	// Backup is a copy of the database, made for this call and closed after it.
	Backup func(context.Context) (io.ReadSeekCloser, error)

	// Ready tells why the hub cannot do its job; nil is ready.
	Ready   func(context.Context) error
	Metrics prometheus.Gatherer // nil has none

	// Fleet, Exposure and Find are what the page shows, Changed is closed at the next
	// change of it.
	Fleet    func(ctx context.Context, each func(web.Store)) error
	Exposure func(context.Context) (bound, atRisk protocol.Points, err error)
	Find     func(context.Context, web.Question) (web.Answer, error)
	People   web.People
	Changed  func() <-chan struct{}

	Log *slog.Logger
	// InsecureDev serves plain text on a loopback address to one principal
	// that may do everything. Without it only what anyone may see is answered.
	InsecureDev bool
}

// Upload is a file of rows as it arrives.
type Upload struct {
	Table  string // items, stores, prices, taxes or stock
	Format string // text/csv or application/x-ndjson
	Store  protocol.StoreID
	Key    string // the Idempotency-Key, empty for none
	Body   io.Reader
}

// Imported is what became of an upload.
type Imported struct {
	Good     int64 // rows applied or unchanged
	Rejected int64
	Pending  bool // a stock load was passed on and is yet to be applied
	Report   any
}

// AvailabilityQuery asks for an item in one store, or near a place where Store
// is empty.
type AvailabilityQuery struct {
	Code     string
	Store    protocol.StoreID
	Lat, Lon float64
	RadiusKm float64
	Limit    int
}

// SalesQuery narrows a listing of receipts; empty members do not. Dates are
// business dates, both included.
type SalesQuery struct {
	Store    protocol.StoreID
	From, To string
}

// Page is the part of a listing that is wanted.
type Page struct {
	Limit int
	After string
}

// Connect tells an agent where the broker is.
type Connect struct {
	MQTTURL  string `json:"mqtt_url"`
	Epoch    string `json:"epoch"`
	Protocol int    `json:"protocol"`
}

// server answers requests from its Deps.
type server struct {
	deps   Deps
	mux    *http.ServeMux
	page   http.Handler
	gather http.Handler
	// lookups are the answers to where an item is that are being made.
	lookups shared[AvailabilityQuery]
	// idle is how long a client may take over one read or write before the
	// connection is given up.
	idle time.Duration
}

// New makes the handler of the whole interface, the page included.
func New(d Deps) http.Handler { return newServer(d) }

func newServer(d Deps) *server {
	if d.Log == nil {
		d.Log = slog.New(slog.DiscardHandler)
	}
	if d.Metrics == nil {
		d.Metrics = prometheus.NewRegistry()
	}
	s := &server{deps: d, mux: http.NewServeMux(), idle: time.Minute, gather: promhttp.HandlerFor(d.Metrics, promhttp.HandlerOpts{})}
	s.page = web.New(web.Deps{Fleet: d.Fleet, Exposure: d.Exposure, Find: d.Find, People: d.People, Changed: d.Changed, Log: d.Log, NotFound: http.HandlerFunc(s.notFound)})
	for _, rt := range s.routes() {
		s.mux.HandleFunc(rt.method+" "+rt.pattern, s.serve(rt))
	}
	return s
}
