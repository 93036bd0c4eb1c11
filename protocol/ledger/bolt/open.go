package bolt

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"runtime/debug"
	"strconv"
	"time"

	bbolt "go.etcd.io/bbolt"
	berrors "go.etcd.io/bbolt/errors"
)

// formatVersion is the layout of the buckets. A file with a higher one is
// refused.
const formatVersion = 1

// pageSize is the same on every machine, whatever its memory pages are, so that
// a file has one cost per commit and can be moved.
const pageSize = 4096

// newSuffix marks a file whose creation has not ended.
const newSuffix = ".new-"

var (
	metaBucket = []byte("meta")
	metaFormat = []byte("format")
	metaKind   = []byte("kind")
	metaOwner  = []byte("owner")
	metaMade   = []byte("created")
)

// Open opens the file at path and makes it first when there is none.
//
// A file is looked at without being opened for writing until it is known to be
// whole and ours, so a refused file stays as it was.
func Open(path string, o Options) (*DB, error) {
	o = o.withDefaults()
	if o.Kind == "" {
		return nil, errors.New("bolt: Options.Kind is empty")
	}
	if err := removeLeftovers(path); err != nil {
		return nil, unopened(path, err)
	}
	_, err := os.Stat(path)
	fresh := errors.Is(err, fs.ErrNotExist)
	if fresh {
		err = create(path, o)
	}
	if err != nil {
		return nil, unopened(path, err)
	}
	state, unowned, err := examine(path, o)
	if err != nil {
		return nil, err
	}
	sound := fresh || o.Verify || closedInOrder(path, &state)
	if !sound {
		if sound, err = o.checkUnclean(path); err != nil {
			return nil, err
		}
	}
	if sound && o.Room != nil && mostlyFree(&state) {
		compact(path, o, &state)
	}
	h, err := openHandle(path, bbolt.Options{Timeout: o.LockTimeout, MaxSize: clampInt(o.SizeMax), InitialMmapSize: mapSize(o), FreelistType: freelistType(o)})
	if err != nil {
		return nil, err
	}
	db := &DB{
		path: path, o: o, handle: h, log: o.Log,
		queue: make(chan *call, groupMax), wake: make(chan struct{}, 1), quit: make(chan struct{}), stopped: make(chan struct{}),
		failed: make(chan struct{}), sound: sound,
	}
	db.committer.session.path = path
	db.committer.timer = time.NewTimer(time.Hour)
	db.committer.timer.Stop()
	h.bolt.AllocSize = db.allocSize()
	if unowned && o.Owner != "" {
		if err := h.bolt.Update(func(tx *bbolt.Tx) error {
			return tx.Bucket(metaBucket).Put(metaOwner, []byte(o.Owner))
		}); err != nil {
			_ = h.close(false)
			return nil, unopened(path, err)
		}
	}
	if err := db.settleOpened(); err != nil {
		_ = h.close(false)
		return nil, unopened(path, err)
	}
	go db.commitLoop(false)
	return db, nil
}

func (db *DB) sizeMax() int { return clampInt(db.o.SizeMax) }

// allocSize is the step in which the file grows. Near a low limit it is small,
// because bbolt adds it to every growth.
func (db *DB) allocSize() int {
	step := 16 << 20
	if limit := db.sizeMax(); limit > 0 {
		step = min(step, max(limit/16, 16*pageSize))
	}
	return step
}

// mapSize is how much address space is reserved. bbolt has to wait for all
// readers, and keeps new ones waiting, when the file outgrows the map. Windows
// makes the file as long as the map, and 32 bits have no room: both map what
// they need.
func mapSize(o Options) int {
	const reserve = 4 << 30
	if isWindows || strconv.IntSize < 64 {
		return 0
	}
	if o.SizeMax > 0 {
		return clampInt(o.SizeMax + o.SizeMax/4 + 1<<20)
	}
	return clampInt(reserve)
}

// freelistType is how free pages are found. The array gives out the lowest ones
// first, so that the dozen pages of a sale mostly lie side by side and reach
// the disk in few writes. It is slow only where long runs of pages are wanted
// from many that are free, as the hub's large transactions do.
func freelistType(o Options) bbolt.FreelistType {
	if o.Kind == "agent" {
		return bbolt.FreelistArrayType
	}
	return bbolt.FreelistMapType
}

