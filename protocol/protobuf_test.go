package protocol_test

import (
	"bytes"
	"math/rand/v2"
	"os"
	"path/filepath"
	"reflect"
	"testing"

	"google.golang.org/protobuf/encoding/protowire"
	"pgregory.net/rapid"

	"counterpart/protocol"
)

// fatal is a test, a fuzzer or a property that can fail.
type fatal interface{ Fatalf(string, ...any) }

// sameAsProtobuf demands that the bytes read as the protobuf library reads
// them, and that what they say is written as it writes it.
func sameAsProtobuf(t fatal, body []byte) (valid bool) {
	got, err := protocol.DecodeEvent(body)
	want, wantErr := protocol.ProtobufDecodeEvent(body)
	if (err == nil) != (wantErr == nil) {
		t.Fatalf("%x:\nread with %v, by protobuf with %v", body, err, wantErr)
	}
	if err != nil {
		return false
	}
	if !reflect.DeepEqual(got, want) {
		t.Fatalf("%x:\ngot\n%swant\n%s", body, dump(got), dump(want))
	}
	sameWrittenAsProtobuf(t, got)
	return true
}

func sameWrittenAsProtobuf(t fatal, e *protocol.Event) {
	got, err := protocol.EncodeEvent(e)
	want, wantErr := protocol.ProtobufEncodeEvent(e)
	if (err == nil) != (wantErr == nil) || !bytes.Equal(got, want) {
		t.Fatalf("%swritten as\n%x (%v), by protobuf as\n%x (%v)", dump(e), got, err, want, wantErr)
	}
}

// Events that make sense are written and read as protobuf would.
func TestEventsAsProtobuf(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		e := genEvent.Draw(t, "event")
		sameWrittenAsProtobuf(t, e)
		body, err := protocol.EncodeEvent(e)
		if err != nil {
			t.Fatal(err)
		}
		sameAsProtobuf(t, body)
	})
}

// Bytes that are almost events or rows are read as protobuf would, or refused
// with it.
func TestDamagedAsProtobuf(t *testing.T) {
	more := newDay(1).records(1)[0].Body
	for kind, read := range map[string]func(fatal, []byte) bool{
		"event":  sameAsProtobuf,
		"item":   sameRow(protocol.DecodeItem, protocol.ProtobufDecodeItem),
		"prices": sameRow(protocol.DecodePriceList, protocol.ProtobufDecodePriceList),
		"taxes":  sameRow(protocol.DecodeTaxList, protocol.ProtobufDecodeTaxList),
	} {
		seeds := goldenFiles(t, kind)
		if kind == "event" {
			seeds = append(seeds, more)
		}
		damaged(t, kind, seeds, read)
	}
}

func damaged(t *testing.T, kind string, seeds [][]byte, read func(fatal, []byte) bool) {
	const tries = 10_000
	d := damage{rand.New(rand.NewPCG(1, 2))}
	valid := 0
	for range tries {
		b := seeds[d.IntN(len(seeds))]
		for range 1 + d.IntN(3) {
			b = d.do(b, 2)
		}
		if read(t, b) {
			valid++
		}
	}
	t.Logf("%s: %d of %d are still good", kind, valid, tries)
	if valid < tries/20 || valid > tries*19/20 {
		t.Errorf("%s: %d of %d are still good: the damage tests one side only", kind, valid, tries)
	}
}

// sameRow is sameAsProtobuf for a row.
func sameRow[R any](decode, protobuf func([]byte) (*R, error)) func(fatal, []byte) bool {
	return func(t fatal, value []byte) bool {
		got, err := decode(value)
		want, wantErr := protobuf(value)
		if (err == nil) != (wantErr == nil) || !reflect.DeepEqual(got, want) {
			t.Fatalf("%x:\ngot\n%s(%v)want\n%s(%v)", value, dump(got), err, dump(want), wantErr)
		}
		return err == nil
	}
}

func goldenFiles(t *testing.T, kind string) [][]byte {
	paths, err := filepath.Glob(filepath.Join(goldenDir, kind+"-*.bin"))
	if err != nil || len(paths) == 0 {
		t.Fatalf("no golden files: %v", err)
	}
	var files [][]byte
	for _, path := range paths {
		b, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		files = append(files, b)
	}
	return files
}

func FuzzEventAsProtobuf(f *testing.F) {
	seedGolden(f, "event")
	f.Fuzz(func(t *testing.T, b []byte) { sameAsProtobuf(t, b) })
}

