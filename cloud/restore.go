package cloud

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"time"

	"counterpart/cloud/hub"
	"counterpart/cloud/secondcopy"
	"counterpart/protocol"
	"counterpart/protocol/ledger"
	"counterpart/protocol/ledger/bolt"
)

// ErrRefused says that data was left as it is, because using it would lose
// something or give it a second meaning. What a person reads stands in the
// *protocol.Error around it.
var ErrRefused = secondcopy.ErrRefused

// Restore says what to bring back, and where.
type Restore struct {
	// Backup is a copy of the database. Empty: the second copy has everything.
	Backup     string
	Data       string // the hub's folder
	SecondCopy string // empty: there is none
	// AcceptGaps goes on although events that were published as safe are gone.
	AcceptGaps bool
	Log        *slog.Logger
}

// Restored says what Restore did.
type Restored struct {
	Backup   uint64 // events in the backup
	Replayed uint64 // events beyond it, from the second copy
	Torn     int64  // bytes at the second copy's end that were never synced
	Events   uint64 // events that the hub has now
	Streams  int
	Missing  []Missing // what was published as safe and is not there
	Damaged  int64     // bytes of the second copy that cannot be read
	Unsent   uint64    // events of the database before that agents send again
	Epoch    uint64
	Aside    string // where the database before is kept, empty if there was none
}

// Missing is a stretch of a stream that an agent may have forgotten and the hub
// does not have.
type Missing = secondcopy.Missing

// Run brings the hub's database back. It works on a copy beside the database,
// which takes its place at the very end: until then everything is as it was.
// The database before is kept under another name.
func (o Restore) Run(ctx context.Context) (_ *Restored, err error) {
	if o.Backup == "" && o.SecondCopy == "" {
		return nil, usage("Say what to restore: a FILE that counterpart-hub backup has written, or --second-copy FILE, or both.")
	}
	if err := os.MkdirAll(o.Data, 0o700); err != nil {
		return nil, fmt.Errorf("data folder: %w", err)
	}
	before, err := o.openBefore()
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, before.close()) }()
	stage, err := o.openStage()
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, stage.close(), os.RemoveAll(filepath.Dir(stage.path))) }()
	done := &Restored{}
	life, above, err := o.fill(ctx, stage.db, done)
	if err != nil {
		return nil, err
	}
	if err := o.weigh(ctx, before, stage.db, done); err != nil {
		return nil, err
	}
	renewal := hub.Renewal{Identity: life, Above: max(before.epoch, above), Now: time.Now(), AcceptGaps: o.AcceptGaps}
	err = stage.db.Update(ctx, func(tx ledger.Tx) (err error) {
		done.Epoch, err = hub.Renew(tx, renewal)
		return err
	})
	if err != nil {
		return nil, err
	}
	// Windows moves no file that is open.
	if err := errors.Join(stage.close(), before.close()); err != nil {
		return nil, err
	}
	done.Aside, err = install(stage.path, DatabasePath(o.Data))
	return done, err
}

// database is one that takes part in a restore; db is nil where it is missing
// or cannot be read.
type database struct {
	path  string
	db    *bolt.DB
	epoch uint64
}

func (d *database) close() error {
	if d.db == nil {
		return nil
	}
	err := d.db.Close()
	d.db = nil
	return err
}

// openBefore opens the database that is to be replaced, so that no hub uses it
// meanwhile. A damaged one is replaced unseen; one that is in use, newer or
// not a hub's is refused.
func (o Restore) openBefore() (*database, error) {
	d := &database{path: DatabasePath(o.Data)}
	if _, err := os.Stat(d.path); errors.Is(err, fs.ErrNotExist) {
		return d, nil
	}
	db, err := bolt.Open(d.path, bolt.Options{Kind: "hub", Log: o.Log, Verify: true})
	if errors.Is(err, bolt.ErrCorrupt) {
		o.Log.Warn("the database that is replaced is damaged; it is not known what it held", "path", d.path, "error", err)
		return d, nil
	}
	if err != nil {
		return nil, err
	}
	d.db = db
	err = db.View(context.Background(), func(r ledger.Reader) (err error) {
		_, d.epoch, err = hub.Life(r)
		return err
	})
	if err != nil {
		return nil, errors.Join(err, d.close())
	}
	return d, nil
}

