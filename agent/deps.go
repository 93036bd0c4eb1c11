package agent

import (
	"context"
	"strconv"
	"time"

	"counterpart/agent/api"
	"counterpart/agent/till"
	"counterpart/agent/uplink"
	"counterpart/protocol"
	"counterpart/protocol/ledger"

	"github.com/prometheus/client_golang/prometheus"
)

// deps hands the local API what it serves.
func (a *Agent) deps() api.Deps {
	return api.Deps{
		Sell: a.till.Sell, Quote: a.till.Quote, Return: a.till.Return, Void: a.till.Void, Move: a.till.Move, Fulfil: a.till.Fulfil, Order: a.till.Order, Orders: a.till.Orders,
		EnrolMember: a.enrolMember, Member: a.member, Members: a.members,
		GiftCard: a.giftCard, Accounts: a.accounts,
		Cart: a.cart, Timeline: a.timeline, WriteContact: a.writeContact, CloseEntry: a.closeEntry,
		Sale: a.till.Sale, Stock: a.till.Stock, Items: a.till.Items, ItemsOf: a.till.ItemsOf, LastSales: a.till.LastSales,
		EventsAfter: a.eventsAfter, OrdersAfter: a.ordersAfter, Status: a.status, Exceptions: a.exceptions, HandleException: a.handleException, Transfers: a.till.Transfers,
		Ready: a.ready, Changed: a.changes.Next,
		Metrics: a.metrics(), Log: a.log, InsecureDev: a.cfg.InsecureDev,
	}
}

func (a *Agent) eventsAfter(ctx context.Context, after protocol.Seq, limit int) ([]api.Event, error) {
	docs, err := a.till.EventsAfter(ctx, after, limit)
	if err != nil {
		return nil, err
	}
	events := make([]api.Event, len(docs))
	for i, d := range docs {
		events[i] = api.Event{Seq: d.Seq, Name: d.Name, Data: d.Data}
	}
	return events, nil
}

func (a *Agent) ordersAfter(ctx context.Context, after string) (api.ChangedOrders, error) {
	c, err := a.till.OrdersAfter(ctx, after)
	return api.ChangedOrders(c), err
}

// ready tells whether the agent can sell; the hub need not be reachable.
func (a *Agent) ready(ctx context.Context) error {
	if a.disk.read().State == "full" {
		return protocol.Refuse(protocol.DiskFull, "The disk is full, so nothing can be sold. Everything that was sold is safe. Make room.")
	}
	ok, err := a.till.Provisioned(ctx)
	if err == nil && !ok {
		err = protocol.Refuse(protocol.NotProvisioned, "This machine has not yet received everything that it needs to sell. Wait until it has.")
	}
	return err
}

// local is what the status shows from the agent's own database.
type local struct {
	store    *protocol.StoreRecord
	stream   ledger.Stream
	oldestMs int64
	dead     int
}

func (a *Agent) readLocal(ctx context.Context, ack protocol.Seq) (l local, err error) {
	err = a.db.View(ctx, func(r ledger.Reader) error {
		var err error
		if l.store, err = ledger.ReadStore(r, a.origin().Store); err != nil {
			return err
		}
		if l.stream, err = ledger.ReadStream(r, a.origin()); err != nil {
			return err
		}
		dead, err := ledger.DeadLetters(r)
		if err != nil {
			return err
		}
		l.dead = len(dead)
		if ack < l.stream.Seq {
			rec, _, err := ledger.ReadEvent(r, protocol.EventID{Inc: a.origin().Inc, Seq: ack + 1})
			l.oldestMs = rec.WallMs
			return err
		}
		return nil
	})
	return l, err
}