func clampInt(n int64) int { return int(min(n, math.MaxInt)) }

// openHandle opens the file with bbolt. A panic inside bbolt becomes an error
// and the file with its lock is released.
func openHandle(path string, options bbolt.Options) (h handle, err error) {
	defer debug.SetPanicOnFault(debug.SetPanicOnFault(true))
	var file *os.File
	defer func() {
		if r := recover(); r != nil {
			err = corrupt(path, recovered(r))
		}
		if err != nil {
			if file != nil {
				_ = file.Close()
			}
			h = handle{}
		}
	}()
	options.FreelistType = cmp.Or(options.FreelistType, bbolt.FreelistMapType)
	options.PageSize = pageSize
	options.OpenFile = func(name string, flag int, mode os.FileMode) (*os.File, error) {
		// Never O_CREATE: a new file comes from create alone.
		f, err := os.OpenFile(name, flag&^os.O_CREATE, mode)
		file = f
		return f, err
	}
	b, err := bbolt.Open(path, 0o600, &options)
	switch {
	case err == nil && !isAt(path, file):
		_ = b.Close()
		return h, locked(path)
	case err == nil:
		return handle{bolt: b, file: file}, nil
	case errors.Is(err, berrors.ErrTimeout):
		return h, locked(path)
	case errors.Is(err, berrors.ErrInvalid), errors.Is(err, berrors.ErrChecksum), errors.Is(err, berrors.ErrVersionMismatch):
		return h, corrupt(path, err)
	default:
		return h, unopened(path, err)
	}
}

// isAt tells whether the file is still the one of that name. While this process
// waited for the lock another one may have put a compacted copy in its place.
func isAt(path string, file *os.File) bool {
	own, err := file.Stat()
	if err != nil {
		return false
	}
	named, err := os.Stat(path)
	return err == nil && os.SameFile(own, named)
}

// examine decides whether the file may be used, under a shared lock and without
// writing. It returns the state that the file is in, and whether it has no owner
// yet.
func examine(path string, o Options) (state metas, unowned bool, err error) {
	if info, err := os.Stat(path); err != nil {
		return state, false, unopened(path, err)
	} else if !info.Mode().IsRegular() {
		return state, false, foreign(path, errors.New("it is not a regular file"))
	} else if info.Size() == 0 {
		return state, false, corrupt(path, errors.New("it is empty"))
	}
	h, openErr := openHandle(path, bbolt.Options{Timeout: o.LockTimeout, ReadOnly: true})
	var system *fs.PathError
	if errors.Is(openErr, ErrLocked) || errors.As(openErr, &system) {
		return state, false, openErr
	}
	if openErr == nil {
		defer func() { _ = h.close(false) }()
	}
	file, err := os.Open(path)
	if err != nil {
		return state, false, unopened(path, err)
	}
	defer func() { _ = file.Close() }()
	if state, err = survey(path, file, o.Verify, o.Log); err != nil {
		return state, false, err
	}
	if openErr != nil {
		return state, false, openErr
	}
	unowned, err = identify(path, h.bolt, o)
	return state, unowned, err
}

// identify compares what the file says about itself with what is expected.
func identify(path string, b *bbolt.DB, o Options) (unowned bool, err error) {
	defer debug.SetPanicOnFault(debug.SetPanicOnFault(true))
	btx, err := b.Begin(false)
	if err != nil {
		return false, corrupt(path, err)
	}
	defer func() {
		r := recover()
		_ = btx.Rollback()
		if r != nil {
			err = corrupt(path, recovered(r))
		}
	}()
	meta := btx.Bucket(metaBucket)
	if meta == nil || meta.Get(metaFormat) == nil {
		return false, foreign(path, errors.New("it belongs to another program"))
	}
	format, err := strconv.Atoi(string(meta.Get(metaFormat)))
	if err != nil || format < 1 {
		return false, corrupt(path, fmt.Errorf("its format is %q", meta.Get(metaFormat)))
	}
	if format > formatVersion {
		return false, newer(path, fmt.Errorf("format %d, known is %d", format, formatVersion))
	}
	kind, owner := string(meta.Get(metaKind)), string(meta.Get(metaOwner))
	if kind != o.Kind {
		return false, foreign(path, fmt.Errorf("it is the store of kind %q, not %q", kind, o.Kind))
	}
	if o.Owner != "" && owner != "" && owner != o.Owner {
		return false, foreign(path, fmt.Errorf("it belongs to %q, not to %q", owner, o.Owner))
	}
	for _, name := range tableNames {
		if btx.Bucket(name) == nil {
			return false, corrupt(path, fmt.Errorf("bucket %s is missing", name))
		}
	}
	return owner == "", nil
}