// damage changes messages as a careless or hostile writer might.
type damage struct{ *rand.Rand }

// do changes a message, or one down to depth messages inside it.
func (d damage) do(b []byte, depth int) []byte {
	fields := cutFields(b)
	if len(fields) == 0 || d.IntN(8) == 0 {
		return d.bytes(b)
	}
	i := d.IntN(len(fields))
	switch d.IntN(7) {
	case 0: // in another order
		d.Shuffle(len(fields), func(i, j int) { fields[i], fields[j] = fields[j], fields[i] })
	case 1: // given twice
		fields = append(fields, fields[i])
	case 2: // left out
		fields[i] = nil
	case 3: // of another number or type
		_, _, n := protowire.ConsumeTag(fields[i])
		fields[i] = append(protowire.AppendVarint(nil, d.Uint64N(40<<3)), fields[i][n:]...)
	case 4: // a column that is not packed
		fields[i] = d.unpack(fields[i])
	case 5: // something that nobody knows
		fields[i] = append(fields[i], d.unknown()...)
	default:
		fields[i] = d.inside(fields[i], depth)
	}
	return bytes.Join(fields, nil)
}

// cutFields cuts a message into its fields, as far as it is one.
func cutFields(b []byte) [][]byte {
	var fields [][]byte
	for len(b) > 0 {
		_, _, n := protowire.ConsumeField(b)
		if n < 0 {
			return nil
		}
		fields = append(fields, b[:n:n])
		b = b[n:]
	}
	return fields
}

func (d damage) bytes(b []byte) []byte {
	b = bytes.Clone(b)
	if len(b) == 0 {
		return []byte{byte(d.Uint32())}
	}
	i := d.IntN(len(b))
	switch d.IntN(4) {
	case 0:
		return b[:i]
	case 1:
		b[i] ^= 1 << d.IntN(8)
	case 2:
		b[i] = byte(d.Uint32())
	default:
		return append(append(bytes.Clone(b[:i]), protowire.AppendVarint(nil, d.Uint64()>>d.IntN(64))...), b[i:]...)
	}
	return b
}

// inside changes what a field holds.
func (d damage) inside(field []byte, depth int) []byte {
	num, typ, n := protowire.ConsumeTag(field)
	tag := protowire.AppendTag(nil, num, typ)
	switch {
	case typ == protowire.VarintType:
		return protowire.AppendVarint(tag, d.Uint64()>>d.IntN(64))
	case typ != protowire.BytesType:
		return d.bytes(field)
	}
	value, _ := protowire.ConsumeBytes(field[n:])
	if depth > 0 && d.IntN(4) > 0 {
		value = d.do(value, depth-1)
	} else {
		value = d.bytes(value)
	}
	return protowire.AppendBytes(tag, value)
}

func (d damage) unpack(field []byte) []byte {
	num, typ, n := protowire.ConsumeTag(field)
	if typ != protowire.BytesType {
		return field
	}
	value, _ := protowire.ConsumeBytes(field[n:])
	var b []byte
	for len(value) > 0 {
		v, n := protowire.ConsumeVarint(value)
		if n < 0 {
			return field
		}
		value = value[n:]
		b = protowire.AppendVarint(protowire.AppendTag(b, num, protowire.VarintType), v)
	}
	return b
}

func (d damage) unknown() []byte {
	num := protowire.Number(1 + d.IntN(60))
	switch d.IntN(6) {
	case 0:
		return protowire.AppendVarint(protowire.AppendTag(nil, num, protowire.VarintType), d.Uint64())
	case 1:
		return protowire.AppendFixed32(protowire.AppendTag(nil, num, protowire.Fixed32Type), d.Uint32())
	case 2:
		return protowire.AppendFixed64(protowire.AppendTag(nil, num, protowire.Fixed64Type), d.Uint64())
	case 3:
		group := protowire.AppendVarint(protowire.AppendTag(nil, 1, protowire.VarintType), 7)
		return protowire.AppendGroup(protowire.AppendTag(nil, num, protowire.StartGroupType), num, group)
	case 4: // a number that no field may have
		return protowire.AppendVarint(protowire.AppendVarint(nil, uint64(protowire.MaxValidNumber+1)<<3), 7)
	default:
		return protowire.AppendString(protowire.AppendTag(nil, num, protowire.BytesType), "a later version's")
	}
}
