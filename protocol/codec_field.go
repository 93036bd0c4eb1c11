package protocol

import (
	"math"
	"unicode/utf8"

	"google.golang.org/protobuf/encoding/protowire"
)

// Sales are read and written by hand, because a chain makes little else: the
// protobuf library would build every message twice. What it would do with the
// same bytes is what happens here, and tests compare the two: fields come in any
// order, the last of a scalar counts, messages that are given twice are merged,
// columns may be packed or not, and what is not known is skipped.

// part is a message inside another, before it is read. The bytes of two in a
// row are the bytes of both merged.
type part struct {
	b     []byte
	s     string // the same bytes, unless parts were merged
	there bool
}

// fieldReader reads the fields of one message. Texts are pieces of one copy. It
// moves by index, because a pointer that changes costs more while memory is
// collected.
type fieldReader struct {
	b  []byte
	s  string // the same bytes
	at int    // where the next field begins

	num      protowire.Number
	typ      protowire.Type
	varint   uint64 // or a fixed64
	from, to int    // where the bytes of the field are
}

func (p part) fields() fieldReader {
	if len(p.s) != len(p.b) {
		p.s = string(p.b)
	}
	return fieldReader{b: p.b, s: p.s}
}

// next reads one field. It returns false at the end and once c has failed.
func (r *fieldReader) next(c *check) bool {
	if c.err != nil || r.at >= len(r.b) {
		return false
	}
	b, n := r.b[r.at:], 1
	if tag := b[0]; tag < 0x80 {
		r.num, r.typ = protowire.Number(tag>>3), protowire.Type(tag&7)
	} else {
		r.num, r.typ, n = protowire.ConsumeTag(b)
	}
	if n < 0 || r.num < protowire.MinValidNumber || r.num > protowire.MaxValidNumber {
		c.failf("a field is malformed")
		return false
	}
	r.at += n
	if n = r.content(b[n:]); n < 0 {
		c.failf("field %d is malformed", r.num)
		return false
	}
	r.at += n
	return true
}

// content reads what follows a tag and returns its size, or less than 0.
func (r *fieldReader) content(b []byte) (n int) {
	switch r.typ {
	case protowire.VarintType:
		r.varint, n = consumeVarint(b)
	case protowire.BytesType:
		var size uint64
		if size, n = consumeVarint(b); n < 0 || size > uint64(len(b)-n) {
			return -1
		}
		r.from = r.at + n
		n += int(size)
		r.to = r.at + n
	case protowire.Fixed64Type:
		r.varint, n = protowire.ConsumeFixed64(b)
	default:
		n = protowire.ConsumeFieldValue(r.num, r.typ, b)
	}
	return n
}

// text and part are the bytes of the field.
func (r *fieldReader) text() string { return r.s[r.from:r.to] }

func (r *fieldReader) part() part {
	return part{b: r.b[r.from:r.to:r.to], s: r.text(), there: true}
}

// consumeVarint is protowire's, with a short way for small numbers.
func consumeVarint(b []byte) (uint64, int) {
	if len(b) > 0 && b[0] < 0x80 {
		return uint64(b[0]), 1
	}
	return protowire.ConsumeVarint(b)
}

// The methods below take the field that was read last. One of another type is
// not known and leaves what was there.

func (r *fieldReader) uint64(v *uint64) {
	if r.typ == protowire.VarintType {
		*v = r.varint
	}
}

func (r *fieldReader) uint32(v *uint32) {
	if r.typ == protowire.VarintType {
		*v = uint32(r.varint)
	}
}

func (r *fieldReader) enum(v *int32) {
	if r.typ == protowire.VarintType {
		*v = int32(r.varint)
	}
}

func (r *fieldReader) sint32(v *int32) {
	if r.typ == protowire.VarintType {
		*v = unzigzag32(r.varint)
	}
}

func (r *fieldReader) fixed64(v *uint64) {
	if r.typ == protowire.Fixed64Type {
		*v = r.varint
	}
}

func (r *fieldReader) bool(v *bool) {
	if r.typ == protowire.VarintType {
		*v = r.varint != 0
	}
}

func sint64[N ~int64](r *fieldReader, v *N) {
	if r.typ == protowire.VarintType {
		*v = N(protowire.DecodeZigZag(r.varint))
	}
}

func text[S ~string](r *fieldReader, c *check, v *S) {
	if r.typ == protowire.BytesType {
		c.utf8(r.text())
		*v = S(r.text())
	}
}

// texts adds an entry to a column of texts, which has at most limit.
func (r *fieldReader) texts(c *check, what string, list []string, limit int) []string {
	if r.typ != protowire.BytesType {
		return list
	}
	c.utf8(r.text())
	c.count(what, len(list)+1, limit)
	if c.err != nil {
		return list
	}
	return append(list, r.text())
}

