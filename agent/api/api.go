// Package api is the agent's HTTP interface for tills, other POS systems and
// integrators on this machine: HTTP.md's "Agent" part, the event stream, and
// what operators probe. It also mounts the agent's page.
//
// Every route stands in one table (routes.go), with who may call it and how
// large its body may be; nothing is reachable that the table does not name,
// and openapi.json describes all of it. Handlers return errors, and one place
// turns them into problem documents, so a cause is logged once and never shown.
//
// The server that runs the handler has to give requests a context that ends
// with the agent (http.Server.BaseContext), because event streams last until
// then.
package api

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"time"

	"counterpart/agent/web"
	"counterpart/protocol"
	"counterpart/protocol/cart"
	"counterpart/protocol/ledger"
	"counterpart/protocol/loyalty"
	"counterpart/protocol/pickup"
	"counterpart/protocol/sale"
	"counterpart/protocol/stock"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// Deps is what the API asks of the rest of the agent. All functions are called
// from many goroutines at once.
type Deps struct {
	Sell   func(context.Context, protocol.Call, sale.Request) (protocol.Answer, error)
	Return func(context.Context, protocol.Call, sale.ReturnRequest) (protocol.Answer, error)
	Void   func(context.Context, protocol.Call, protocol.ReceiptNo, sale.VoidRequest) (protocol.Answer, error)
	Move   func(context.Context, protocol.Call, stock.MovementRequest) (protocol.Answer, error)
	// Quote is what a sale would come to; it records nothing.
	Quote  func(context.Context, sale.Request) (sale.Quote, error)
	Fulfil func(ctx context.Context, c protocol.Call, id protocol.OrderID, action string, r pickup.Request) (protocol.Answer, error)

	Order func(context.Context, protocol.OrderID) (pickup.Document, error)
	// Orders lists those of one state of either register; an empty state means
	// all. next is where the following page starts, nil for none.
	Orders func(ctx context.Context, state string, limit int, after string) (orders []pickup.Document, next *string, err error)

	EnrolMember func(context.Context, protocol.Call, loyalty.MemberRequest) (protocol.Answer, error)
	// Member and Members ask the hub for who is not held here; where that cannot be
	// asked they fail with protocol.CannotKnow.
	Member  func(context.Context, protocol.MemberID) (loyalty.MemberDocument, error)
	Members func(context.Context, MemberQuery) ([]loyalty.MemberDocument, error)
	// Cart is a member's cart, as the hub or as this store knows it; where neither
	// does it fails with protocol.CannotKnow.
	Cart func(context.Context, protocol.MemberID) (cart.Document, error)
	// Timeline is known likewise. WriteContact and CloseEntry pass on to the hub what
	// cannot be recorded here.
	Timeline     func(ctx context.Context, id protocol.MemberID, limit int, after string) (loyalty.TimelineDocument, error)
	WriteContact func(context.Context, protocol.Call, protocol.MemberID, loyalty.ContactRequest) (protocol.Answer, error)
	CloseEntry   func(ctx context.Context, c protocol.Call, id protocol.MemberID, entry string, q loyalty.CloseRequest) (protocol.Answer, error)

	// GiftCard shows a gift card by its code, Accounts a member's store credit and
	// offers.
	GiftCard func(ctx context.Context, code string) (loyalty.GiftCardDocument, error)
	Accounts func(context.Context, protocol.MemberID) ([]loyalty.AccountDocument, error)

	Sale  func(context.Context, protocol.ReceiptNo) (sale.Document, error)
	Stock func(ctx context.Context, code string) (stock.Document, error)
	// Items finds items whose name holds q or one of whose codes q is; an
	// empty q means all. next is where the following page starts, nil for none.
	Items func(ctx context.Context, q string, limit int, after string) (items []stock.ItemDocument, next *string, err error)
	// ItemsOf shows items by their SKUs, without those that are not known.
	ItemsOf func(context.Context, []protocol.SKU) ([]stock.ItemDocument, error)
	// EventsAfter returns up to limit events of the agent's own stream above
	// after, in order.
	EventsAfter func(ctx context.Context, after protocol.Seq, limit int) ([]Event, error)
	// OrdersAfter returns orders that the hub or another machine of the store
	// changed behind a position, as they are now; an empty one is the present.
	OrdersAfter func(ctx context.Context, after string) (ChangedOrders, error)
	// LastSales returns the n latest receipts, the latest first.
	LastSales  func(ctx context.Context, n int) ([]sale.Document, error)
	Status     func(context.Context) Status
	Exceptions func(context.Context) ([]Exception, error)
	// Transfers lists those of one state; an empty state means all. next is where
	// the following page starts, nil for none.
	Transfers func(ctx context.Context, state string, limit int, after string) (transfers []stock.TransferDocument, next *string, err error)
	// HandleException assigns or resolves an exception.
	HandleException func(ctx context.Context, c protocol.Call, id, action string, q ledger.HandleRequest) (protocol.Answer, error)
	// Ready returns nil while the agent is able to sell.
	Ready func(context.Context) error
	// Changed returns a channel that is closed at the next new event or change
	// of status. Whoever waits asks for it before reading the state.
	Changed func() <-chan struct{}

	Metrics prometheus.Gatherer
	Log     *slog.Logger // nil discards
	// InsecureDev gives every caller all rights. Without it only what anyone
	// may call is answered.
	InsecureDev bool
}

