package protocol_test

import (
	"bytes"
	"encoding/hex"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"strconv"
	"strings"
	"testing"

	"counterpart/protocol"
)

var update = flag.Bool("update", false, "rewrite the golden files")

const goldenDir = "testdata/v1"

// decodeGolden reads a golden file by the first word of its name.
func decodeGolden(name string, b []byte) (any, error) {
	switch kind, rest, _ := strings.Cut(name, "-"); kind {
	case "frame": // followed by the number of its records
		count, err := strconv.ParseUint(rest, 10, 32)
		if err != nil {
			return nil, err
		}
		return protocol.DecodeFrame(b, uint32(count))
	case "event":
		return protocol.DecodeEvent(b)
	case "message":
		return protocol.DecodeMessage(b)
	case "item":
		return protocol.DecodeItem(b)
	case "prices":
		return protocol.DecodePriceList(b)
	case "taxes":
		return protocol.DecodeTaxList(b)
	case "store":
		return protocol.DecodeStoreRecord(b)
	case "policy":
		return protocol.DecodePolicyRow(b)
	case "personal":
		p, err := protocol.DecodePersonal(b)
		return plainPersonal{p.Name, p.Phone, p.Email, p.Birthday}, err
	case "programme":
		return protocol.DecodeProgramme(b)
	case "memberrow":
		return protocol.DecodeMemberRow(b)
	case "promotion":
		return protocol.DecodePromotion(b)
	default:
		return nil, fmt.Errorf("no decoder reads %s", kind)
	}
}

// plainPersonal is a Personal that may be printed.
type plainPersonal struct{ Name, Phone, Email, Birthday string }

func encodeGolden(v any) ([]byte, error) {
	switch v := v.(type) {
	case *protocol.Event:
		return protocol.EncodeEvent(v)
	case protocol.Message:
		return protocol.EncodeMessage(v)
	case *protocol.Item:
		return protocol.EncodeItem(v)
	case *protocol.PriceList:
		return protocol.EncodePriceList(v)
	case *protocol.TaxList:
		return protocol.EncodeTaxList(v)
	case *protocol.StoreRecord:
		return protocol.EncodeStoreRecord(v)
	case *protocol.PolicyRow:
		return protocol.EncodePolicyRow(v)
	case protocol.Personal:
		return protocol.EncodePersonal(v)
	case *protocol.Programme:
		return protocol.EncodeProgramme(v)
	case *protocol.MemberRow:
		return protocol.EncodeMemberRow(v)
	case *protocol.Promotion:
		return protocol.EncodePromotion(v)
	default:
		return nil, fmt.Errorf("no encoder writes %T", v)
	}
}

// golden compares got with a golden file, or writes it.
func golden(t *testing.T, path string, got []byte) {
	t.Helper()
	if *update {
		if err := os.WriteFile(path, got, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, want) {
		t.Errorf("%s: got\n%swant\n%s", path, printable(got), printable(want))
	}
}

func printable(b []byte) string {
	if bytes.ContainsFunc(b, func(r rune) bool { return r < ' ' && r != '\n' }) {
		return hex.Dump(b)
	}
	return string(b)
}

// Today's encoder writes the golden bytes.
func TestGoldenEncode(t *testing.T) {
	kinds, messages := map[protocol.Kind]bool{}, map[reflect.Type]bool{}
	for name, v := range examples() {
		b, err := encodeGolden(v)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		golden(t, filepath.Join(goldenDir, name+".bin"), b)
		switch v := v.(type) {
		case *protocol.Event:
			kinds[v.Kind] = true
		case protocol.Message:
			messages[reflect.TypeOf(v)] = true
		}
	}
	for _, kind := range []protocol.Kind{
		protocol.KindSale, protocol.KindMovement, protocol.KindCountSeen, protocol.KindStockLoad, protocol.KindCatalog, protocol.KindReissue, protocol.KindGap, protocol.KindDigest,
		protocol.KindOrder, protocol.KindOrderChange, protocol.KindFulfilment, protocol.KindExceptionChange, protocol.KindTransfer, protocol.KindLease, protocol.KindPointsChange, protocol.KindMember, protocol.KindCart, protocol.KindContact, protocol.KindAccountChange,
	} {
		if !kinds[kind] {
			t.Errorf("no example is a %s", kind)
		}
	}
	if len(messages) != 14 {
		t.Errorf("the examples are %d of 14 types of messages", len(messages))
	}
}

// A frame is the same records whichever release of the compressor packed it, so
// its bytes are not compared.
func TestGoldenFrame(t *testing.T) {
	path := filepath.Join(goldenDir, "frame-3.bin")
	records := newDay(1).records(3)
	if *update {
		frame, err := protocol.EncodeFrame(records)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, frame, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	frame, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if got, err := protocol.DecodeFrame(frame, 3); err != nil || !reflect.DeepEqual(got, records) {
		t.Errorf("got\n%swant\n%s(%v)", dump(got), dump(records), err)
	}
}

// Every golden file that was ever written decodes for ever, to the same value.
func TestGoldenDecode(t *testing.T) {
	paths, err := filepath.Glob(filepath.Join(goldenDir, "*.bin"))
	if err != nil || len(paths) == 0 {
		t.Fatalf("no golden files: %v", err)
	}
	for _, path := range paths {
		b, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		v, err := decodeGolden(strings.TrimSuffix(filepath.Base(path), ".bin"), b)
		if err != nil {
			t.Errorf("%s: %v", path, err)
			continue
		}
		golden(t, strings.TrimSuffix(path, ".bin")+".txt", []byte(dump(v)))
	}
}

// The chain is what another client must reproduce to the byte; docs/PROTOCOL.md
// quotes this file.
func TestGoldenChain(t *testing.T) {
	origin := protocol.Origin{Store: "s1", Agent: "a1", Inc: sampleInc}
	head := origin.Genesis()
	var b strings.Builder
	fmt.Fprintf(&b, "store %s\nagent %s\ninc %s\nhash 0 %s\n", origin.Store, origin.Agent, origin.Inc, head)
	for i, r := range []protocol.Record{
		{Clock: protocol.Clock{WallMs: 1_795_252_932_000, MonoMs: 4_211_000}, Body: encoded(t, &protocol.Event{
			Kind: protocol.KindMovement, Boot: 3, Moves: []protocol.Move{{SKU: "PEN-01", Delta: 12_000}},
			Movement: &protocol.Movement{Type: protocol.Receipt, Lines: []protocol.MovementLine{{Item: protocol.ItemRef{SKU: "PEN-01"}, Quantity: 12_000}}},
		})},
		{Clock: protocol.Clock{WallMs: -1, MonoMs: 4_212_500}, Body: encoded(t, &protocol.Event{Kind: "later"})},
	} {
		head = head.Next(r)
		fmt.Fprintf(&b, "record %d %x\nhash %d %s\n", i+1, r.AppendTo(nil), i+1, head)
	}
	golden(t, filepath.Join(goldenDir, "chain.txt"), []byte(b.String()))
}

func encoded(t *testing.T, e *protocol.Event) []byte {
	t.Helper()
	body, err := protocol.EncodeEvent(e)
	if err != nil {
		t.Fatal(err)
	}
	return body
}
