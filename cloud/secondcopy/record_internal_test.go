package secondcopy

import (
	"bytes"
	"errors"
	"io"
	"testing"

	"counterpart/protocol"
)

// FuzzScanner: whatever stands behind the header, the records are read in
// order, each once, and the scan ends.
func FuzzScanner(f *testing.F) {
	one, err := appendRecord(nil, record{protocol.PeerEvents{Origin: till1, FirstSeq: 1, Count: 1, Frame: []byte("frame")}, 77})
	if err != nil {
		f.Fatal(err)
	}
	f.Add(one, uint(0), byte(0))
	f.Add(append(bytes.Clone(one), one...), uint(3), byte(1))
	f.Add([]byte{0, 0, 0, 1, 0, 0, 0, 0, 0}, uint(0), byte(0))
	f.Fuzz(func(t *testing.T, body []byte, at uint, flip byte) {
		if len(body) > 0 {
			body[at%uint(len(body))] ^= flip
		}
		b := append(header(ownID), body...)
		b = append(b, one...)
		s := newScanner(bytes.NewReader(b), int64(len(b)))
		for {
			before := s.at
			rec, err := s.next()
			if err == io.EOF {
				break
			}
			var damage *damageError
			if errors.As(err, &damage) {
				if _, err = s.skip(); err != nil {
					t.Fatal(err)
				}
			} else if err != nil {
				t.Fatal(err)
			} else {
				again, err := appendRecord(nil, rec)
				if err != nil || int64(len(again)) > s.size {
					t.Fatalf("a record that was read cannot be written: %v", err)
				}
			}
			if s.at <= before {
				t.Fatalf("the scan stands still at %d", before)
			}
		}
		if s.at != s.size {
			t.Errorf("the scan ends at %d of %d bytes", s.at, s.size)
		}
	})
}
