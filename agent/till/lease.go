package till

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"slices"
	"sync"
	"time"

	"counterpart/protocol"
	"counterpart/protocol/ledger"
	"counterpart/protocol/loyalty"
)

const (
	// visitPatience bounds how long a sale waits for points that were asked for.
	visitPatience = 2 * time.Second
	// visitIdle is how much running time goes by after the last use before what was
	// given for a visit goes back.
	visitIdle = 15 * time.Minute
	// visitAgain is how soon a look-up of the same member asks again.
	visitAgain = time.Minute
	// noteVisit marks a member whose points were asked for, with the stream that
	// may spend them. It is written before the asking, so that no crash leaves
	// points here that nobody gives back.
	noteVisit = "visit"
)

// VisitRequest asks head office for points of a member who is in this store.
type VisitRequest struct {
	Member protocol.MemberID
	Origin protocol.Origin // whose stream is to spend them
	Points protocol.Points // that are needed in all; 0: as many as there are
}

// VisitAnswer is what head office says to that.
type VisitAnswer struct {
	Member  protocol.MemberID // who stands for the member asked for, and is lent the points; empty for that member
	Balance protocol.Points   // over all stores
	Left    protocol.Points   // that the stream may spend, with what is on its way to it
	Coming  bool              // more may come, once other stores have given it back
	// Refused tells that head office lends none of the member's points: nobody is
	// known there by that id, or is no member any more.
	Refused bool
}

// leases is what this process knows of points that it holds for others to ask
// back. It is in memory: a start looks at every lease, and gives back the visits
// of the process before.
type leases struct {
	mu sync.Mutex
	// used is when a visit was asked for or spent of, in running time.
	used map[protocol.MemberID]time.Duration
	// seen is how far the hub's streams were looked through; nil: not at all.
	seen map[protocol.Inc]protocol.Seq

	giving sync.Mutex // keeps two runs of GiveBack apart
}

func (l *leases) use(member protocol.MemberID, at time.Duration, fresh bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.used == nil {
		l.used = map[protocol.MemberID]time.Duration{}
	}
	if _, visits := l.used[member]; visits || fresh {
		l.used[member] = at
	}
}

// idle tells whether a visit was not used for long, or not by this process.
func (l *leases) idle(member protocol.MemberID, now time.Duration) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	at, visits := l.used[member]
	if visits && now-at < visitIdle {
		return false
	}
	delete(l.used, member)
	return true
}

// asked tells whether a visit was asked for or used a moment ago.
func (l *leases) asked(member protocol.MemberID, now time.Duration) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	at, visits := l.used[member]
	return visits && now-at < visitAgain
}

func (t *Till) ranFor() time.Duration { return time.Duration(t.o.Mono()) * time.Millisecond }

// Visit asks head office for the points of a member who is in the store, so that
// they are here when the member pays. It waits for the answer and not for the
// points. Where this machine is not in session with the hub, or has asked within
// visitAgain, it does nothing.
func (t *Till) Visit(ctx context.Context, member protocol.MemberID) error {
	if t.leases.asked(member, t.ranFor()) {
		return nil
	}
	_, err := t.askForPoints(ctx, member, 0)
	return err
}

// asks tells whether head office can be asked for points.
func (t *Till) asks(inc protocol.Inc) bool {
	return t.o.Visit != nil && t.o.Online() && t.o.Confirmed(inc)
}

// askForPoints notes the visit and asks. The answer is nil where nobody was asked.
func (t *Till) askForPoints(ctx context.Context, member protocol.MemberID, points protocol.Points) (*VisitAnswer, error) {
	as := t.present.Load()
	if !t.asks(as.origin.Inc) {
		return nil, nil
	}
	t.leases.use(member, t.ranFor(), true)
	inc := as.origin.Inc
	err := t.o.Driver.Update(ctx, func(tx ledger.Tx) error {
		if err := as.check(tx); err != nil {
			return err
		}
		return ledger.SetNote(tx, inc[:], noteVisit, string(member))
	})
	if err != nil {
		return nil, err
	}
	answer, err := t.o.Visit(ctx, VisitRequest{Member: member, Origin: as.origin, Points: points})
	return &answer, err
}

// fetched is what came of asking for points.
type fetched struct {
	under   protocol.MemberID // to whom they were lent, which this store need not know
	got     bool              // they are here
	balance *protocol.Points  // over all stores; nil: nobody said
	refused bool              // there are none for this member
}

// fetchPoints asks for points and waits, outside of any transaction, until they
// have come down as an event, or for visitPatience.
func (t *Till) fetchPoints(ctx context.Context, member protocol.MemberID, points protocol.Points) fetched {
	ctx, cancel := context.WithTimeout(ctx, visitPatience)
	defer cancel()
	answer, err := t.askForPoints(ctx, member, points)
	if err != nil {
		t.o.Log.Info("points not asked for", "error", err)
	}
	if err != nil || answer == nil {
		return fetched{under: member}
	}
	if answer.Refused {
		return fetched{under: member, refused: true}
	}
	told := fetched{under: cmp.Or(answer.Member, member), balance: &answer.Balance}
	if answer.Left < points && !answer.Coming {
		return told
	}
	for {
		changed, left := t.o.Changed(), protocol.Points(0)
		err := t.o.Driver.View(ctx, func(r ledger.Reader) (err error) {
			left, err = t.left(r, t.origin(), told.under)
			return err
		})
		if err != nil || left >= points {
			told.got = err == nil
			return told
		}
		select {
		case <-ctx.Done():
			return told
		case <-changed:
		}
	}
}

