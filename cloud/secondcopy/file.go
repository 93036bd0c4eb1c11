package secondcopy

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"

	"counterpart/protocol"
	"counterpart/protocol/ledger"
)

// file is the file below a copy; a test puts one there whose disk fails.
type file interface {
	io.ReaderAt
	io.WriterAt
	Sync() error
	Truncate(size int64) error
	Close() error
}

func openFile(path string) (file, error) {
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		return nil, err
	}
	return f, nil
}

// place is how far a file holds a stream, and its last record of it.
type place struct {
	seq   protocol.Seq
	first protocol.Seq
	prev  protocol.Hash
}

// load opens the file, or makes it, and reads what it holds.
func (c *Copy) load(ctx context.Context) (map[protocol.Origin]*place, error) {
	size, err := regularSize(c.o.Path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, c.create()
	}
	if err != nil {
		return nil, unusable(c.o.Path, err)
	}
	if c.f, err = c.tune.open(c.o.Path); err != nil {
		return nil, unusable(c.o.Path, err)
	}
	id, err := readHeader(c.f, size)
	switch {
	case errors.Is(err, errCutShort):
		// Its making was interrupted before anything was in it.
		return nil, errors.Join(c.shut(), c.create())
	case errors.Is(err, errNotACopy):
		return nil, refuse(err, "The file %s is not a second copy. It was left as it is. Correct --second-copy, or move the file away.", c.o.Path)
	case err != nil:
		return nil, unusable(c.o.Path, err)
	case id != c.o.ID:
		return nil, refuse(fmt.Errorf("it names %x, the database is %x", id, c.o.ID), "The second copy %s belongs to another hub's database. "+
			"Nothing was changed. If this hub's database was lost, bring it back: counterpart-hub restore BACKUP --second-copy %s. "+
			"Otherwise correct --second-copy, or move the file away.", c.o.Path, c.o.Path)
	}
	s := newScanner(c.f, size)
	held, err := c.index(ctx, s)
	var damage *damageError
	switch {
	case errors.Is(err, ErrRefused):
		return nil, err
	case err != nil && !errors.As(err, &damage):
		return nil, unusable(c.o.Path, err)
	}
	if err := c.compare(ctx, held); err != nil {
		return nil, err
	}
	c.end = s.at
	if damage == nil {
		return held, nil
	}
	return c.mend(held, size, damage)
}

func regularSize(path string) (int64, error) {
	info, err := os.Stat(path)
	if err != nil {
		return 0, err
	}
	if !info.Mode().IsRegular() {
		return 0, errors.New("it is not a regular file")
	}
	return info.Size(), nil
}