// server is the API with what its handlers share.
type server struct {
	deps    Deps
	log     *slog.Logger
	web     http.Handler
	metrics http.Handler
	origins *http.CrossOriginProtection
	// heartbeat is the longest that an event stream is silent.
	heartbeat time.Duration
}

// New makes the agent's whole HTTP handler.
func New(d Deps) http.Handler {
	s := newServer(d)
	return s.guard(s.tree(s.routes()))
}

func newServer(d Deps) *server {
	s := &server{deps: d, log: d.Log, origins: http.NewCrossOriginProtection(), heartbeat: 15 * time.Second}
	if s.log == nil {
		s.log = slog.New(slog.DiscardHandler)
	}
	if d.Metrics == nil {
		d.Metrics = prometheus.NewRegistry()
	}
	s.metrics = promhttp.HandlerFor(d.Metrics, promhttp.HandlerOpts{
		ErrorLog:      metricsLog{s.log},
		ErrorHandling: promhttp.ContinueOnError,
	})
	s.web = web.New(web.Deps{
		Status:    s.pageStatus,
		LastSales: d.LastSales,
		Items: func(ctx context.Context, q string, limit int) ([]stock.ItemDocument, error) {
			items, _, err := d.Items(ctx, q, limit, "")
			return items, err
		},
		Orders: func(ctx context.Context) ([]pickup.Document, error) {
			orders, _, err := d.Orders(ctx, "open", limitMax, "")
			return orders, err
		},
		Exceptions: s.openExceptions,
		Members: func(ctx context.Context, by, value string) ([]loyalty.MemberDocument, error) {
			q := MemberQuery{}
			*map[string]*string{"card": &q.Card, "phone": &q.Phone, "email": &q.Email}[by] = value
			return d.Members(ctx, q)
		},
		Member: d.Member, Cart: d.Cart, ItemsOf: d.ItemsOf,
		Timeline: func(ctx context.Context, id protocol.MemberID, limit int) (loyalty.TimelineDocument, error) {
			return d.Timeline(ctx, id, limit, "")
		},
		Changed:  d.Changed,
		Log:      s.log,
		NotFound: http.HandlerFunc(s.notFound),
	})
	return s
}

// openExceptions counts what a person has to look at.
func (s *server) openExceptions(ctx context.Context) (n int, err error) {
	all, err := s.deps.Exceptions(ctx)
	for _, e := range all {
		if e.State == "open" {
			n++
		}
	}
	return n, err
}

// metricsLog takes what goes wrong while metrics are gathered.
type metricsLog struct{ log *slog.Logger }

func (l metricsLog) Println(v ...any) {
	for _, one := range v {
		if err, ok := one.(error); ok {
			l.log.Error("metrics incomplete", "error", err)
		}
	}
}

// pageStatus is the status as the page wants it.
func (s *server) pageStatus(ctx context.Context) web.Status {
	st := s.deps.Status(ctx)
	v := web.Status{
		Agent: st.Agent, Store: st.Store, Version: st.Version,
		Link: st.Link.State, Since: st.Link.Since,
		Pending: st.Stream.Pending, DeadLetters: st.DeadLetters, Disk: st.Disk.State,
	}
	for to, from := range map[*string]*string{
		&v.BusinessDate: st.BusinessDate, &v.Currency: st.Currency, &v.Cause: st.Link.Cause, &v.OldestPendingAt: st.Stream.OldestPendingAt,
	} {
		if from != nil {
			*to = *from
		}
	}
	if st.Clock.OffsetMs != nil {
		v.ClockOffsetMs = *st.Clock.OffsetMs
	}
	return v
}

// errNothingHere is answered at addresses that do not exist.
var errNothingHere = protocol.Refuse(protocol.NotFound, "There is nothing at this address. Nothing was recorded. See /openapi.json for the addresses there are.")

func (s *server) notFound(w http.ResponseWriter, r *http.Request) { s.fail(w, r, errNothingHere) }

// gone tells whether an error only says that nobody waits for the answer.
func gone(ctx context.Context, err error) bool {
	return ctx.Err() != nil && (errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded))
}
