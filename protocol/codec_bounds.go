package protocol

import (
	"errors"

	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
)

// Many empty messages are short on the wire and large in memory. Bytes beyond
// boundFromBytes are therefore looked through before they are unmarshalled, and
// refused with more than messagesMax messages in them.
const (
	boundFromBytes = 64 << 10
	messagesMax    = 100_000
)

var errTooManyMessages = errors.New("more messages inside than can be meant")

// unmarshal reads b into m within bounded memory. Fields that m does not know
// are dropped: whoever forwards an event or a row keeps its bytes.
func unmarshal(b []byte, m proto.Message) error {
	if len(b) > boundFromBytes {
		if _, err := countMessages(b, m.ProtoReflect().Descriptor(), messagesMax); err != nil {
			return err
		}
	}
	return proto.UnmarshalOptions{DiscardUnknown: true}.Unmarshal(b, m)
}

// marshal writes m, the same bytes for the same m.
func marshal(m proto.Message) ([]byte, error) {
	return proto.MarshalOptions{Deterministic: true}.Marshal(m)
}

// countMessages returns how many of left messages remain after those in b. No
// message of the wire contains itself, so the depth is bounded by the schema.
func countMessages(b []byte, d protoreflect.MessageDescriptor, left int) (int, error) {
	for len(b) > 0 {
		number, kind, n := protowire.ConsumeTag(b)
		if n < 0 {
			return 0, protowire.ParseError(n)
		}
		b = b[n:]
		size := protowire.ConsumeFieldValue(number, kind, b)
		if size < 0 {
			return 0, protowire.ParseError(size)
		}
		field := d.Fields().ByNumber(number)
		if kind == protowire.BytesType && field != nil && field.Kind() == protoreflect.MessageKind {
			if left--; left < 0 {
				return 0, errTooManyMessages
			}
			value, _ := protowire.ConsumeBytes(b)
			var err error
			if left, err = countMessages(value, field.Message(), left); err != nil {
				return 0, err
			}
		}
		b = b[size:]
	}
	return left, nil
}
