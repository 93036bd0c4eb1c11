package cart

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"

	"counterpart/protocol"

	"google.golang.org/protobuf/encoding/protowire"
)

// The fields of a cart's row. Marks are the event's inc, number and the sum.
const (
	cartWhole protowire.Number = 1
	cartLine  protowire.Number = 2
	cartOp    protowire.Number = 3

	lineSKU      protowire.Number = 1
	lineSet      protowire.Number = 2
	lineQuantity protowire.Number = 3
	lineAdded    protowire.Number = 4
	lineNoted    protowire.Number = 5
	lineNote     protowire.Number = 6
	lineMore     protowire.Number = 7

	numbersBytes = 8
	markBytes    = len(protocol.Inc{}) + 2*numbersBytes
)

var errRow = errors.New("cart: the row is malformed")

func (m mark) append(b []byte) []byte {
	b = append(b, m.id.Inc[:]...)
	b = binary.BigEndian.AppendUint64(b, uint64(m.id.Seq))
	return binary.BigEndian.AppendUint64(b, m.sum)
}

// readMark reads a mark and count numbers behind it.
func readMark(b []byte, count int) (m mark, numbers [3]uint64, err error) {
	if len(b) != markBytes+count*numbersBytes {
		return m, numbers, errRow
	}
	b = b[copy(m.id.Inc[:], b):]
	m.id.Seq, m.sum = protocol.Seq(binary.BigEndian.Uint64(b)), binary.BigEndian.Uint64(b[numbersBytes:])
	for i := range count {
		numbers[i] = binary.BigEndian.Uint64(b[(2+i)*numbersBytes:])
	}
	return m, numbers, nil
}

func field(b []byte, num protowire.Number, v []byte) []byte {
	return protowire.AppendBytes(protowire.AppendTag(b, num, protowire.BytesType), v)
}

func number(b []byte, num protowire.Number, v int64) []byte {
	return protowire.AppendVarint(protowire.AppendTag(b, num, protowire.VarintType), protowire.EncodeZigZag(v))
}

// Encode writes the cart; the same cart always gives the same bytes.
func (c *Cart) Encode() (b []byte) {
	if c.whole != (mark{}) {
		b = field(b, cartWhole, c.whole.append(nil))
	}
	for _, l := range c.lines {
		b = field(b, cartLine, l.encode())
	}
	for _, o := range c.ops {
		row := binary.BigEndian.AppendUint64(o.append(nil), o.name)
		b = field(b, cartOp, binary.BigEndian.AppendUint64(row, o.request))
	}
	return b
}

func (l *line) encode() []byte {
	b := field(nil, lineSKU, []byte(l.sku))
	if l.set != (mark{}) {
		b = field(b, lineSet, l.set.append(nil))
		b = number(number(b, lineQuantity, int64(l.qty)), lineAdded, l.addedMs)
	}
	if l.noted != (mark{}) {
		b = field(field(b, lineNoted, l.noted.append(nil)), lineNote, l.note)
	}
	for _, a := range l.more {
		row := binary.BigEndian.AppendUint64(a.append(nil), a.op)
		row = binary.BigEndian.AppendUint64(row, uint64(a.qty))
		b = field(b, lineMore, binary.BigEndian.AppendUint64(row, uint64(a.addedMs)))
	}
	return b
}

// Decode reads what Encode wrote. No bytes are the empty cart; fields of later
// versions are skipped.
func Decode(b []byte) (*Cart, error) {
	c := &Cart{}
	err := eachField(b, func(num protowire.Number, _ uint64, v []byte) (err error) {
		switch num {
		case cartWhole:
			c.whole, _, err = readMark(v, 0)
		case cartLine:
			var l *line
			l, err = decodeLine(v)
			c.lines = append(c.lines, l)
		case cartOp:
			var o op
			var n [3]uint64
			o.mark, n, err = readMark(v, 2)
			o.name, o.request = n[0], n[1]
			c.ops = append(c.ops, o)
		}
		return err
	})
	return c, err
}

func decodeLine(b []byte) (*line, error) {
	l := &line{}
	err := eachField(b, func(num protowire.Number, n uint64, v []byte) (err error) {
		switch num {
		case lineSKU:
			l.sku = protocol.SKU(v)
		case lineSet:
			l.set, _, err = readMark(v, 0)
		case lineQuantity:
			l.qty = protocol.Quantity(protowire.DecodeZigZag(n))
		case lineAdded:
			l.addedMs = protowire.DecodeZigZag(n)
		case lineNoted:
			l.noted, _, err = readMark(v, 0)
		case lineNote:
			if len(v) > 0 {
				l.note = bytes.Clone(v)
			}
		case lineMore:
			var a addition
			var n [3]uint64
			a.mark, n, err = readMark(v, 3)
			a.op, a.qty, a.addedMs = n[0], protocol.Quantity(n[1]), int64(n[2])
			l.more = append(l.more, a)
		}
		return err
	})
	return l, err
}

// eachField calls fn for each number and each string of bytes of a message.
func eachField(b []byte, fn func(num protowire.Number, n uint64, v []byte) error) error {
	for len(b) > 0 {
		num, typ, n := protowire.ConsumeTag(b)
		if n < 0 {
			return fmt.Errorf("%w: %w", errRow, protowire.ParseError(n))
		}
		b = b[n:]
		var number uint64
		var v []byte
		switch typ {
		case protowire.VarintType:
			number, n = protowire.ConsumeVarint(b)
		case protowire.BytesType:
			v, n = protowire.ConsumeBytes(b)
		default:
			n = protowire.ConsumeFieldValue(num, typ, b)
		}
		if n < 0 {
			return fmt.Errorf("%w: %w", errRow, protowire.ParseError(n))
		}
		b = b[n:]
		if err := fn(num, number, v); err != nil {
			return err
		}
	}
	return nil
}
