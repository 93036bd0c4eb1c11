// Package till turns what staff do into events: sales, returns, voids and
// movements of stock.
//
// Three things always hold. What was answered is in the log, because a request
// is answered only when the one transaction that holds all of it has been
// committed. A request that is repeated with its key, or a sale of another POS
// that is reported again, has its effect once. And nothing here waits for the
// network: everything that a sale needs is in the store's own files (I22).
package till

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"counterpart/protocol"
	"counterpart/protocol/gtin"
	"counterpart/protocol/ledger"
	"counterpart/protocol/sale"
)

// Options say whose tills these are and what they work with.
type Options struct {
	Driver ledger.Driver
	// Origin and Series are the present stream and its receipt series; a fork
	// gives others. Training receipts have their own series, which is "T" and
	// the same word.
	Origin protocol.Origin
	Series string
	// Forked says that this machine wrote other streams before.
	Forked bool
	Boot   uint32 // how often this machine's process has started
	// Patterns are the layouts of the chain's weighed and priced codes.
	Patterns []gtin.Pattern
	Now      func() time.Time // the wall clock, as far as it is known to be off corrected
	Mono     func() int64     // milliseconds of running time since the process started
	// Acked is up to where the hub has committed what this machine logged; nil
	// knows nothing of it.
	Acked func() protocol.Seq
	// Confirmed tells whether the hub has confirmed the head of a stream since the
	// process started; nil is never, and then no points are spent.
	Confirmed func(protocol.Inc) bool
	// Online tells whether the machine is in session with the hub.
	Online func() bool
	// Visit asks the hub for a member's points, which then come down as an event.
	// Nil asks nobody.
	Visit func(context.Context, VisitRequest) (VisitAnswer, error)
	// Birthday is a member's (YYYY-MM-DD), empty where it is not known or cannot be
	// read; nil knows nobody's.
	Birthday func(*protocol.Member) string
	// Key is the key of a subject, under which orders are sealed; ok is false where it
	// is not here or cannot be read. Nil has nobody's.
	Key func(subject string) (key protocol.SubjectKey, ok bool)
	// Changed is closed at the next change of what is here; nil never is.
	Changed func() <-chan struct{}
	// Appended is called after an event was committed. It must not block.
	Appended func()
	Log      *slog.Logger
}

