package secondcopy

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"

	"counterpart/protocol"
)

// The file is a header and records behind it. The header is fixed for the life
// of the file; a record is
//
//	size of the payload   4 bytes, big-endian, never 0
//	CRC-32C of it         4 bytes, big-endian
//	payload               a Delta with the events of one stream, and the
//	                      epoch in which they were copied
//
// so that whoever can read what comes over the line can read the file too.
const (
	headerBytes       = 36
	recordHeaderBytes = 8
	payloadBytesMax   = protocol.MessageBytesMax
	// feedName stands where a Delta names its feed.
	feedName protocol.FeedID = "second-copy"
)

// magic begins every file, and names the version of its layout.
var magic = [16]byte{'c', 'o', 'u', 'n', 't', 'e', 'r', 'p', 'a', 'r', 't', 'c', 'o', 'p', 'y', '1'}

// ID names the database that a copy belongs to: random bits, made once.
type ID [16]byte

// header is what a file of a database begins with.
func header(id ID) []byte {
	b := append(make([]byte, 0, headerBytes), magic[:]...)
	b = append(b, id[:]...)
	return binary.BigEndian.AppendUint32(b, protocol.FrameChecksum(b))
}

var (
	errNotACopy = errors.New("it is not a second copy")
	errCutShort = errors.New("its header is cut short")
)

// readHeader finds whose copy a file is. A file that ends within its header is
// one whose making was interrupted.
func readHeader(r io.ReaderAt, size int64) (ID, error) {
	var id ID
	b := make([]byte, min(size, headerBytes))
	if _, err := r.ReadAt(b, 0); err != nil && !errors.Is(err, io.EOF) {
		return id, err
	}
	if !bytes.HasPrefix(b, magic[:min(len(b), len(magic))]) {
		return id, errNotACopy
	}
	if len(b) < headerBytes {
		return id, errCutShort
	}
	copy(id[:], b[len(magic):])
	if !bytes.Equal(b, header(id)) {
		return id, errNotACopy
	}
	return id, nil
}

// record is a run of events of one stream.
type record struct {
	protocol.PeerEvents
	epoch uint64
}

// appendRecord appends a record to b.
func appendRecord(b []byte, r record) ([]byte, error) {
	payload, err := protocol.EncodeMessage(&protocol.Delta{Feed: feedName, Epoch: r.epoch, Events: []protocol.PeerEvents{r.PeerEvents}})
	if err != nil {
		return b, err
	}
	b = binary.BigEndian.AppendUint32(b, uint32(len(payload)))
	b = binary.BigEndian.AppendUint32(b, protocol.FrameChecksum(payload))
	return append(b, payload...), nil
}

// damageError says that there is no sound record at an offset: the file was
// torn there, or its disk has changed what it was given.
type damageError struct {
	offset int64
	bytes  int64
	why    string
	cut    bool // by the end of the file
}

func (e *damageError) Error() string {
	return fmt.Sprintf("at byte %d: %s (%d bytes)", e.offset, e.why, e.bytes)
}

// scanner reads the records of a file in their order. It reads ahead in large
// pieces, because a copy is read as a whole.
type scanner struct {
	r      io.ReaderAt
	size   int64
	at     int64 // where the next record begins
	window []byte
	from   int64 // where the window begins
}

// windowBytes is how much is read at once; the largest record fits.
const windowBytes = 4 << 20

func newScanner(r io.ReaderAt, size int64) *scanner {
	return &scanner{r: r, size: size, at: headerBytes}
}

// bytes are n bytes of the file from off on; they are valid until the next call.
func (s *scanner) bytes(off int64, n int) ([]byte, error) {
	if off < s.from || off+int64(n) > s.from+int64(len(s.window)) {
		if s.window == nil {
			s.window = make([]byte, min(windowBytes, s.size))
		}
		s.window, s.from = s.window[:min(int64(cap(s.window)), s.size-off)], off
		if k, err := s.r.ReadAt(s.window, off); k < len(s.window) {
			s.window = s.window[:0]
			if errors.Is(err, io.EOF) {
				err = io.ErrUnexpectedEOF // The file became shorter meanwhile.
			}
			return nil, err
		}
	}
	return s.window[off-s.from:][:n], nil
}

// next reads the record at s.at and moves behind it. At the end of the file it
// returns io.EOF, and for what is no record a damageError, without moving.
func (s *scanner) next() (rec record, err error) {
	if s.at >= s.size {
		return rec, io.EOF
	}
	rec, n, err := s.record(s.at)
	if err == nil {
		s.at += n
	}
	return rec, err
}

// record reads the record at off and tells how long it is.
func (s *scanner) record(off int64) (rec record, n int64, err error) {
	damage := func(bytes int64, why string) error { return &damageError{offset: off, bytes: bytes, why: why} }
	if s.size-off < recordHeaderBytes {
		return rec, 0, &damageError{offset: off, bytes: s.size - off, why: "too short for a record", cut: true}
	}
	b, err := s.bytes(off, recordHeaderBytes)
	if err != nil {
		return rec, 0, err
	}
	size, sum := int64(binary.BigEndian.Uint32(b)), binary.BigEndian.Uint32(b[4:])
	if size == 0 || size > payloadBytesMax {
		return rec, 0, damage(size, "no record has this size")
	}
	if size > s.size-off-recordHeaderBytes {
		return rec, 0, &damageError{offset: off, bytes: size, why: "a record is cut off", cut: true}
	}
	if b, err = s.bytes(off+recordHeaderBytes, int(size)); err != nil {
		return rec, 0, err
	}
	if protocol.FrameChecksum(b) != sum {
		return rec, 0, damage(size, "a record's checksum does not fit")
	}
	m, err := protocol.DecodeMessage(b)
	if err != nil {
		return rec, 0, damage(size, err.Error())
	}
	d, ok := m.(*protocol.Delta)
	if !ok || len(d.Events) != 1 || d.Events[0].Origin.Inc.IsZero() || d.Events[0].FirstSeq == 0 {
		return rec, 0, damage(size, "a record of another kind")
	}
	return record{d.Events[0], d.Epoch}, recordHeaderBytes + size, nil
}

// zeros tells whether nothing but zeros stands from off to the end: room that
// was made for a record which never came.
func (s *scanner) zeros(off int64) (bool, error) {
	for off < s.size {
		n := min(s.size-off, windowBytes)
		b, err := s.bytes(off, int(n))
		if err != nil || bytes.Count(b, []byte{0}) < len(b) {
			return false, err
		}
		off += n
	}
	return true, nil
}

// skip moves behind what is damaged at s.at, to the next sound record, and tells
// how much it left out. Where none follows it moves to the end of the file.
func (s *scanner) skip() (left int64, err error) {
	for off := s.at + 1; off < s.size; off++ {
		_, _, err := s.record(off)
		var damage *damageError
		switch {
		case err == nil:
			left, s.at = off-s.at, off
			return left, nil
		case !errors.As(err, &damage):
			return 0, err
		}
	}
	left, s.at = s.size-s.at, s.size
	return left, nil
}
