package broker_test

import (
	"fmt"
	"testing"
)

var benchSizes = []int{100, 32 << 10, 64 << 10, 128 << 10}

// BenchmarkRoundTrip is a batch up and a short answer down, one at a time.
func BenchmarkRoundTrip(b *testing.B) {
	for _, size := range benchSizes {
		b.Run(fmt.Sprintf("%dB", size), func(b *testing.B) {
			h, agent := benchPair(b)
			payload := make([]byte, size)
			b.SetBytes(int64(size))
			for b.Loop() {
				agent.publish(b, "cp/1/a7/s1/till-1/up", payload, false)
				h.next(b)
				if err := h.broker.Publish("cp/1/a7/s1/till-1/dn", payload[:100], false); err != nil {
					b.Fatal(err)
				}
				agent.next(b)
			}
		})
	}
}

// BenchmarkThroughput keeps the protocol's window of eight batches on the way.
func BenchmarkThroughput(b *testing.B) {
	const window = 8
	for _, size := range benchSizes {
		b.Run(fmt.Sprintf("%dB", size), func(b *testing.B) {
			h, agent := benchPair(b)
			payload := make([]byte, size)
			b.SetBytes(int64(size))
			underway := 0
			for b.Loop() {
				if underway == window {
					h.next(b)
					underway--
				}
				agent.publish(b, "cp/1/a7/s1/till-1/up", payload, false)
				underway++
			}
			for range underway {
				h.next(b)
			}
		})
	}
}

// BenchmarkFanOut is the hub's own sending rate.
func BenchmarkFanOut(b *testing.B) {
	for _, size := range benchSizes {
		b.Run(fmt.Sprintf("%dB", size), func(b *testing.B) {
			h, _ := benchPair(b)
			payload := make([]byte, size)
			b.SetBytes(int64(size))
			for b.Loop() {
				if err := h.broker.Publish("cp/1/a7/s1/till-2/dn", payload, false); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func benchPair(b *testing.B) (*hub, *client) {
	h := newHub(b, startEmbedded(b, "127.0.0.1:0"), "cp/1/+/+/+/up")
	h.run()
	return h, dialAgent(b, h.broker.URL(), nil, "cp/1/a7/s1/till-1/dn")
}
