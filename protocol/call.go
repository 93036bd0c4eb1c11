package protocol

import (
	"crypto/sha256"
	"encoding/binary"
)

// Call is a request that its sender may repeat. With a key, the same body is
// answered with the first answer, and another body is refused.
type Call struct {
	Route string // method and path, such as "POST /v1/sales"
	Key   string // the Idempotency-Key, empty for none
	Body  []byte // the request's body as it came
}

// Answer is what a call was answered with, ready to be sent.
type Answer struct {
	Status int
	Body   []byte // JSON
}

// BodySum identifies the body of a keyed call, and is 0 for one without a key.
func (c Call) BodySum() uint64 {
	if c.Key == "" {
		return 0
	}
	sum := sha256.Sum256(c.Body)
	return binary.BigEndian.Uint64(sum[:])
}