// GiveBack gives back what this machine no longer needs of members' points: what
// the hub asks for, at once, and what was given for a visit, when it was not used
// for visitIdle of running time or belongs to an earlier run of the process. It is
// called after something came down, and now and then. Until the hub has confirmed
// the stream it does nothing, since a restored machine must not say anything of a
// lease either.
func (t *Till) GiveBack(ctx context.Context) error {
	t.leases.giving.Lock()
	defer t.leases.giving.Unlock()
	if !t.o.Confirmed(t.origin().Inc) {
		return nil
	}
	recalled, err := t.recalled(ctx)
	if err != nil {
		return err
	}
	due, err := t.idleVisits(ctx)
	if err != nil {
		return err
	}
	for _, member := range slices.Compact(slices.Sorted(slices.Values(append(due, recalled...)))) {
		err := t.giveBack(ctx, member)
		if errors.Is(err, errForked) {
			return t.Refresh(ctx) // The leases of the stream before are not this machine's any more.
		}
		if err != nil {
			t.leases.forget()
			return err
		}
	}
	return nil
}

// forget makes the next look begin with every lease.
func (l *leases) forget() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.seen = nil
}

// idleVisits lists visits that are over.
func (t *Till) idleVisits(ctx context.Context) (due []protocol.MemberID, err error) {
	now := t.ranFor()
	err = t.o.Driver.View(ctx, func(r ledger.Reader) error {
		due = nil
		return ledger.ScanNotes(r, []string{noteVisit}, func(names []string, value []byte) (bool, error) {
			inc := t.origin().Inc
			if member := protocol.MemberID(names[0]); !bytes.Equal(value, inc[:]) || t.leases.idle(member, now) {
				due = append(due, member)
			}
			return true, nil
		})
	})
	return due, err
}

// recalled lists members of whose points the hub asked something back since it was
// last asked. The first time, and where events in between are not here, it looks at
// every lease.
func (t *Till) recalled(ctx context.Context) (found []protocol.MemberID, err error) {
	t.leases.mu.Lock()
	before := t.leases.seen
	t.leases.mu.Unlock()
	origin, seen := t.origin(), map[protocol.Inc]protocol.Seq{}
	err = t.o.Driver.View(ctx, func(r ledger.Reader) error {
		found = nil
		streams, err := ledger.Streams(r, origin.Store, protocol.HubAgent)
		if err != nil {
			return err
		}
		all := before == nil
		for _, s := range streams {
			seen[s.Origin.Inc] = s.Seq
			if all {
				continue
			}
			whole, err := recallsAfter(r, s.Origin.Inc, before[s.Origin.Inc], s.Seq, origin.Inc, &found)
			if err != nil {
				return err
			}
			all = !whole
		}
		if !all {
			return nil
		}
		found = nil
		return ledger.LeasesOfStore(r, origin.Store, func(member protocol.MemberID, holder protocol.Inc, l *loyalty.Lease) (bool, error) {
			if holder == origin.Inc && l.Recalled() {
				found = append(found, member)
			}
			return true, nil
		})
	})
	if err == nil {
		t.leases.mu.Lock()
		t.leases.seen = seen
		t.leases.mu.Unlock()
	}
	return found, err
}

// recallsAfter adds the members of whose lease events of one stream of the hub
// recall, and tells whether all of the events are here.
func recallsAfter(r ledger.Reader, inc protocol.Inc, from, upTo protocol.Seq, holder protocol.Inc, found *[]protocol.MemberID) (whole bool, err error) {
	next := from + 1
	if from >= upTo {
		return true, nil
	}
	err = ledger.ScanEvents(r, inc, next, func(at protocol.Seq, _ protocol.Hash, rec protocol.Record) (bool, error) {
		if at != next {
			return false, nil
		}
		next++
		e, err := decodeLogged(protocol.EventID{Inc: inc, Seq: at}, rec)
		if err != nil {
			return at < upTo, nil // dead at the fold as well
		}
		if l := e.event.Lease; l != nil && l.Change == protocol.LeaseRecalled && l.Holder == holder {
			*found = append(*found, l.Member)
		}
		return at < upTo, nil
	})
	return next == upTo+1, err
}

// giveBack logs that what is left of a member's points goes back, and forgets the
// visit. What the transaction finds decides, so however often it is called one
// event answers.
func (t *Till) giveBack(ctx context.Context, member protocol.MemberID) error {
	now, mono, as, appended := t.o.Now(), t.o.Mono(), t.present.Load(), false
	err := t.o.Driver.Update(ctx, func(tx ledger.Tx) error {
		appended = false
		if err := as.check(tx); err != nil {
			return err
		}
		visit, err := ledger.Note(tx, noteVisit, string(member))
		if err != nil {
			return err
		}
		ours := bytes.Equal(visit, as.origin.Inc[:]) && t.leases.idle(member, time.Duration(mono)*time.Millisecond)
		lease, err := ledger.ReadLease(tx, ledger.MemberAt{Store: as.origin.Store, Member: member}, as.origin.Inc)
		if err != nil {
			return err
		}
		if visit != nil && (ours || lease.Recalled() || !bytes.Equal(visit, as.origin.Inc[:])) {
			if err := ledger.SetNote(tx, nil, noteVisit, string(member)); err != nil {
				return err
			}
		}
		if !lease.Recalled() && (!ours || lease.Left() == 0) {
			return nil
		}
		a := &act{desk: desk{Till: t, as: as, r: tx, now: now}, tx: tx, mono: mono}
		if a.shop, err = t.readShop(ledger.Live(tx)); err != nil {
			return err
		}
		appended = true
		return a.log(&protocol.Event{Kind: protocol.KindLease, Lease: &protocol.Lease{
			Member: member, Holder: as.origin.Inc, Change: protocol.LeaseClosed, Points: lease.Left(), Recalls: uint32(lease.Recalls),
		}})
	})
	if err == nil && appended {
		t.o.Appended()
	}
	return err
}
