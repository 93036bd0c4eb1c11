package ledger

import (
	"fmt"

	"google.golang.org/protobuf/encoding/protowire"
)

// fields writes an aggregate as numbered fields in protobuf's wire format, so
// that later versions may add fields and earlier ones skip them. A zero value
// is not written; the same aggregate always gives the same bytes.
type fields []byte

func (f *fields) uint(num protowire.Number, v uint64) {
	if v != 0 {
		*f = protowire.AppendVarint(protowire.AppendTag(*f, num, protowire.VarintType), v)
	}
}

func (f *fields) int(num protowire.Number, v int64) { f.uint(num, protowire.EncodeZigZag(v)) }

func (f *fields) bool(num protowire.Number, v bool) { f.uint(num, protowire.EncodeBool(v)) }

func (f *fields) text(num protowire.Number, v string) {
	if v != "" {
		*f = protowire.AppendString(protowire.AppendTag(*f, num, protowire.BytesType), v)
	}
}

func (f *fields) bytes(num protowire.Number, v []byte) {
	if len(v) > 0 {
		*f = protowire.AppendBytes(protowire.AppendTag(*f, num, protowire.BytesType), v)
	}
}

// element writes one element of a list, also where it is empty.
func (f *fields) element(num protowire.Number, v []byte) {
	*f = protowire.AppendBytes(protowire.AppendTag(*f, num, protowire.BytesType), v)
}

// value is a decoded field: num for varints, data for everything else.
type value struct {
	num  uint64
	data []byte
}

func (v value) int() int64   { return protowire.DecodeZigZag(v.num) }
func (v value) text() string { return string(v.data) }

// decodeFields calls fn for each field of b in order. Groups and fixed-size
// fields, which no version writes, are skipped.
func decodeFields(what string, b []byte, fn func(num protowire.Number, v value) error) error {
	for len(b) > 0 {
		num, typ, n := protowire.ConsumeTag(b)
		if n < 0 {
			return fmt.Errorf("%s: %w", what, protowire.ParseError(n))
		}
		b = b[n:]
		var v value
		switch typ {
		case protowire.VarintType:
			v.num, n = protowire.ConsumeVarint(b)
		case protowire.BytesType:
			v.data, n = protowire.ConsumeBytes(b)
		default:
			n = protowire.ConsumeFieldValue(num, typ, b)
		}
		if n < 0 {
			return fmt.Errorf("%s: %w", what, protowire.ParseError(n))
		}
		b = b[n:]
		if typ != protowire.VarintType && typ != protowire.BytesType {
			continue
		}
		if err := fn(num, v); err != nil {
			return fmt.Errorf("%s: field %d: %w", what, num, err)
		}
	}
	return nil
}