// index reads the whole file and finds how far it holds each stream. A stream
// has holes only where the database has gaps.
func (c *Copy) index(ctx context.Context, s *scanner) (map[protocol.Origin]*place, error) {
	type hole struct {
		of   protocol.Origin
		from protocol.Seq
	}
	gaps := map[hole]protocol.Seq{}
	err := c.o.Driver.View(ctx, func(r ledger.Reader) error {
		all, err := ledger.Gaps(r, "")
		for _, g := range all {
			gaps[hole{g.Origin, g.From}] = g.To
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	held := map[protocol.Origin]*place{}
	for ctx.Err() == nil {
		at := s.at
		rec, err := s.next()
		if err == io.EOF {
			return held, nil
		}
		if err != nil {
			return held, err
		}
		p := held[rec.Origin]
		if p == nil {
			p = &place{}
			held[rec.Origin] = p
		}
		want := p.seq + 1
		if to := gaps[hole{rec.Origin, want}]; to > 0 {
			want = to + 1
		}
		if rec.FirstSeq != want {
			return held, otherEvents(c.o.Path, fmt.Errorf("at byte %d events of %s %s begin with %d instead of %d", at, rec.Origin.Agent, rec.Origin.Inc, rec.FirstSeq, want))
		}
		*p = place{seq: rec.FirstSeq + protocol.Seq(rec.Count) - 1, first: rec.FirstSeq, prev: rec.PrevHash}
		c.last = at
	}
	return held, ctx.Err()
}

// compare refuses a copy that holds what the database does not: then the
// database is an older one, and to go on would give numbers a second meaning.
func (c *Copy) compare(ctx context.Context, held map[protocol.Origin]*place) error {
	ahead, streams := uint64(0), 0
	var other []string
	err := c.o.Driver.View(ctx, func(r ledger.Reader) error {
		for o, p := range held {
			s, err := ledger.ReadStream(r, o)
			if err != nil {
				return err
			}
			if s.Seq < p.seq {
				ahead += uint64(p.seq - s.Seq)
				streams++
				continue
			}
			_, prev, err := ledger.Records(r, o, p.first, 1, 1)
			if err != nil && !errors.Is(err, ledger.ErrTrimmed) {
				return err
			}
			if err == nil && prev != p.prev {
				other = append(other, fmt.Sprintf("%s of %s", o.Inc, o.Agent))
			}
		}
		return nil
	})
	switch {
	case err != nil:
		return err
	case ahead > 0:
		return refuse(fmt.Errorf("%d events of %d streams", ahead, streams), "The second copy %s holds %d events that the database lacks: the database is an older one. "+
			"Nothing was changed. Bring the rest back: counterpart-hub restore BACKUP --second-copy %s. "+
			"If those events are to be given up, move the copy away and start again.", c.o.Path, ahead, c.o.Path)
	case len(other) > 0:
		return otherEvents(c.o.Path, errors.New(strings.Join(other, ", ")))
	}
	return nil
}

func otherEvents(path string, cause error) error {
	return refuse(cause, "The second copy %s holds other events than the database. Nothing was changed. Keep both files and call support.", path)
}

// mend makes a file usable again that is damaged from c.end on. The database
// has everything that is lost with it.
func (c *Copy) mend(held map[protocol.Origin]*place, size int64, damage *damageError) (map[protocol.Origin]*place, error) {
	if size-c.end <= c.tune.tornBytes {
		c.o.Log.Warn("the end of the second copy was torn off and is written again", "path", c.o.Path, "bytes", size-c.end, "error", damage)
		if err := errors.Join(c.f.Truncate(c.end), c.f.Sync()); err != nil {
			return nil, unusable(c.o.Path, err)
		}
		return held, nil
	}
	aside, err := freeName(c.o.Path + ".damaged-")
	if err == nil {
		err = errors.Join(c.shut(), os.Rename(c.o.Path, aside))
	}
	if err != nil {
		return nil, unusable(c.o.Path, err)
	}
	c.o.Log.Error("the second copy is damaged; it is kept aside and a new one is written. Replace its disk", "path", c.o.Path, "aside", aside, "error", damage)
	return nil, c.create()
}

// freeName is the first name of prefix and a number that no file has.
func freeName(prefix string) (string, error) {
	for n := 1; ; n++ {
		name := fmt.Sprintf("%s%d", prefix, n)
		if _, err := os.Lstat(name); errors.Is(err, fs.ErrNotExist) {
			return name, nil
		} else if err != nil {
			return "", err
		}
	}
}

// create makes an empty copy under another name and gives it its own when it is
// on the disk.
func (c *Copy) create() error {
	temp := c.o.Path + ".new"
	err := os.WriteFile(temp, header(c.o.ID), 0o600)
	if err != nil {
		return unusable(c.o.Path, err)
	}
	defer func() { _ = os.Remove(temp) }()
	if c.f, err = c.tune.open(temp); err != nil {
		return unusable(c.o.Path, err)
	}
	if err := errors.Join(c.f.Sync(), c.shut(), os.Rename(temp, c.o.Path), SyncFolder(c.o.Path)); err != nil {
		return unusable(c.o.Path, err)
	}
	if c.f, err = c.tune.open(c.o.Path); err != nil {
		return unusable(c.o.Path, err)
	}
	c.end, c.last = headerBytes, 0
	c.o.Log.Warn("a new second copy was made", "path", c.o.Path)
	return nil
}

// reopen opens the file after the disk failed, and cuts off what was written
// but not synced. Where the file is gone none is made: its disk may not be
// mounted, and another disk must not take its place unnoticed.
func (c *Copy) reopen() (err error) {
	size, err := regularSize(c.o.Path)
	if err != nil {
		return err
	}
	if c.f, err = c.tune.open(c.o.Path); err != nil {
		return err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, c.shut())
		}
	}()
	id, err := readHeader(c.f, size)
	if err != nil {
		return err
	}
	if id != c.o.ID {
		return errors.New("the file is now another database's copy")
	}
	if size < c.end {
		return fmt.Errorf("the file has %d bytes, and %d were synced. Start the hub anew to have it checked", size, c.end)
	}
	if c.last > 0 {
		if _, n, err := newScanner(c.f, size).record(c.last); err != nil || c.last+n != c.end {
			return errors.Join(errors.New("the end of the file is not what was synced. Start the hub anew to have it checked"), err)
		}
	}
	return errors.Join(c.f.Truncate(c.end), c.f.Sync())
}

// unusable is the error of a copy that cannot be used at the start.
func unusable(path string, cause error) error {
	return &protocol.Error{
		Code: protocol.Internal, Err: cause,
		Message: fmt.Sprintf("The second copy %s cannot be used: %v. Nothing was lost. Check that its disk is there, has room and may be written, then start again.", path, cause),
	}
}

// SyncFolder makes the name of a file durable. Windows has no such call and
// writes names with the file.
func SyncFolder(path string) error {
	if runtime.GOOS == "windows" {
		return nil
	}
	d, err := os.Open(filepath.Dir(path))
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}
