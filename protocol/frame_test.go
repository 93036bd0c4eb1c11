package protocol_test

import (
	"bytes"
	"encoding/binary"
	"math"
	"math/rand/v2"
	"reflect"
	"sync"
	"testing"

	"github.com/klauspost/compress/zstd"
	"pgregory.net/rapid"

	"counterpart/protocol"
)

// A hundred sales of three lines take at most 80 bytes each on the wire.
func TestFrameSize(t *testing.T) {
	for _, n := range []int{1, 10, 100, protocol.FrameEventsMax} {
		records := newDay(1).records(n)
		raw := 0
		for i := range records {
			raw += len(records[i].Body)
		}
		frame, err := protocol.EncodeFrame(records)
		if err != nil {
			t.Fatal(err)
		}
		each := float64(len(frame)) / float64(n)
		t.Logf("%3d sales of three lines: %d bytes each encoded, %.1f in the frame", n, raw/n, each)
		if n >= 100 && each > 80 {
			t.Errorf("%.1f bytes an event are more than 80", each)
		}
	}
}

// Records come out of a frame byte for byte, whatever their clocks and bodies.
func TestFrameRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		records := rapid.SliceOfN(genRecord, 1, 20).Draw(t, "records")
		roundTripFrame(t, records)
	})
	extremes := []int64{math.MinInt64, math.MaxInt64, 0, -1, 1}
	var records []protocol.Record
	for _, wall := range extremes {
		for _, mono := range extremes {
			records = append(records, protocol.Record{Clock: protocol.Clock{WallMs: wall, MonoMs: mono}, Body: []byte{}})
		}
	}
	roundTripFrame(t, records)
	roundTripFrame(t, newDay(2).records(protocol.FrameEventsMax))
}

type fataler interface {
	Helper()
	Fatal(args ...any)
	Fatalf(format string, args ...any)
}

func roundTripFrame(t fataler, records []protocol.Record) {
	t.Helper()
	frame, err := protocol.EncodeFrame(records)
	if err != nil {
		t.Fatal(err)
	}
	got, err := protocol.DecodeFrame(frame, uint32(len(records)))
	if err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(got, records) {
		t.Fatalf("got %v, want %v", got, records)
	}
}

// noise is a record that does not compress.
func noise(size int) protocol.Record {
	random := rand.New(rand.NewPCG(uint64(size), 7))
	body := make([]byte, 0, size+8)
	for len(body) < size {
		body = binary.LittleEndian.AppendUint64(body, random.Uint64())
	}
	return protocol.Record{Body: body[:size]}
}

func TestCutFrame(t *testing.T) {
	repeat := func(r protocol.Record, n int) (records []protocol.Record) {
		for range n {
			records = append(records, r)
		}
		return records
	}
	big := protocol.Record{Body: make([]byte, protocol.EventBytesMax-protocol.RecordHeaderBytes)}
	var noisy []protocol.Record
	for i := range 40 {
		noisy = append(noisy, noise(10_000+i))
	}
	largest := noise(protocol.EventBytesMax - protocol.RecordHeaderBytes)
	for name, test := range map[string]struct {
		records []protocol.Record
		want    int
	}{
		"none":                   {nil, 0},
		"one":                    {newDay(1).records(1), 1},
		"few":                    {newDay(1).records(9), 9},
		"too many":               {newDay(1).records(300), protocol.FrameEventsMax},
		"too large":              {noisy, 13},
		"first too large":        {append([]protocol.Record{largest}, newDay(1).records(9)...), 1},
		"second too large":       {append(newDay(1).records(1), largest), 1},
		"too large when decoded": {repeat(big, 9), 3},
	} {
		frame, n, err := protocol.CutFrame(test.records)
		if err != nil || n != test.want {
			t.Errorf("%s: %d records (%v), want %d", name, n, err, test.want)
			continue
		}
		if n == 0 {
			continue
		}
		if n > 1 && len(frame) > protocol.FrameBytesMax {
			t.Errorf("%s: %d bytes", name, len(frame))
		}
		got, err := protocol.DecodeFrame(frame, uint32(n))
		if err != nil || !reflect.DeepEqual(got, test.records[:n]) {
			t.Errorf("%s: comes back otherwise (%v)", name, err)
		}
		if encoded, err := protocol.EncodeFrame(test.records[:n]); err != nil || !bytes.Equal(encoded, frame) {
			t.Errorf("%s: EncodeFrame differs (%v)", name, err)
		}
		if n < len(test.records) {
			if _, err := protocol.EncodeFrame(test.records[:n+1]); err == nil {
				t.Errorf("%s: %d records fit as well", name, n+1)
			}
		}
	}
	if _, _, err := protocol.CutFrame([]protocol.Record{{Body: make([]byte, protocol.EventBytesMax)}}); err == nil {
		t.Error("a record beyond EventBytesMax is packed")
	}
}

