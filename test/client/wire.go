package client

import (
	"google.golang.org/protobuf/encoding/protowire"
)

// fields is a protobuf message in the making. As proto3 wants, a default value
// of a single field is left out.
type fields []byte

func (f *fields) uint(n protowire.Number, v uint64) {
	if v != 0 {
		*f = protowire.AppendVarint(protowire.AppendTag(*f, n, protowire.VarintType), v)
	}
}

func (f *fields) sint(n protowire.Number, v int64) { f.uint(n, protowire.EncodeZigZag(v)) }

func (f *fields) bool(n protowire.Number, v bool) { f.uint(n, protowire.EncodeBool(v)) }

func (f *fields) fixed64(n protowire.Number, v uint64) {
	if v != 0 {
		*f = protowire.AppendFixed64(protowire.AppendTag(*f, n, protowire.Fixed64Type), v)
	}
}

func (f *fields) fixed32(n protowire.Number, v uint32) {
	if v != 0 {
		*f = protowire.AppendFixed32(protowire.AppendTag(*f, n, protowire.Fixed32Type), v)
	}
}

func (f *fields) bytes(n protowire.Number, v []byte) {
	if len(v) > 0 {
		f.element(n, v)
	}
}

func (f *fields) text(n protowire.Number, v string) { f.bytes(n, []byte(v)) }

// element writes an entry of a repeated field or a message, also where it is
// empty.
func (f *fields) element(n protowire.Number, v []byte) {
	*f = protowire.AppendBytes(protowire.AppendTag(*f, n, protowire.BytesType), v)
}

// texts writes a column of text, which is absent if all of its entries are
// empty.
func (f *fields) texts(n protowire.Number, list []string) {
	all := ""
	for _, s := range list {
		all += s
	}
	if all == "" {
		return
	}
	for _, s := range list {
		f.element(n, []byte(s))
	}
}

// numbers writes a packed column as it is.
func (f *fields) numbers(n protowire.Number, list []uint64) {
	var packed []byte
	for _, v := range list {
		packed = protowire.AppendVarint(packed, v)
	}
	f.bytes(n, packed)
}

// column is numbers, absent if all of its entries are 0.
func (f *fields) column(n protowire.Number, list []uint64) {
	for _, v := range list {
		if v != 0 {
			f.numbers(n, list)
			return
		}
	}
}

// signed turns numbers into what sint64 and sint32 columns hold.
func signed(list []int64) []uint64 {
	out := make([]uint64, len(list))
	for i, v := range list {
		out[i] = protowire.EncodeZigZag(v)
	}
	return out
}

// value is one field as it was read: num for numbers, data for bytes.
type value struct {
	num  uint64
	data []byte
}

// Message is a protobuf message that was read: its fields by number.
type Message map[protowire.Number][]value

// ParseMessage reads a message; nil if the bytes are none.
func ParseMessage(b []byte) Message {
	m := Message{}
	for len(b) > 0 {
		number, kind, n := protowire.ConsumeTag(b)
		if n < 0 {
			return nil
		}
		b = b[n:]
		var v value
		switch kind {
		case protowire.VarintType:
			v.num, n = protowire.ConsumeVarint(b)
		case protowire.Fixed64Type:
			v.num, n = protowire.ConsumeFixed64(b)
		case protowire.Fixed32Type:
			var short uint32
			short, n = protowire.ConsumeFixed32(b)
			v.num = uint64(short)
		case protowire.BytesType:
			v.data, n = protowire.ConsumeBytes(b)
		default:
			n = protowire.ConsumeFieldValue(number, kind, b)
		}
		if n < 0 {
			return nil
		}
		b = b[n:]
		m[number] = append(m[number], v)
	}
	return m
}

func (m Message) last(n protowire.Number) value {
	if list := m[n]; len(list) > 0 {
		return list[len(list)-1]
	}
	return value{}
}

// Uint is a field of an unsigned number or an enum.
func (m Message) Uint(n protowire.Number) uint64 { return m.last(n).num }

// Sint is a field of a zigzag number.
func (m Message) Sint(n protowire.Number) int64 { return protowire.DecodeZigZag(m.last(n).num) }

// Bytes is a field of bytes.
func (m Message) Bytes(n protowire.Number) []byte { return m.last(n).data }

// Text is a field of text.
func (m Message) Text(n protowire.Number) string { return string(m.last(n).data) }

// Has tells whether a field is there.
func (m Message) Has(n protowire.Number) bool { return len(m[n]) > 0 }

// Inner is a field that is a message itself.
func (m Message) Inner(n protowire.Number) Message { return ParseMessage(m.last(n).data) }

// List is a repeated field of messages.
func (m Message) List(n protowire.Number) []Message {
	var list []Message
	for _, v := range m[n] {
		list = append(list, ParseMessage(v.data))
	}
	return list
}

// Column reads a packed column of zigzag numbers; nil if it is none.
func Column(b []byte) []int64 {
	list := []int64{}
	for len(b) > 0 {
		v, n := protowire.ConsumeVarint(b)
		if n < 0 {
			return nil
		}
		list, b = append(list, protowire.DecodeZigZag(v)), b[n:]
	}
	return list
}
