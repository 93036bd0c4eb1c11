package protocol_test

import (
	"math/big"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/klauspost/compress/zstd"

	"counterpart/protocol"
)

// seedGolden gives a fuzzer the golden files of one kind.
func seedGolden(f *testing.F, kind string) {
	f.Helper()
	paths, err := filepath.Glob(filepath.Join(goldenDir, kind+"-*.bin"))
	if err != nil || len(paths) == 0 {
		f.Fatalf("no golden files: %v", err)
	}
	for _, path := range paths {
		b, err := os.ReadFile(path)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b)
	}
}

// fuzzDecoder checks that whatever decodes also encodes, and comes back equal.
func fuzzDecoder[V any](f *testing.F, kind string, decode func([]byte) (V, error), encode func(V) ([]byte, error)) {
	seedGolden(f, kind)
	f.Fuzz(func(t *testing.T, b []byte) {
		v, err := decode(b)
		if err != nil {
			return
		}
		again, err := encode(v)
		if err != nil {
			t.Fatalf("does not encode: %v\n%s", err, dump(v))
		}
		got, err := decode(again)
		if err != nil || !reflect.DeepEqual(got, v) {
			t.Fatalf("%v: got\n%swant\n%s", err, dump(got), dump(v))
		}
	})
}

func FuzzDecodeEvent(f *testing.F) {
	fuzzDecoder(f, "event", protocol.DecodeEvent, protocol.EncodeEvent)
}

func FuzzDecodeMessage(f *testing.F) {
	fuzzDecoder(f, "message", protocol.DecodeMessage, protocol.EncodeMessage)
}

func FuzzDecodeItem(f *testing.F) {
	fuzzDecoder(f, "item", protocol.DecodeItem, protocol.EncodeItem)
}

func FuzzDecodePriceList(f *testing.F) {
	fuzzDecoder(f, "prices", protocol.DecodePriceList, protocol.EncodePriceList)
}

func FuzzDecodeTaxList(f *testing.F) {
	fuzzDecoder(f, "taxes", protocol.DecodeTaxList, protocol.EncodeTaxList)
}

func FuzzDecodeStoreRecord(f *testing.F) {
	fuzzDecoder(f, "store", protocol.DecodeStoreRecord, protocol.EncodeStoreRecord)
}

func FuzzDecodePolicyRow(f *testing.F) {
	fuzzDecoder(f, "policy", protocol.DecodePolicyRow, protocol.EncodePolicyRow)
}

func FuzzDecodeProgramme(f *testing.F) {
	fuzzDecoder(f, "programme", protocol.DecodeProgramme, protocol.EncodeProgramme)
}

func FuzzDecodeMemberRow(f *testing.F) {
	fuzzDecoder(f, "memberrow", protocol.DecodeMemberRow, protocol.EncodeMemberRow)
}

func FuzzDecodePromotion(f *testing.F) {
	fuzzDecoder(f, "promotion", protocol.DecodePromotion, protocol.EncodePromotion)
}

// FuzzDecodeFrame tries the bytes as a frame and as what a frame holds, since
// the compressor hides the content from the fuzzer.
func FuzzDecodeFrame(f *testing.F) {
	encoder, err := zstd.NewWriter(nil, zstd.WithEncoderLevel(zstd.SpeedFastest), zstd.WithEncoderConcurrency(1))
	if err != nil {
		f.Fatal(err)
	}
	for _, n := range []int{1, 3, 40} {
		frame, err := protocol.EncodeFrame(newDay(1).records(n))
		if err != nil {
			f.Fatal(err)
		}
		f.Add(frame, uint32(n))
	}
	f.Add([]byte(packed(1, 1, 2)+packed(2, 1, 0)+bytesField(3, "a")+bytesField(3, "b")+bytesField(9, "later")), uint32(2))
	f.Fuzz(func(t *testing.T, b []byte, count uint32) {
		for _, frame := range [][]byte{b, encoder.EncodeAll(b, nil)} {
			records, err := protocol.DecodeFrame(frame, count)
			if err != nil {
				continue
			}
			if len(records) != int(count) {
				t.Fatalf("%d records, want %d", len(records), count)
			}
			again, n, err := protocol.CutFrame(records)
			if err != nil || n == 0 {
				t.Fatalf("%d records fit (%v)", n, err)
			}
			got, err := protocol.DecodeFrame(again, uint32(n))
			if err != nil || !reflect.DeepEqual(got, records[:n]) {
				t.Fatalf("comes back otherwise (%v)", err)
			}
		}
	})
}

func FuzzParseTopic(f *testing.F) {
	f.Add(protocol.TopicUp("s1", "a1"))
	f.Add(protocol.TopicHub)
	f.Add(protocol.TopicFeed(protocol.StoreFeed("s1")))
	f.Fuzz(func(t *testing.T, topic string) {
		if got, err := protocol.ParseTopic(topic); err == nil && got.String() != topic {
			t.Fatalf("%q reads as %+v", topic, got)
		}
		if got, err := protocol.ParseFeed(protocol.FeedID(topic)); err == nil && strings.ContainsAny(topic, "+# .") {
			t.Fatalf("%q reads as %+v", topic, got)
		}
		_, _ = protocol.DecodeStatus([]byte(topic))
	})
}

// What ParseQuantity accepts is exactly the number that is written.
func FuzzParseQuantity(f *testing.F) {
	for _, s := range []string{"2", "-0.5", "1.250", "1e3", "15e-1", "10000000", "0.0001"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		q, err := protocol.ParseQuantity(s)
		if err != nil {
			return
		}
		exact, ok := new(big.Rat).SetString(s)
		if !ok || exact.Cmp(big.NewRat(int64(q), 1000)) != 0 {
			t.Fatalf("%q is read as %s", s, q)
		}
		if again, err := protocol.ParseQuantity(q.String()); err != nil || again != q {
			t.Fatalf("%s is read as %s (%v)", q, again, err)
		}
	})
}
