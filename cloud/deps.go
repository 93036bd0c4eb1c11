package cloud

import (
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strconv"

	"counterpart/cloud/api"
	"counterpart/cloud/hub"
	"counterpart/cloud/web"
	"counterpart/protocol"
	"counterpart/protocol/cart"
	"counterpart/protocol/loyalty"
	"counterpart/protocol/stock"

	"github.com/prometheus/client_golang/prometheus"
)

// deps hands the HTTP API what it serves.
func (c *Cloud) deps() api.Deps {
	h := c.hub
	return c.accounts(c.lending(c.outside(api.Deps{
		Import: c.importRows,
		Load:   func(ctx context.Context, id string) (any, error) { return h.Load(ctx, id) },
		Availability: func(ctx context.Context, q api.AvailabilityQuery) (any, error) {
			return h.Availability(ctx, hub.AvailabilityQuery(q))
		},
		Stock: h.Stock,
		Sales: func(ctx context.Context, q api.SalesQuery, each func(any) error) error {
			return h.Sales(ctx, hub.SalesQuery(q), each)
		},
		Sale: func(ctx context.Context, no protocol.ReceiptNo) (any, error) { return h.Sale(ctx, no) },
		Hold: h.Hold, ReleaseHold: h.ReleaseHold,
		SetPolicy:    func(ctx context.Context, r stock.PolicyRequest) (any, error) { return h.SetPolicy(ctx, r) },
		Policies:     func(ctx context.Context, p api.Page) (any, error) { return h.Policies(ctx, hub.Page(p)) },
		Promotions:   func(ctx context.Context, p api.Page) (any, error) { return h.Promotions(ctx, hub.Page(p)) },
		SetProgramme: func(ctx context.Context, d loyalty.Document) (any, error) { return h.SetProgramme(ctx, d) },
		Programmes:   func(ctx context.Context, p api.Page) (any, error) { return h.Programmes(ctx, hub.Page(p)) },
		EnrolMember:  h.EnrolMember,
		Member:       func(ctx context.Context, id protocol.MemberID) (any, error) { return h.Member(ctx, id) },
		Members:      func(ctx context.Context, q api.MemberQuery) (any, error) { return h.Members(ctx, hub.MemberQuery(q)) },
		ChangeMember: func(ctx context.Context, id protocol.MemberID, q loyalty.MemberRequest) (any, error) {
			return h.ChangeMember(ctx, id, q)
		},
		ExportMember: func(ctx context.Context, id protocol.MemberID) (any, error) { return h.ExportMember(ctx, id) },
		EraseMember:  func(ctx context.Context, id protocol.MemberID) (any, error) { return h.EraseMember(ctx, id) },
		Timeline: func(ctx context.Context, id protocol.MemberID, p api.Page) (any, error) {
			return h.Timeline(ctx, id, hub.Page(p))
		},
		WriteContact: h.WriteContact, CloseEntry: h.CloseEntry,
		Cart: func(ctx context.Context, id protocol.MemberID) (any, error) { return h.Cart(ctx, id) },
		ChangeCart: func(ctx context.Context, id protocol.MemberID, q cart.OpRequest) (any, error) {
			return h.ChangeCart(ctx, id, q)
		},
		MergeCart: func(ctx context.Context, id protocol.MemberID, q cart.MergeRequest) (any, error) {
			return h.MergeCart(ctx, id, q)
		},
		NewCart:   h.NewCart,
		GuestCart: func(ctx context.Context, id string) (any, error) { return h.GuestCart(ctx, id) },
		ChangeGuestCart: func(ctx context.Context, id string, q cart.OpRequest) (any, error) {
			return h.ChangeGuestCart(ctx, id, q)
		},
		PlaceOrder: h.PlaceOrder, ActOnOrder: h.ActOnOrder,
		Order: func(ctx context.Context, id protocol.OrderID) (any, error) { return h.Order(ctx, id) },
		Orders: func(ctx context.Context, q api.OrdersQuery, p api.Page) (any, error) {
			return h.Orders(ctx, hub.OrdersQuery(q), hub.Page(p))
		},
		Stores: func(ctx context.Context, p api.Page) (any, error) { return h.Stores(ctx, hub.Page(p)) },
		Agents: func(ctx context.Context, p api.Page) (any, error) { return h.Agents(ctx, hub.Page(p)) },
		Exceptions: func(ctx context.Context, state string, p api.Page) (any, error) {
			return h.Exceptions(ctx, state, hub.Page(p))
		},
		HandleException: h.HandleException,
		Transfers: func(ctx context.Context, state string, p api.Page) (any, error) {
			return h.Transfers(ctx, state, hub.Page(p))
		},
		Status: func(ctx context.Context) (any, error) { return h.Status(ctx, c.deployment()) },
		Connect: func() api.Connect {
			return api.Connect{MQTTURL: c.broker.URL(), Epoch: strconv.FormatUint(h.Epoch(), 10), Protocol: protocol.Version}
		},
		OrderKeys: c.orderKeys, Snapshot: c.snapshot, Backup: c.backup, Ready: h.Ready, Metrics: c.metrics(),
		Fleet: func(ctx context.Context, each func(web.Store)) error {
			return h.Fleet(ctx, func(s hub.FleetStore) { each(web.Store(s)) })
		},
		Find: c.find, People: c.people(), Changed: h.Changed, Log: c.log, InsecureDev: c.cfg.InsecureDev,
	})))
}