func (a *Agent) status(ctx context.Context) api.Status {
	up := a.uplink().Status()
	l, err := a.readLocal(ctx, up.Ack)
	if err != nil {
		a.log.Error("status not read", "error", err)
	}
	zone := time.UTC
	s := api.Status{Agent: a.origin().Agent, Store: a.origin().Store, Version: a.build, Protocol: protocol.Version, DeadLetters: uint64(l.dead)}
	if l.store != nil {
		s.Primary = l.store.Primary == a.origin().Agent
		s.Currency = &l.store.Currency
		if z, err := time.LoadLocation(l.store.Timezone); err == nil {
			zone = z
		}
		date := till.BusinessDate(a.now(), zone)
		s.BusinessDate = &date
	}
	s.Link = api.Link{State: string(up.Link.State), Since: rfc3339(up.Link.Since, zone)}
	if up.Link.Cause != "" {
		s.Link.Cause = &up.Link.Cause
	}
	ack := min(up.Ack, l.stream.Seq)
	s.Stream = api.Stream{Inc: a.origin().Inc.String(), LastSeq: l.stream.Seq, AckSeq: ack, SafeSeq: min(up.Safe, ack), Pending: uint64(l.stream.Seq - ack)}
	if l.oldestMs > 0 {
		at := rfc3339(time.UnixMilli(l.oldestMs), zone)
		s.Stream.OldestPendingAt = &at
	}
	s.Feeds = feedStatus(up.Feeds)
	if up.HubHeard {
		offset := up.ClockOffset.Milliseconds()
		s.Clock = api.Clock{OffsetMs: &offset}
	}
	d := a.disk.read()
	s.Disk = api.Disk{State: d.State, FreeBytes: uint64(max(d.FreeBytes, 0)), DataBytes: uint64(d.DataBytes)}
	return s
}

func feedStatus(feeds []uplink.FeedStatus) []api.Feed {
	list := make([]api.Feed, len(feeds))
	for i, f := range feeds {
		list[i] = api.Feed{Feed: string(f.Feed), Epoch: strconv.FormatUint(f.Epoch, 10), Offset: f.Offset, State: f.State, Behind: f.Behind}
	}
	return list
}

func rfc3339(t time.Time, zone *time.Location) string { return t.In(zone).Format(protocol.TimeLayout) }

func (a *Agent) exceptions(ctx context.Context) ([]api.Exception, error) {
	out := []api.Exception{}
	err := a.db.View(ctx, func(r ledger.Reader) error {
		out = out[:0]
		own, err := a.ownWork(r)
		if err != nil {
			return err
		}
		items, err := ledger.WorkItems(r, own...)
		for i := range items {
			doc, err := items[i].Document(r)
			if err != nil {
				return err
			}
			out = append(out, doc)
		}
		return err
	})
	return out, err
}

// ownWork is what a person has to look at and no event says.
func (a *Agent) ownWork(r ledger.Reader) ([]ledger.WorkItem, error) {
	alert, err := readDigestAlert(r)
	if err != nil || alert == nil {
		return nil, err
	}
	return []ledger.WorkItem{alert.work(a.origin())}, nil
}

func (a *Agent) handleException(ctx context.Context, c protocol.Call, id, action string, q ledger.HandleRequest) (protocol.Answer, error) {
	return a.till.HandleException(ctx, c, id, action, q, a.ownWork)
}

// metrics are the figures that a monitoring system collects.
func (a *Agent) metrics() prometheus.Gatherer {
	reg := prometheus.NewRegistry()
	gauge := func(name, help string, value func() float64) {
		reg.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{Namespace: "counterpart_agent", Name: name, Help: help}, value))
	}
	last := func() protocol.Seq {
		l, err := a.readLocal(context.Background(), 0)
		if err != nil {
			return 0
		}
		return l.stream.Seq
	}
	gauge("events_last_seq", "Number of the last event in the agent's log.", func() float64 { return float64(last()) })
	gauge("events_acked_seq", "Number of the last event that the hub has committed.", func() float64 { return float64(a.uplink().Status().Ack) })
	gauge("events_pending", "Events that the hub has not yet committed.", func() float64 {
		return float64(last() - min(last(), a.uplink().Status().Ack))
	})
	gauge("link_online", "1 while the agent is in session with the hub.", func() float64 {
		if a.uplink().Status().Link.State == uplink.Online {
			return 1
		}
		return 0
	})
	reg.MustRegister(prometheus.NewCounterFunc(prometheus.CounterOpts{
		Namespace: "counterpart_agent", Name: "pickup_codes_wrong_total", Help: "Tries to collect an order with a wrong code or phone number.",
	}, func() float64 { return float64(a.till.WrongCodes()) }))
	gauge("disk_free_bytes", "Room on the disk of the database.", func() float64 { return float64(a.disk.read().FreeBytes) })
	gauge("database_bytes", "Size of the database.", func() float64 { return float64(a.disk.read().DataBytes) })
	return reg
}
