package protocol_test

import (
	"testing"

	"counterpart/protocol"
)

// TestEnrolledBy names whom an event enrols, and nobody else.
func TestEnrolledBy(t *testing.T) {
	enrols := exampleMember()
	enrols.Member.Version = 1
	again := &protocol.Event{Kind: protocol.KindReissue, Boot: 1, Reissue: &protocol.Reissue{
		ID: protocol.EventID{Inc: sampleInc, Seq: 4}, Record: protocol.Record{Body: encoded(t, enrols)},
	}}
	for name, c := range map[string]struct {
		body []byte
		want protocol.MemberID
	}{
		"enrolment":         {encoded(t, enrols), "m-20"},
		"logged again":      {encoded(t, again), "m-20"},
		"a later version":   {encoded(t, exampleMember()), ""},
		"a sale to them":    {encoded(t, examplePointsSale()), ""},
		"cut off":           {encoded(t, enrols)[:20], ""},
		"nothing":           {nil, ""},
		"what is no events": {[]byte{0xff, 0xff, 0xff}, ""},
	} {
		if got := protocol.EnrolledBy(c.body); got != c.want {
			t.Errorf("%s enrols %q, not %q", name, got, c.want)
		}
	}
}
