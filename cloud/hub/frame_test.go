package hub

import (
	"testing"

	"counterpart/protocol"
)

// TestI18_DamagedFramesDoNotMultiply: while a full disk keeps anything from its
// commit, a window with damaged frames is asked for once more, not once for each
// of them; a damaged frame that is wanted next is asked for each time.
func TestI18_DamagedFramesDoNotMultiply(t *testing.T) {
	c := newCore(t)
	p := c.player("s1", "a1", 1)
	p.greet()
	c.receive(p.sell("PEN"))
	c.take("")
	var window []Inbound
	for range 6 {
		window = append(window, p.sell("PEN"))
	}
	asked := func(list ...Inbound) (wants []protocol.Seq) {
		c.receive(list...)
		for _, m := range only[*protocol.Nack](c.take(p.down())) {
			wants = append(wants, m.Want)
		}
		return wants
	}
	c.disk.full = true
	if wants := asked(window[0], damaged(t, window[1]), window[2], damaged(t, window[3]), damaged(t, window[5])); len(wants) != 1 || wants[0] != 2 {
		t.Errorf("three damaged frames of a window are answered with requests for %v", wants)
	}
	if wants := asked(damaged(t, window[0]), damaged(t, window[1])); len(wants) != 1 || wants[0] != 2 {
		t.Errorf("the frame that is wanted is damaged again, and answered with requests for %v", wants)
	}
	c.disk.full = false
	if wants := asked(window...); len(wants) > 0 || c.cursorOf(p.origin) != 7 {
		t.Errorf("of 7 events %d are taken in, and asked for are %v", c.cursorOf(p.origin), wants)
	}
	if wants := asked(damaged(t, window[4])); len(wants) > 0 {
		t.Errorf("a damaged copy of what is there is answered with requests for %v", wants)
	}
}

// damaged is a batch whose frame changed on its way.
func damaged(t *testing.T, in Inbound) Inbound {
	t.Helper()
	m, err := protocol.DecodeMessage(in.Payload)
	if err != nil {
		t.Fatal(err)
	}
	batch := m.(*protocol.Batch)
	batch.Frame = append([]byte(nil), batch.Frame...)
	batch.Frame[len(batch.Frame)/2] ^= 1
	return payload(t, in.Topic, batch)
}
