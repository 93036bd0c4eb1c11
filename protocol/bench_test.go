package protocol_test

import (
	"testing"

	"counterpart/protocol"
)

func BenchmarkEncodeEvent(b *testing.B) {
	e := newDay(1).sale(3)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := protocol.EncodeEvent(e); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkDecodeEvent(b *testing.B) {
	body := newDay(1).records(1)[0].Body
	b.ReportAllocs()
	for b.Loop() {
		if _, err := protocol.DecodeEvent(body); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkEncodeFrame(b *testing.B) {
	records := newDay(1).records(100)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := protocol.EncodeFrame(records); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/100, "ns/event")
}

func BenchmarkDecodeFrame(b *testing.B) {
	frame, err := protocol.EncodeFrame(newDay(1).records(100))
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		if _, err := protocol.DecodeFrame(frame, 100); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/100, "ns/event")
}

// BenchmarkReceive is what a hub does with a batch before it folds it: unpack,
// hash and decode 100 events.
func BenchmarkReceive(b *testing.B) {
	frame, err := protocol.EncodeFrame(newDay(1).records(100))
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		records, err := protocol.DecodeFrame(frame, 100)
		if err != nil {
			b.Fatal(err)
		}
		head := sampleOrigin.Genesis()
		for _, r := range records {
			head = head.Next(r)
			if _, err := protocol.DecodeEvent(r.Body); err != nil {
				b.Fatal(err)
			}
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/100, "ns/event")
}
