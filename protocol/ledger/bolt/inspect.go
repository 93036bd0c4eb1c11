package bolt

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/fnv"
	"io"
	"log/slog"
	"os"
)

// The layout of bbolt's pages, which never change within its version 2.
const (
	boltMagic   = 0xED0CDAED
	boltVersion = 2

	pageHeader   = 16
	metaLength   = 64
	metaSummed   = 56
	elementSize  = 16
	bucketHeader = 16

	flagBranch   = 0x01
	flagLeaf     = 0x02
	flagFreelist = 0x10
	flagBucket   = 0x01

	noFreelist = ^uint64(0)
	depthMax   = 64
)

var native = binary.NativeEndian

// image is a file as its valid meta page describes it.
type image struct {
	r        io.ReaderAt
	pageSize uint64
	pages    uint64 // the first page id that is not in use
	root     uint64
	freelist uint64
	txid     uint64
	sum      uint64 // of the meta page
	free     uint64 // how many pages the free list holds
}

// inspect reads the file without bbolt and without a memory map, and refuses
// what bbolt would stop at. Every number is checked before it is used. The
// short form reads the two meta pages, the free list and the root page; the
// deep form reads every page that is in use.
func inspect(path string, file *os.File, deep bool, log *slog.Logger) error {
	_, err := survey(path, file, deep, log)
	return err
}

// survey is inspect, and returns what the file says about itself.
func survey(path string, file *os.File, deep bool, log *slog.Logger) (m metas, err error) {
	info, err := file.Stat()
	if err != nil {
		return m, unopened(path, err)
	}
	m, err = readImage(path, file, info.Size())
	if err != nil {
		return m, err
	}
	if m.torn {
		log.Warn("one meta page is damaged, the other one is used", "path", path)
	}
	if have := uint64(info.Size()) / m.pageSize; have < m.pages {
		return m, corrupt(path, fmt.Errorf("it has %d pages of %d", have, m.pages))
	}
	w := walker{image: m.image, seen: make([]bool, m.pages)}
	if m.free, err = w.readFreelist(); err != nil {
		return m, corrupt(path, err)
	}
	if deep {
		err = w.walk(m.root, 0, nil, nil)
	} else {
		_, err = w.page(m.root, 0)
	}
	if err != nil {
		return m, corrupt(path, err)
	}
	return m, nil
}

// metas is the result of reading both meta pages.
type metas struct {
	image
	torn bool // one of them is damaged
}

// readImage finds the newer valid meta page. Like bbolt it accepts one damaged
// page: that is what a commit leaves that was cut off, and it was never
// confirmed.
func readImage(path string, r io.ReaderAt, size int64) (m metas, err error) {
	var found []image
	first, known, err := readMeta(r, 0)
	if err == nil {
		found = append(found, first)
	}
	if errors.Is(err, ErrNewer) {
		return m, newer(path, err)
	}
	for shift := range 15 {
		pos := int64(1024) << shift
		if pos >= size || (len(found) == 1 && found[0].pageSize < uint64(pos)) {
			break
		}
		if len(found) == 1 && found[0].pageSize != uint64(pos) {
			continue
		}
		second, knownToo, err := readMeta(r, pos)
		known = known || knownToo
		if errors.Is(err, ErrNewer) {
			return m, newer(path, err)
		}
		if err == nil && second.pageSize == uint64(pos) {
			found = append(found, second)
			break
		}
	}
	switch {
	case len(found) == 2 && found[1].txid > found[0].txid:
		m.image = found[1]
	case len(found) > 0:
		m.image = found[0]
	case known || blank(r):
		return m, corrupt(path, errors.New("no meta page is valid"))
	default:
		return m, foreign(path, errors.New("it is not a database"))
	}
	m.torn = len(found) == 1
	if m.pages < 4 || m.root < 2 || m.root >= m.pages {
		return m, corrupt(path, fmt.Errorf("root %d of %d pages", m.root, m.pages))
	}
	return m, nil
}