// create makes the file under another name and gives it its own when it is
// complete and on the disk. A crash in between leaves no half-made store: bbolt
// itself cannot open a file that was cut off while it was made.
//
// The name is given by a link, which fails when another process was faster,
// instead of a rename, which would replace the other one's store.
func create(path string, o Options) error {
	f, err := os.CreateTemp(filepath.Dir(path), filepath.Base(path)+newSuffix+"*")
	if err != nil {
		return err
	}
	temp := f.Name()
	defer func() { _ = os.Remove(temp) }()
	if err := f.Close(); err != nil {
		return err
	}
	if err := initialise(temp, o); err != nil {
		return err
	}
	if err := publish(temp, path); err != nil {
		// Another process that opened at the same moment may have made the
		// store, and swept away our file.
		if _, other := os.Stat(path); other == nil {
			return nil
		}
		return err
	}
	// The folder may be as new as the file, and its own name must last too.
	dir := filepath.Dir(path)
	return errors.Join(syncDir(dir), syncAbove(dir))
}

func publish(temp, path string) error {
	err := os.Link(temp, path)
	if err == nil || errors.Is(err, fs.ErrExist) || errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return os.Rename(temp, path) // The file system has no links.
}

func initialise(temp string, o Options) error {
	h, err := openHandle(temp, bbolt.Options{Timeout: o.LockTimeout})
	if err != nil {
		return err
	}
	err = h.bolt.Update(func(tx *bbolt.Tx) error {
		for _, name := range tableNames {
			if _, err := tx.CreateBucket(name); err != nil {
				return err
			}
		}
		meta, err := tx.CreateBucket(metaBucket)
		if err != nil {
			return err
		}
		return errors.Join(
			meta.Put(metaFormat, []byte(strconv.Itoa(formatVersion))),
			meta.Put(metaKind, []byte(o.Kind)),
			meta.Put(metaOwner, []byte(o.Owner)),
			meta.Put(metaMade, []byte(time.Now().UTC().Format(time.RFC3339))),
		)
	})
	if err == nil {
		err = h.file.Sync()
	}
	return errors.Join(err, h.close(false))
}

// MakeFolder makes the folder of a store where there is none.
func MakeFolder(dir string) error {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return unopened(dir, err)
	}
	return nil
}

// removeLeftovers deletes what an interrupted creation, compaction or backup
// has left.
func removeLeftovers(path string) error {
	entries, err := os.ReadDir(filepath.Dir(path))
	if err != nil {
		return err
	}
	prefix := filepath.Base(path) + newSuffix
	for _, e := range entries {
		if name := e.Name(); len(name) > len(prefix) && name[:len(prefix)] == prefix && e.Type().IsRegular() {
			if err := os.Remove(filepath.Join(filepath.Dir(path), name)); err != nil && !errors.Is(err, fs.ErrNotExist) {
				return err
			}
		}
	}
	return nil
}

// syncAbove makes a folder's own name durable. Who may not read the folder
// above has not made this one.
func syncAbove(dir string) error {
	above, err := filepath.Abs(filepath.Join(dir, ".."))
	if err != nil {
		return err
	}
	if err := syncDir(above); !errors.Is(err, fs.ErrPermission) {
		return err
	}
	return nil
}

// syncDir makes a new name in a folder durable. Windows has no such call and
// writes names with the file.
func syncDir(dir string) error {
	if isWindows {
		return nil
	}
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}