func (o Options) withDefaults() Options {
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Mono == nil {
		start := time.Now()
		o.Mono = func() int64 { return time.Since(start).Milliseconds() }
	}
	if o.Acked == nil {
		o.Acked = func() protocol.Seq { return 0 }
	}
	if o.Confirmed == nil {
		o.Confirmed = func(protocol.Inc) bool { return false }
	}
	if o.Online == nil {
		o.Online = func() bool { return false }
	}
	if o.Birthday == nil {
		o.Birthday = func(*protocol.Member) string { return "" }
	}
	if o.Key == nil {
		o.Key = func(string) (key protocol.SubjectKey, ok bool) { return key, false }
	}
	if o.Changed == nil {
		o.Changed = func() <-chan struct{} { return nil }
	}
	if o.Appended == nil {
		o.Appended = func() {}
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	return o
}

// Till records what staff do. Its methods may be called at once.
type Till struct {
	o       Options
	zones   zones
	items   itemIndex
	running runningCalls
	present atomic.Pointer[writer]
	known   atomic.Pointer[knownShop]
	rules   atomic.Pointer[knownRules]
	memory  remembered
	// provisioned is set once and never taken back, like the note behind it.
	provisioned atomic.Bool
	// keyed counts answers that were kept, to prune old ones now and then.
	keyed atomic.Uint64
	prune prunePosition
	// guesses are wrong tries to collect orders.
	guesses guesses
	// loading keeps two runs of ApplyLoads, and of SeeCounts, apart. The
	// transactions alone make them right; this only saves work.
	loading, seeing sync.Mutex
	answering       acknowledging
	open            openParts
	leases          leases
}

// New makes the tills of one machine. Nothing is read or written yet.
func New(o Options) *Till {
	t := &Till{o: o.withDefaults()}
	t.present.Store(&writer{origin: o.Origin, series: o.Series, forked: o.Forked})
	return t
}

// desk reads one state of the store for a request that came at now.
type desk struct {
	*Till
	as   *writer
	r    ledger.Reader
	now  time.Time
	shop *shop
	// kept says that what is shown is kept in the database, where nothing personal
	// may stand in the clear.
	kept bool
	// held is what r has of members, nil until somebody asks (holdings).
	held *ledger.Holdings
}

// act is one request inside its transaction. The driver may run it more than
// once, so it changes nothing but tx and itself.
type act struct {
	desk
	tx   ledger.Tx
	call protocol.Call
	mono int64
	// entry is the act's event on its way into the log; nil until it is needed.
	entry *ledger.Entry
	// logged is the event that the act appended, zero for none.
	logged protocol.EventID
	// sensitive says that the request's body holds something personal.
	sensitive bool
}

// outcome is what a request is answered with. The document holds nothing of
// the transaction.
type outcome struct {
	status   int
	document any
}

// do runs record in one transaction, together with the look-up of a repeated
// call, the check that this machine may sell at all, and the answer's note.
//
// prepare, which may be nil, reads what needs no transaction: the catalogue and
// the store's terms. It runs before, because tills prepare side by side while
// only one transaction runs at a time, and within where no other till is at
// work. What it could not do it keeps for record to refuse, because a repeated
// call is answered first.
func (t *Till) do(ctx context.Context, c protocol.Call, prepare func(*desk), record func(*act) (outcome, error)) (protocol.Answer, error) {
	release, err := t.running.enter(c)
	if err != nil {
		return protocol.Answer{}, err
	}
	defer release()
	for {
		answer, err := t.once(ctx, c, prepare, record)
		if !errors.Is(err, errForked) {
			return answer, err
		}
		if err := t.Refresh(ctx); err != nil {
			return protocol.Answer{}, err
		}
	}
}

// once is do, and fails with errForked where the machine began a new stream
// since it last looked.
func (t *Till) once(ctx context.Context, c protocol.Call, prepare func(*desk), record func(*act) (outcome, error)) (protocol.Answer, error) {
	d, mono, sum := desk{Till: t, as: t.present.Load(), now: t.o.Now()}, t.o.Mono(), c.BodySum()
	ahead := prepare != nil && !t.alone()
	if ahead {
		if err := d.prepare(ctx, prepare); err != nil {
			return protocol.Answer{}, err
		}
	}
	var answer *protocol.Answer
	var out outcome
	var appended, ready bool
	err := t.o.Driver.Update(ctx, func(tx ledger.Tx) error {
		answer, appended, ready = nil, false, false
		if err := d.as.check(tx); err != nil {
			return err
		}
		kept, err := readAnswer(tx, c, sum)
		if err != nil {
			return err
		}
		if kept != nil {
			answer = &kept.answer
			return nil
		}
		if err := t.mayWork(tx); err != nil {
			return err
		}
		ready = true
		a := &act{desk: desk{Till: t, as: d.as, r: ledger.Live(tx), now: d.now, shop: d.shop, kept: true}, tx: tx, call: c, mono: mono}
		if answer, err = a.answerFromEvents(sum); err != nil || answer != nil {
			return err
		}
		if a.shop == nil {
			if a.shop, err = t.readShop(a.r); err != nil {
				return err
			}
		}
		if prepare != nil && !ahead {
			prepare(&a.desk)
		}
		if out, err = record(a); err != nil {
			return err
		}
		appended = !a.logged.IsZero()
		if c.Key == "" {
			return nil
		}
		if answer, err = answerJSON(out); err != nil {
			return err
		}
		return keepAnswer(tx, c, keptAnswer{sum: sum, atMs: d.now.UnixMilli(), event: a.logged, answer: *answer})
	})
	if err != nil {
		return protocol.Answer{}, err
	}
	if ready {
		t.provisioned.Store(true)
	}
	if appended {
		t.o.Appended()
	}
	t.pruneAnswers(ctx, c, d.now)
	if answer == nil {
		if answer, err = answerJSON(out); err != nil {
			return protocol.Answer{}, err
		}
	}
	return *answer, nil
}

// idler is a driver that knows whether a call of Update would be alone.
type idler interface{ Idle() bool }

func (t *Till) alone() bool {
	d, ok := t.o.Driver.(idler)
	return ok && d.Idle()
}

// prepare runs fn on the state that was committed last.
func (d *desk) prepare(ctx context.Context, fn func(*desk)) error {
	return d.o.Driver.View(ctx, func(r ledger.Reader) (err error) {
		d.r = ledger.Live(r)
		if d.shop, err = d.readShop(d.r); err == nil {
			fn(d)
		}
		return err
	})
}

func answerJSON(out outcome) (*protocol.Answer, error) {
	body, err := documentJSON(out.document)
	return &protocol.Answer{Status: out.status, Body: body}, err
}

// documentRoomBytes is enough for the document of most sales.
const documentRoomBytes = 1536

// documentJSON writes a document. That of a sale knows how to write itself,
// which takes a fifth of the time.
func documentJSON(document any) ([]byte, error) {
	if d, ok := document.(*sale.Document); ok {
		return d.AppendJSON(make([]byte, 0, documentRoomBytes)), nil
	}
	return json.Marshal(document)
}

// log appends an event of this machine and folds it.
func (a *act) log(ev *protocol.Event) error {
	ev.Boot, ev.UTCOffsetMin = a.o.Boot, a.shop.offsetMin(a.now)
	if a.call.Key != "" {
		ev.Idempotency = &protocol.Idempotency{Route: a.call.Route, Key: a.call.Key, Body: a.call.BodySum()}
		if ev.Member != nil || ev.Contact != nil || a.sensitive {
			// A sum of what was typed would tell whoever guesses a phone number that
			// the guess is right, also after the person was erased.
			ev.Idempotency.Body = 0
		}
	}
	if err := a.begin(ev.Moves); err != nil {
		return err
	}
	res, err := a.entry.Log(protocol.Clock{WallMs: a.now.UnixMilli(), MonoMs: a.mono}, ev)
	if err != nil {
		return err
	}
	a.logged = protocol.EventID{Inc: a.origin().Inc, Seq: res.Stream.Seq}
	return nil
}

// noteProvisioned marks that every feed which selling needs was there once.
const noteProvisioned = "provisioned"

// mayWork refuses everything until the store, price and catalogue feeds have
// each reached their tail, and never again after that. The note in the same
// transaction keeps it so when the store later moves to another price zone.
func (t *Till) mayWork(tx ledger.Tx) error {
	if t.provisioned.Load() {
		return nil
	}
	note, waiting, err := t.provisioning(tx)
	if err != nil || note {
		return err
	}
	if len(waiting) > 0 {
		names := make([]string, len(waiting))
		for i, feed := range waiting {
			names[i] = string(feed)
		}
		return protocol.Refuse(protocol.NotProvisioned, "This machine has not yet received everything that it needs to sell ("+strings.Join(names, ", ")+
			"). Nothing was recorded. Wait until it has, and check its connection to head office if it takes long.").With("waiting", names)
	}
	return ledger.SetNote(tx, []byte{1}, noteProvisioned)
}

// provisioning tells whether the note is there and, if not, which feeds have
// not reached their tail.
func (t *Till) provisioning(r ledger.Reader) (note bool, waiting []protocol.FeedID, err error) {
	b, err := ledger.Note(r, noteProvisioned)
	if err != nil || b != nil {
		return b != nil, nil, err
	}
	feeds := []protocol.FeedID{protocol.FeedCatalog, protocol.StoreFeed(t.origin().Store)}
	record, err := ledger.ReadStore(r, t.origin().Store)
	if err != nil {
		return false, nil, err
	}
	feeds = append(feeds, protocol.PriceFeed(zoneOf(record)))
	for _, feed := range feeds {
		cursor, err := ledger.ReadCursor(r, feed)
		if err != nil {
			return false, nil, err
		}
		if !cursor.Tail {
			waiting = append(waiting, feed)
		}
	}
	if record == nil && len(waiting) == 0 {
		waiting = append(waiting, protocol.StoreFeed(t.origin().Store))
	}
	return false, waiting, nil
}

// Provisioned tells whether this machine may sell. Once it may, it always may.
func (t *Till) Provisioned(ctx context.Context) (bool, error) {
	if t.provisioned.Load() {
		return true, nil
	}
	var note bool
	var waiting []protocol.FeedID
	err := t.o.Driver.View(ctx, func(r ledger.Reader) (err error) {
		note, waiting, err = t.provisioning(r)
		return err
	})
	if err != nil || !note && len(waiting) > 0 {
		return false, err
	}
	if !note {
		if err := t.o.Driver.Update(ctx, t.mayWork); err != nil {
			return false, err
		}
	}
	t.provisioned.Store(true)
	return true, nil
}
