package client

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"hash/crc32"

	"github.com/klauspost/compress/zstd"
)

// Hash is the head of a chain of hashes.
type Hash [sha256.Size]byte

// Inc names an incarnation of a log.
type Inc [16]byte

// Stream says whose log it is.
type Stream struct {
	Store, Agent string
	Inc          Inc
}

// Genesis is hash 0 of the stream.
func (s Stream) Genesis() Hash {
	return sha256.Sum256([]byte("counterpart/1\n" + s.Store + "\n" + s.Agent + "\n" + hex.EncodeToString(s.Inc[:]) + "\n"))
}

// Record is an event as it was logged.
type Record struct {
	Wall, Running int64 // milliseconds
	Body          []byte
}

// Bytes are what is hashed.
func (r Record) Bytes() []byte {
	b := binary.BigEndian.AppendUint64(nil, uint64(r.Wall))
	b = binary.BigEndian.AppendUint64(b, uint64(r.Running))
	return append(b, r.Body...)
}

// Next is the hash after a record.
func (h Hash) Next(r Record) Hash { return sha256.Sum256(append(h[:], r.Bytes()...)) }

// Log is a stream in memory. A real agent keeps it on disk.
type Log struct {
	Stream
	records []Record
	hashes  []Hash // hashes[n] is the hash after event n
}

// NewLog makes an empty log.
func NewLog(s Stream) *Log { return &Log{Stream: s, hashes: []Hash{s.Genesis()}} }

// Append logs one event.
func (l *Log) Append(r Record) {
	l.records = append(l.records, r)
	l.hashes = append(l.hashes, l.Hash(l.Last()).Next(r))
}

// Last is the number of the last event.
func (l *Log) Last() uint64 { return uint64(len(l.hashes) - 1) }

// Hash is the hash after event n, which is 0 or one of the log's.
func (l *Log) Hash(n uint64) Hash { return l.hashes[n] }

// Record is event n.
func (l *Log) Record(n uint64) Record { return l.records[n-1] }

// Frame is count events from first on, packed.
func (l *Log) Frame(first, count uint64) ([]byte, error) {
	return Pack(l.records[first-1 : first-1+count])
}

// FrameContent is the message that a frame holds.
func FrameContent(records []Record) []byte {
	var walls, drifts []int64
	var wall, drift int64
	for _, r := range records {
		walls = append(walls, r.Wall-wall)
		drifts = append(drifts, r.Running-r.Wall-drift)
		wall, drift = r.Wall, r.Running-r.Wall
	}
	var f fields
	f.numbers(1, signed(walls))
	f.numbers(2, signed(drifts))
	for _, r := range records {
		f.element(3, r.Body)
	}
	return f
}

// Pack makes a frame.
func Pack(records []Record) ([]byte, error) {
	encoder, err := zstd.NewWriter(nil, zstd.WithEncoderConcurrency(1), zstd.WithWindowSize(1<<20))
	if err != nil {
		return nil, err
	}
	return encoder.EncodeAll(FrameContent(records), nil), encoder.Close()
}

var errFrame = errors.New("the frame does not hold what was said")

// Unpack reads a frame of count records.
func Unpack(frame []byte, count uint64) ([]Record, error) {
	decoder, err := zstd.NewReader(nil, zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxMemory(4<<20))
	if err != nil {
		return nil, err
	}
	defer decoder.Close()
	content, err := decoder.DecodeAll(frame, nil)
	if err != nil {
		return nil, fmt.Errorf("unpack: %w", err)
	}
	m := ParseMessage(content)
	walls, drifts, bodies := Column(m.Bytes(1)), Column(m.Bytes(2)), m[3]
	if uint64(len(walls)) != count || uint64(len(drifts)) != count || uint64(len(bodies)) != count {
		return nil, errFrame
	}
	var wall, drift int64
	var records []Record
	for i := range bodies {
		wall, drift = wall+walls[i], drift+drifts[i]
		records = append(records, Record{Wall: wall, Running: wall + drift, Body: bodies[i].data})
	}
	return records, nil
}

// Checksum is a frame's CRC-32C.
func Checksum(frame []byte) uint32 {
	return crc32.Checksum(frame, crc32.MakeTable(crc32.Castagnoli))
}