// message takes a message, and merges it with one of the same field. Each must
// be whole by itself: what the one lacks the other does not bring.
func (r *fieldReader) message(c *check, p *part) {
	switch {
	case r.typ != protowire.BytesType:
	case !p.there:
		*p = r.part()
	default:
		for _, whole := range [...]part{*p, r.part()} {
			for f := whole.fields(); f.next(c); {
			}
		}
		p.b = append(p.b, r.b[r.from:r.to]...)
	}
}

// isMessage tells whether the field may be an entry of a list of messages.
func (r *fieldReader) isMessage() bool { return r.typ == protowire.BytesType }

func (r *fieldReader) isVarint() bool { return r.typ == protowire.VarintType }

func unzigzag32(v uint64) int32 { return int32(protowire.DecodeZigZag(v & math.MaxUint32)) }

// utf8 checks a text as protobuf does.
func (c *check) utf8(s string) {
	if !utf8.ValidString(s) {
		c.failf("a text is not UTF-8")
	}
}

// varints is a column of numbers as it was packed.
type varints struct {
	b  []byte
	n  int // how many numbers are in b
	at int // where the next one begins
}

// add takes one number, or many in a row. Once there are more than limit, c
// has failed.
func (v *varints) add(c *check, r *fieldReader, what string, limit int) {
	var more []byte
	switch r.typ {
	case protowire.BytesType:
		more = r.b[r.from:r.to:r.to]
	case protowire.VarintType:
		more = protowire.AppendVarint(nil, r.varint)
	}
	for b := more; len(b) > 0; v.n++ {
		_, n := consumeVarint(b)
		if n < 0 {
			c.failf("column %s is malformed", what)
			return
		}
		b = b[n:]
	}
	if c.count(what, v.n, limit); c.err != nil {
		return
	}
	if len(v.b) == 0 {
		v.b = more
	} else {
		v.b = append(v.b, more...) // a column is cut to its length, so this copies it
	}
}

// next returns the numbers in turn, and 0 for a column that was left out.
func (v *varints) next() uint64 {
	if v.at >= len(v.b) {
		return 0
	}
	x, n := consumeVarint(v.b[v.at:])
	v.at += n
	return x
}

// state is next for a column of states.
func (v *varints) state(c *check, what string) State {
	s := int32(v.next())
	if s < 0 || s >= int32(StateCount) {
		c.failf("state %d in %s is not known", s, what)
		return 0
	}
	return State(s)
}

// The functions below write a field. What is zero is left out.

func appendUint(b []byte, num protowire.Number, v uint64) []byte {
	if v == 0 {
		return b
	}
	return protowire.AppendVarint(protowire.AppendTag(b, num, protowire.VarintType), v)
}

func appendSint[N ~int64 | ~int32](b []byte, num protowire.Number, v N) []byte {
	return appendUint(b, num, protowire.EncodeZigZag(int64(v)))
}

func appendBool(b []byte, num protowire.Number, v bool) []byte {
	return appendUint(b, num, protowire.EncodeBool(v))
}

func appendText[S ~string](b []byte, c *check, num protowire.Number, v S) []byte {
	if v == "" {
		return b
	}
	return appendEntry(b, c, num, string(v))
}

// appendEntry writes one entry of a column of texts, also where it is empty.
func appendEntry(b []byte, c *check, num protowire.Number, v string) []byte {
	c.utf8(v)
	return protowire.AppendString(protowire.AppendTag(b, num, protowire.BytesType), v)
}

// openField begins a field whose size is not known yet; closeField ends it.
func openField(b []byte, num protowire.Number) (opened []byte, at int) {
	b = append(protowire.AppendTag(b, num, protowire.BytesType), 0)
	return b, len(b)
}

func closeField(b []byte, at int) []byte {
	size := uint64(len(b) - at)
	if size < 0x80 {
		b[at-1] = byte(size)
		return b
	}
	more := protowire.SizeVarint(size) - 1
	b = append(b, make([]byte, more)...)
	copy(b[at+more:], b[at:])
	protowire.AppendVarint(b[:at-1], size)
	return b
}

// appendColumn writes a column of n numbers, or nothing when all are 0.
func appendColumn(b []byte, num protowire.Number, n int, entry func(i int) uint64) []byte {
	start, bits := len(b), uint64(0)
	b, at := openField(b, num)
	for i := range n {
		v := entry(i)
		bits |= v
		b = protowire.AppendVarint(b, v)
	}
	if bits == 0 {
		return b[:start]
	}
	return closeField(b, at)
}

// appendTexts writes a column of n texts, or nothing when all are empty.
func appendTexts(b []byte, c *check, num protowire.Number, n int, entry func(i int) string) []byte {
	some := false
	for i := range n {
		some = some || entry(i) != ""
	}
	for i := 0; some && i < n; i++ {
		b = appendEntry(b, c, num, entry(i))
	}
	return b
}