func zstdFrame(t *testing.T, b []byte) []byte {
	t.Helper()
	encoder, err := zstd.NewWriter(nil, zstd.WithEncoderCRC(false))
	if err != nil {
		t.Fatal(err)
	}
	return encoder.EncodeAll(b, nil)
}

func TestDecodeFrameRefuses(t *testing.T) {
	records := newDay(1).records(3)
	frame, err := protocol.EncodeFrame(records)
	if err != nil {
		t.Fatal(err)
	}
	content := packed(1, 1, 2) + packed(2, 1, 2) + bytesField(3, "a") + bytesField(3, "b")
	if _, err := protocol.DecodeFrame(zstdFrame(t, []byte(content+bytesField(9, "later"))), 2); err != nil {
		t.Fatal(err)
	}
	for name, test := range map[string]struct {
		frame []byte
		count uint32
	}{
		"nothing":              {nil, 1},
		"count 0":              {frame, 0},
		"count too small":      {frame, 2},
		"count too large":      {frame, 4},
		"count out of range":   {frame, protocol.FrameEventsMax + 1},
		"cut":                  {frame[:len(frame)-1], 3},
		"noise behind":         {append(bytes.Clone(frame), 1, 2, 3), 3},
		"not zstd":             {[]byte(content), 2},
		"no clocks":            {zstdFrame(t, []byte(bytesField(3, "a"))), 1},
		"third wall clock":     {zstdFrame(t, []byte(content+packed(1, 3))), 2},
		"third body":           {zstdFrame(t, []byte(content+bytesField(3, "c"))), 2},
		"number for a body":    {zstdFrame(t, []byte(content+varintField(3, 1))), 2},
		"cut field":            {zstdFrame(t, []byte(content+"\x1a\x05")), 2},
		"field without number": {zstdFrame(t, []byte(content+"\x00")), 2},
		"body too large":       {zstdFrame(t, []byte(packed(1, 1)+packed(2, 1)+bytesField(3, string(make([]byte, protocol.EventBytesMax))))), 1},
		"bomb":                 {zstdFrame(t, make([]byte, protocol.FrameUnpackedBytesMax+1)), 2},
		"large bomb":           {zstdFrame(t, make([]byte, 256<<20)), 2},
		"frame too large":      {make([]byte, protocol.FrameBytesMax+1), 2},
	} {
		if _, err := protocol.DecodeFrame(test.frame, test.count); err == nil {
			t.Errorf("%s: decodes", name)
		}
	}
}

// A frame that names a dictionary is refused, the reserved one included.
func TestDecodeFrameKnowsNoDictionary(t *testing.T) {
	dictionary := bytes.Repeat([]byte("what sales have in common "), 20)
	encoder, err := zstd.NewWriter(nil, zstd.WithEncoderDictRaw(protocol.FrameDictionary, dictionary))
	if err != nil {
		t.Fatal(err)
	}
	content := packed(1, 1) + packed(2, 1) + bytesField(3, string(dictionary))
	if _, err := protocol.DecodeFrame(encoder.EncodeAll([]byte(content), nil), 1); err == nil {
		t.Error("decodes without the dictionary")
	}
}

func TestFrameChecksum(t *testing.T) {
	if got := protocol.FrameChecksum([]byte("123456789")); got != 0xe3069283 {
		t.Errorf("CRC-32C is %08x", got)
	}
}

// Frames are packed and unpacked from many goroutines at once.
func TestFrameConcurrently(t *testing.T) {
	var group sync.WaitGroup
	for i := range 8 {
		group.Go(func() {
			for k := range 8 {
				records := newDay(uint64(i)).records(1 + k)
				frame, err := protocol.EncodeFrame(records)
				if err != nil {
					t.Error(err)
					return
				}
				got, err := protocol.DecodeFrame(frame, uint32(len(records)))
				if err != nil || !reflect.DeepEqual(got, records) {
					t.Errorf("comes back otherwise (%v)", err)
					return
				}
			}
		})
	}
	group.Wait()
}