// people is what the page of members shows.
func (c *Cloud) people() web.People {
	return web.People{
		Find: func(ctx context.Context, by, value string) ([]loyalty.MemberDocument, error) {
			q := hub.MemberQuery{}
			*map[string]*string{"card": &q.Card, "phone": &q.Phone, "email": &q.Email}[by] = value
			list, err := c.hub.Members(ctx, q)
			return list.Items, err
		},
		Member: c.hub.Member, Cart: c.hub.Cart,
		Leases: func(ctx context.Context, id protocol.MemberID) ([]web.Lease, error) {
			list, err := c.hub.MemberLeases(ctx, id)
			leases := make([]web.Lease, len(list.Items))
			for i, l := range list.Items {
				leases[i] = web.Lease{Store: l.Store, Agent: l.Agent, Holder: l.Holder, Left: l.Left, State: l.State}
			}
			return leases, err
		},
		Timeline: func(ctx context.Context, id protocol.MemberID, limit int) (loyalty.TimelineDocument, error) {
			return c.hub.Timeline(ctx, id, hub.Page{Limit: limit})
		},
	}
}

func (c *Cloud) deployment() hub.Deployment {
	d := hub.Deployment{Version: c.build, Database: "bolt", SafeMode: "ack"}
	if c.copy != nil {
		state := c.copy.State()
		d.SafeMode, d.SecondCopy = "backup", &hub.SecondCopyState{Behind: state.Behind}
		if t := state.Trouble; t != nil {
			d.SecondCopy.Problem, d.SecondCopy.Since = t.Err, t.Since
		}
	}
	return d
}

func (c *Cloud) importRows(ctx context.Context, u api.Upload) (api.Imported, error) {
	rep, err := c.hub.Import(ctx, hub.File{Table: hub.Table(u.Table), Format: u.Format, Store: u.Store, Key: u.Key, Body: u.Body})
	return api.Imported{Good: rep.Applied + rep.Unchanged, Rejected: rep.Rejected, Pending: rep.LoadID != nil, Report: rep}, err
}

func (c *Cloud) snapshot(ctx context.Context, feed string) (io.ReadSeeker, string, uint64, uint64, error) {
	s, err := c.hub.Snapshot(ctx, protocol.FeedID(feed))
	if err != nil {
		return nil, "", 0, 0, err
	}
	return bytes.NewReader(s.Body), s.SHA256, s.Epoch, s.Offset, nil
}

func (c *Cloud) orderKeys(ctx context.Context, store protocol.StoreID, orders []protocol.OrderID) ([]byte, error) {
	d, err := c.hub.OrderKeys(ctx, store, orders)
	if err != nil {
		return nil, err
	}
	return protocol.EncodeMessage(d)
}