// openStage makes the database that will be the hub's, in a folder of its own.
func (o Restore) openStage() (*database, error) {
	folder := filepath.Join(o.Data, "restoring")
	if err := errors.Join(os.RemoveAll(folder), os.Mkdir(folder, 0o700)); err != nil {
		return nil, fmt.Errorf("data folder: %w", err)
	}
	d := &database{path: filepath.Join(folder, "hub.db")}
	err := error(nil)
	if o.Backup != "" {
		err = copyFile(o.Backup, d.path)
	}
	if err == nil {
		d.db, err = bolt.Open(d.path, bolt.Options{Kind: "hub", SizeMax: databaseBytesMax, Log: o.Log, Verify: true})
	}
	if err == nil {
		return d, nil
	}
	err = errors.Join(err, os.RemoveAll(folder))
	if o.Backup == "" {
		return nil, err
	}
	return nil, &protocol.Error{
		Code: protocol.CodeOf(err), Err: err,
		Message: fmt.Sprintf("The backup %s cannot be used. Nothing was changed. Give another one. (%s)", o.Backup, protocol.AsError(err).Message),
	}
}

func copyFile(from, to string) error {
	in, err := os.Open(from)
	if err != nil {
		return &protocol.Error{Code: protocol.NotFound, Message: err.Error(), Err: err}
	}
	defer in.Close()
	out, err := os.OpenFile(to, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	_, err = io.Copy(out, in)
	return errors.Join(err, out.Sync(), out.Close())
}

// fill checks the backup and puts on top what the second copy holds. It returns
// which database it is, and the last epoch that the second copy knows of.
func (o Restore) fill(ctx context.Context, db *bolt.DB, done *Restored) (life hub.Identity, epoch uint64, err error) {
	if err := db.Check(ctx); err != nil {
		return life, 0, err
	}
	err = db.View(ctx, func(r ledger.Reader) (err error) {
		if life, _, err = hub.Life(r); err == nil {
			done.Backup, err = o.checkChains(ctx, r)
		}
		return err
	})
	if err != nil || o.SecondCopy == "" {
		return life, 0, err
	}
	id, err := secondcopy.ReadID(o.SecondCopy)
	if err != nil {
		return life, 0, err
	}
	if o.Backup == "" {
		life = hub.Identity(id)
	}
	if secondcopy.ID(life) != id {
		return life, 0, refuse("The backup %s and the second copy %s belong to different hubs. Nothing was changed. Give the two that belong together.", o.Backup, o.SecondCopy)
	}
	telling, err := hub.Telling(ctx, db, time.Now)
	if err != nil {
		return life, 0, err
	}
	replayed, err := secondcopy.Replay(ctx, o.SecondCopy, telling)
	done.Replayed, done.Torn, done.Damaged, done.Missing = replayed.Events, replayed.Torn, replayed.Damaged, replayed.Missing
	return life, replayed.Epoch, err
}

// checkChains recomputes the chain of every stream of the backup and counts its
// events: what is damaged inside a page shows nowhere else.
func (o Restore) checkChains(ctx context.Context, r ledger.Reader) (events uint64, err error) {
	all, err := ledger.AllStreams(r)
	if err != nil {
		return 0, err
	}
	gaps, err := ledger.Gaps(r, "")
	if err != nil {
		return 0, err
	}
	for _, info := range all {
		last, head := protocol.Seq(0), info.Origin.Genesis()
		overGaps := func() {
			for _, g := range gaps {
				if g.Origin == info.Origin && g.From == last+1 {
					last, head = g.To, g.Hash
				}
			}
		}
		err := ledger.ScanEvents(r, info.Origin.Inc, 1, func(seq protocol.Seq, hash protocol.Hash, rec protocol.Record) (bool, error) {
			if seq != last+1 {
				overGaps()
			}
			if seq != last+1 || head.Next(rec) != hash {
				return false, o.unsound(info, seq)
			}
			last, head = seq, hash
			return true, ctx.Err()
		})
		if overGaps(); err == nil && (last != info.Seq || head != info.Head()) {
			err = o.unsound(info, last)
		}
		if err != nil {
			return 0, err
		}
		events += uint64(info.Seq)
	}
	return events, nil
}

func (o Restore) unsound(s ledger.StreamInfo, seq protocol.Seq) error {
	return refuse("The backup %s is damaged: event %d of agent %s is not what was written. Nothing was changed. Give another backup, "+
		"or the second copy alone.", o.Backup, seq, s.Origin.Agent)
}

func size(r ledger.Reader) (events uint64, streams int, err error) {
	all, err := ledger.AllStreams(r)
	for _, s := range all {
		events += uint64(s.Seq)
	}
	return events, len(all), err
}

// weigh counts what is missing of what was published as safe, and refuses to
// lose it unless the operator accepts that. With a second copy safe followed
// that; without one everything that the hub acknowledged counts.
func (o Restore) weigh(ctx context.Context, before *database, db *bolt.DB, done *Restored) error {
	if before.db != nil {
		lost, err := lacking(ctx, before.db, db)
		if err != nil {
			return err
		}
		if o.SecondCopy == "" {
			done.Missing = lost
		}
		for _, m := range lost {
			done.Unsent += m.Events()
		}
	}
	err := db.View(ctx, func(r ledger.Reader) (err error) {
		done.Events, done.Streams, err = size(r)
		return err
	})
	if err != nil || o.AcceptGaps || len(done.Missing) == 0 && done.Damaged == 0 {
		return err
	}
	return refuse("%s. Nothing was changed. Give a newer backup, or the second copy with --second-copy. "+
		"If there is none, add --accept-gaps: agents then send again what they still hold, and the rest is recorded as a gap.", done.Loss())
}

// lacking lists what one database holds and the other does not.
func lacking(ctx context.Context, has, lacks *bolt.DB) ([]Missing, error) {
	var all []ledger.StreamInfo
	err := has.View(ctx, func(r ledger.Reader) (err error) {
		all, err = ledger.AllStreams(r)
		return err
	})
	if err != nil {
		return nil, err
	}
	var list []Missing
	err = lacks.View(ctx, func(r ledger.Reader) error {
		list = list[:0]
		for _, info := range all {
			s, err := ledger.ReadStream(r, info.Origin)
			if err != nil {
				return err
			}
			if s.Seq < info.Seq {
				list = append(list, Missing{Origin: info.Origin, From: s.Seq + 1, To: info.Seq})
			}
		}
		return nil
	})
	return list, err
}

// lossStreams is how many streams Loss names.
const lossStreams = 5

// Loss says in a sentence what is missing.
func (r *Restored) Loss() string {
	text, events := "", uint64(0)
	for i, m := range r.Missing {
		events += m.Events()
		switch {
		case i < lossStreams:
			text += fmt.Sprintf("; %d to %d of %s %s (%s)", m.From, m.To, m.Origin.Store, m.Origin.Agent, m.Origin.Inc)
		case i == lossStreams:
			text += "; and more"
		}
	}
	text = fmt.Sprintf("%d events of %d streams that agents may have taken for safe would be missing%s", events, len(r.Missing), text)
	if r.Damaged > 0 {
		text += fmt.Sprintf("; %d bytes of the second copy cannot be read, and it is not known what stood there", r.Damaged)
	}
	return text
}

// SyncFolder makes the name of a file durable.
func SyncFolder(path string) error { return secondcopy.SyncFolder(path) }

func refuse(format string, args ...any) error {
	return &protocol.Error{Code: protocol.Conflict, Message: fmt.Sprintf(format, args...), Err: ErrRefused}
}

// install gives a file the name of the database and keeps the one that had it.
// There is no moment without a database under that name: a hub that is started
// then would begin an empty one.
func install(from, to string) (aside string, err error) {
	if _, err := os.Lstat(to); err == nil {
		if aside, err = setAside(to); err != nil {
			return "", err
		}
	}
	if err := os.Rename(from, to); err != nil {
		return aside, err
	}
	return aside, secondcopy.SyncFolder(to)
}

// setAside gives a file a second name, the first that is free.
func setAside(path string) (string, error) {
	for n := 1; ; n++ {
		aside := fmt.Sprintf("%s.before-restore-%d", path, n)
		err := os.Link(path, aside)
		switch {
		case err == nil:
			return aside, nil
		case errors.Is(err, fs.ErrExist):
		default:
			// The file system has no links.
			if _, err := os.Lstat(aside); err == nil {
				continue
			}
			return aside, os.Rename(path, aside)
		}
	}
}