// readMeta reads the meta page at pos. known says that it is one, valid or not.
func readMeta(r io.ReaderAt, pos int64) (m image, known bool, err error) {
	var b [pageHeader + metaLength]byte
	if _, err := r.ReadAt(b[:], pos); err != nil {
		return m, false, err
	}
	meta := b[pageHeader:]
	if native.Uint32(meta) != boltMagic {
		return m, false, errors.New("no magic number")
	}
	sum := fnv.New64a()
	_, _ = sum.Write(meta[:metaSummed])
	if native.Uint64(meta[metaSummed:]) != sum.Sum64() {
		return m, true, errors.New("checksum does not fit")
	}
	if v := native.Uint32(meta[4:]); v > boltVersion {
		return m, true, fmt.Errorf("%w: bbolt version %d", ErrNewer, v)
	}
	m = image{
		r:        r,
		pageSize: uint64(native.Uint32(meta[8:])),
		root:     native.Uint64(meta[16:]),
		freelist: native.Uint64(meta[32:]),
		pages:    native.Uint64(meta[40:]),
		txid:     native.Uint64(meta[48:]),
		sum:      sum.Sum64(),
	}
	if m.pageSize < 1024 || m.pageSize > 1<<24 || m.pageSize&(m.pageSize-1) != 0 {
		return m, true, fmt.Errorf("page size %d", m.pageSize)
	}
	return m, true, nil
}

// blank reports whether the file begins with zeros, as after a disk that lost
// what was written.
func blank(r io.ReaderAt) bool {
	var b [512]byte
	n, _ := r.ReadAt(b[:], 0)
	return n > 0 && bytes.Count(b[:n], []byte{0}) == n
}

// walker reads the pages of an image. Each depth has a buffer of its own,
// because keys of the upper pages bound those below.
type walker struct {
	image
	seen    []bool
	buffers [][]byte
}

// page reads page id with its overflow pages and marks them as used.
func (w *walker) page(id uint64, depth int) ([]byte, error) {
	if depth >= depthMax {
		return nil, fmt.Errorf("page %d: the tree is deeper than %d", id, depthMax)
	}
	if id < 2 || id >= w.pages {
		return nil, fmt.Errorf("page %d of %d", id, w.pages)
	}
	for len(w.buffers) <= depth {
		w.buffers = append(w.buffers, make([]byte, w.pageSize))
	}
	b := w.buffers[depth][:w.pageSize]
	if _, err := w.r.ReadAt(b, int64(id*w.pageSize)); err != nil {
		return nil, fmt.Errorf("page %d: %w", id, err)
	}
	if own := native.Uint64(b); own != id {
		return nil, fmt.Errorf("page %d says it is page %d", id, own)
	}
	overflow := uint64(native.Uint32(b[12:]))
	if overflow >= w.pages-id {
		return nil, fmt.Errorf("page %d: %d overflow pages of %d", id, overflow, w.pages)
	}
	for i := id; i <= id+overflow; i++ {
		if w.seen[i] {
			return nil, fmt.Errorf("page %d is used twice", i)
		}
		w.seen[i] = true
	}
	if overflow == 0 {
		return b, nil
	}
	b = append(b, make([]byte, overflow*w.pageSize)...)
	w.buffers[depth] = b
	if _, err := w.r.ReadAt(b[w.pageSize:], int64((id+1)*w.pageSize)); err != nil {
		return nil, fmt.Errorf("page %d: %w", id, err)
	}
	return b, nil
}

// readFreelist marks the free pages as seen, so that none may be in use too,
// and counts them.
func (w *walker) readFreelist() (count uint64, err error) {
	if w.freelist == noFreelist {
		// bbolt would build the list with a scan in a goroutine that nobody can
		// recover, and none of our files is without one.
		return 0, errors.New("it has no free list")
	}
	b, err := w.page(w.freelist, 0)
	if err != nil {
		return 0, err
	}
	if flags := native.Uint16(b[8:]); flags != flagFreelist {
		return 0, fmt.Errorf("page %d should be the free list and has type %#x", w.freelist, flags)
	}
	ids := b[pageHeader:]
	count = uint64(native.Uint16(b[10:]))
	if count == 0xFFFF {
		count, ids = native.Uint64(ids), ids[8:]
	}
	if count > uint64(len(ids))/8 {
		return 0, fmt.Errorf("the free list of %d pages is too long", count)
	}
	for i := range count {
		id := native.Uint64(ids[8*i:])
		if id < 2 || id >= w.pages {
			return 0, fmt.Errorf("free page %d of %d", id, w.pages)
		}
		if i > 0 && id <= native.Uint64(ids[8*i-8:]) {
			return 0, fmt.Errorf("the free list is out of order at page %d", id)
		}
		if w.seen[id] {
			return 0, fmt.Errorf("page %d is free and in use", id)
		}
		w.seen[id] = true
	}
	return count, nil
}

