package till_test

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"time"

	"counterpart/agent/till"
	"counterpart/protocol"
	"counterpart/protocol/pickup"
)

// guess tries to collect an order.
func (s *shopTest) guess(id protocol.PartID, proof string) error {
	_, err := s.till.Fulfil(context.Background(), noCall(till.OrderRoute+string(id.Order)+"/hand-over"), id.Order, "hand-over",
		request[pickup.Request](s.t, `{"staff":"s7",`+proof+`}`))
	return err
}

// TestGuessing: five wrong codes or phone numbers stop further tries, right ones
// as well, until running time has gone by; other orders are not concerned.
func TestGuessing(t *testing.T) {
	s := memory(t)
	s.receive("PEN-01", 10)
	id, other := s.ordered(1, 1), s.ordered(2, 1)
	for _, order := range []protocol.PartID{id, other} {
		s.act(order, "pick", `{"staff":"s7","lines":[{"line":1,"qty":1}]}`)
		s.act(order, "ready", `{"staff":"s7"}`)
	}
	right := `"check":{"phone_digits":"4567"}`
	wantCode(t, s.guess(id, `"check":{"phone_digits":"0000"}`), protocol.Forbidden)
	for range 20 {
		// What is no try at all counts for nothing, and forgets none.
		wantCode(t, s.guess(id, `"check":{"phone_digits":"1"}`), protocol.OutOfRangeCode)
	}
	var wg sync.WaitGroup
	codes := make([]protocol.Code, 12)
	for i := range codes {
		wg.Go(func() {
			proof := fmt.Sprintf(`"pickup_code":"ABCD-%04d"`, i)
			if i%2 == 0 {
				proof = fmt.Sprintf(`"check":{"phone_digits":"9%03d"}`, i)
			}
			codes[i] = protocol.CodeOf(s.guess(id, proof))
		})
	}
	wg.Wait()
	n := map[protocol.Code]int{}
	for _, code := range codes {
		n[code]++
	}
	if n[protocol.Forbidden] != 4 || n[protocol.SlowDown] != 8 || s.till.WrongCodes() != 5 {
		t.Errorf("answers %v, %d counted", n, s.till.WrongCodes())
	}
	if e := wantCode(t, s.guess(id, right), protocol.SlowDown); e.Members["retry_after_s"] != int64(15*60+1) {
		t.Errorf("%+v", e)
	}
	s.mono.Add((15*time.Minute - time.Second).Milliseconds())
	wantCode(t, s.guess(id, right), protocol.SlowDown)
	if err := s.guess(other, right); err != nil {
		t.Errorf("another order: %v", err)
	}
	s.mono.Add(time.Second.Milliseconds())
	if err := s.guess(id, right); err != nil {
		t.Errorf("after the wait: %v", err)
	}
}