// backup copies the database beside itself, since a slow reader must not hold
// an old state of it open, and hands the copy out. Closing deletes it.
func (c *Cloud) backup(ctx context.Context) (io.ReadSeekCloser, error) {
	if err := os.MkdirAll(c.passing(), 0o700); err != nil {
		return nil, err
	}
	folder, err := os.MkdirTemp(c.passing(), "backup-")
	if err != nil {
		return nil, err
	}
	path := filepath.Join(folder, "hub.db")
	if err := c.db.Backup(ctx, path); err != nil {
		return nil, errors.Join(err, os.RemoveAll(folder))
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, errors.Join(err, os.RemoveAll(folder))
	}
	return outgoing{f, folder}, nil
}

// passing is the folder of copies that are on their way out. What a crash has
// left there is deleted at the next start.
func (c *Cloud) passing() string { return filepath.Join(c.cfg.Data, "passing") }

// outgoing is a file that is deleted with its folder when it is closed.
type outgoing struct {
	*os.File
	folder string
}

func (o outgoing) Close() error { return errors.Join(o.File.Close(), os.RemoveAll(o.folder)) }

// Bounds of what the page's search shows.
const (
	findRadiusKm = 50
	findLimit    = 20
)

func (c *Cloud) find(ctx context.Context, q web.Question) (web.Answer, error) {
	doc, err := c.hub.Availability(ctx, hub.AvailabilityQuery{Code: q.Code, Store: q.Store, Lat: q.Lat, Lon: q.Lon, RadiusKm: findRadiusKm, Limit: findLimit})
	answer := web.Answer{SKU: doc.SKU, Name: doc.Name, Unit: doc.Unit}
	for _, r := range doc.Results {
		answer.Results = append(answer.Results, web.Result(r))
	}
	return answer, err
}

// metrics are the figures that a monitoring system collects.
func (c *Cloud) metrics() prometheus.Gatherer {
	reg := prometheus.NewRegistry()
	gauge := func(name, help string, value func(hub.StatusDocument) float64) {
		reg.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{Namespace: "counterpart_hub", Name: name, Help: help}, func() float64 {
			s, err := c.hub.Status(context.Background(), c.deployment())
			if err != nil {
				return 0
			}
			return value(s)
		}))
	}
	gauge("agents", "Agents that ever said hello.", func(s hub.StatusDocument) float64 { return float64(s.Agents) })
	gauge("agents_online", "Agents in session.", func(s hub.StatusDocument) float64 { return float64(s.Online) })
	gauge("events", "Events committed and folded.", func(s hub.StatusDocument) float64 { return float64(s.Events) })
	gauge("dead_letters", "Events stored that could not be folded.", func(s hub.StatusDocument) float64 { return float64(s.DeadLetters) })
	gauge("second_copy_behind_events", "Events committed and not yet synced in the second copy.", func(s hub.StatusDocument) float64 {
		if s.SecondCopy == nil {
			return 0
		}
		return float64(s.SecondCopy.Behind)
	})
	gauge("second_copy_failed", "1 while the second copy cannot be written.", func(s hub.StatusDocument) float64 {
		if s.SecondCopy == nil || s.SecondCopy.Problem == nil {
			return 0
		}
		return 1
	})
	risk := func(name, help string, value func(hub.Exposure) protocol.Points) {
		reg.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{Namespace: "counterpart_points", Name: name, Help: help}, func() float64 {
			e, err := c.hub.Exposure(context.Background())
			if err != nil {
				return 0
			}
			return float64(value(e))
		}))
	}
	risk("exposure_bound", "The most points that stores may have spent beyond their leases without the hub knowing.", func(e hub.Exposure) protocol.Points { return e.Bound })
	risk("at_risk", "Points spent beyond leases that the hub knows of and has not settled yet.", func(e hub.Exposure) protocol.Points { return e.AtRisk })
	gauge("gaps", "Stretches of streams that no disk holds.", func(s hub.StatusDocument) float64 { return float64(s.Gaps) })
	reg.MustRegister(prometheus.NewCounterFunc(prometheus.CounterOpts{
		Namespace: "counterpart_hub", Name: "messages_dropped_total", Help: "Payloads dropped because the hub was behind; their senders send them again.",
	}, func() float64 { return float64(c.broker.Dropped()) }))
	return reg
}