// walk checks the tree below page id, whose keys are at least low and below
// high.
func (w *walker) walk(id uint64, depth int, low, high []byte) error {
	b, err := w.page(id, depth)
	if err != nil {
		return err
	}
	if err := w.elements(b, depth, low, high); err != nil {
		return fmt.Errorf("page %d: %w", id, err)
	}
	return nil
}

// elements checks a branch or leaf page, or the leaf inside a bucket's value.
func (w *walker) elements(b []byte, depth int, low, high []byte) error {
	flags, count := native.Uint16(b[8:]), int(native.Uint16(b[10:]))
	leaf := flags == flagLeaf
	if !leaf && flags != flagBranch {
		return fmt.Errorf("type %#x", flags)
	}
	if pageHeader+count*elementSize > len(b) || (!leaf && count == 0) {
		return fmt.Errorf("%d elements", count)
	}
	keyOf := branchKey
	if leaf {
		keyOf = leafKey
	}
	previous := low
	for i := range count {
		key, err := keyOf(b, i)
		if err != nil {
			return err
		}
		if c := bytes.Compare(previous, key); c > 0 || (c == 0 && i > 0) {
			return fmt.Errorf("key %d is out of order", i)
		}
		if high != nil && bytes.Compare(key, high) >= 0 {
			return fmt.Errorf("key %d is above its range", i)
		}
		previous = key
		if !leaf {
			end := high
			if i+1 < count {
				if end, err = keyOf(b, i+1); err != nil {
					return err
				}
			}
			err = w.walk(native.Uint64(b[pageHeader+i*elementSize+8:]), depth+1, key, end)
		} else if native.Uint32(b[pageHeader+i*elementSize:])&flagBucket != 0 {
			err = w.bucket(leafValue(b, i), depth)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// bucket checks the tree of a bucket, which is on a page of its own or, when it
// is small, inside the value.
func (w *walker) bucket(value []byte, depth int) error {
	if len(value) < bucketHeader {
		return fmt.Errorf("a bucket of %d bytes", len(value))
	}
	if root := native.Uint64(value); root != 0 {
		return w.walk(root, depth+1, nil, nil)
	}
	inline := value[bucketHeader:]
	if len(inline) < pageHeader || native.Uint16(inline[8:]) != flagLeaf {
		return errors.New("a small bucket without a leaf")
	}
	return w.elements(inline, depth+1, nil, nil)
}

func leafKey(b []byte, i int) ([]byte, error) {
	e := pageHeader + i*elementSize
	at, size, value := e+int(native.Uint32(b[e+4:])), int(native.Uint32(b[e+8:])), int(native.Uint32(b[e+12:]))
	if size == 0 || at > len(b) || size > len(b)-at || value > len(b)-at-size {
		return nil, fmt.Errorf("element %d leaves the page", i)
	}
	return b[at : at+size], nil
}

// leafValue is called after leafKey has checked the element.
func leafValue(b []byte, i int) []byte {
	e := pageHeader + i*elementSize
	at := e + int(native.Uint32(b[e+4:])) + int(native.Uint32(b[e+8:]))
	return b[at : at+int(native.Uint32(b[e+12:]))]
}

func branchKey(b []byte, i int) ([]byte, error) {
	e := pageHeader + i*elementSize
	at, size := e+int(native.Uint32(b[e:])), int(native.Uint32(b[e+4:]))
	if size == 0 || at > len(b) || size > len(b)-at {
		return nil, fmt.Errorf("element %d leaves the page", i)
	}
	return b[at : at+size], nil
}
