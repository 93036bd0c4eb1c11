package protocol_test

import (
	"errors"
	"runtime"
	"slices"
	"sort"
	"strings"
	"testing"

	"google.golang.org/protobuf/encoding/protowire"

	"counterpart/protocol"
)

// The fields of the wire that the tests below forge.
const (
	fieldKind       = 1
	fieldKindText   = 2
	fieldMoveItems  = 5
	fieldMoveStates = 6
	fieldMoveDeltas = 7
	fieldItemUnits  = 8
	fieldItemNames  = 11
	fieldItemSkus   = 12
	fieldSale       = 16
	fieldMovement   = 17
	fieldCountSeen  = 18
	fieldStockLoad  = 19
	fieldReissue    = 21
)

func varintField(number protowire.Number, v uint64) string {
	return string(protowire.AppendVarint(protowire.AppendTag(nil, number, protowire.VarintType), v))
}

func bytesField(number protowire.Number, v string) string {
	return string(protowire.AppendString(protowire.AppendTag(nil, number, protowire.BytesType), v))
}

// packed is a column of signed values.
func packed(number protowire.Number, values ...int64) string {
	var b []byte
	for _, v := range values {
		b = protowire.AppendVarint(b, protowire.EncodeZigZag(v))
	}
	return bytesField(number, string(b))
}

// A malformed event is an error, whatever is wrong with it. Fields given twice
// are merged, so each case is a good event and what spoils it.
func TestDecodeEventRefuses(t *testing.T) {
	sale, err := protocol.EncodeEvent(newDay(1).sale(3))
	if err != nil {
		t.Fatal(err)
	}
	plain := varintField(fieldKind, 0) + bytesField(fieldKindText, "repack") + bytesField(fieldItemSkus, "A") + packed(fieldMoveDeltas, 5)
	if _, err := protocol.DecodeEvent([]byte(plain)); err != nil {
		t.Fatal(err)
	}
	inSale := func(s string) string { return string(sale) + bytesField(fieldSale, s) }
	for name, body := range map[string]string{
		"nothing":                 "",
		"not a message":           "\xff\xff",
		"no kind":                 packed(fieldMoveDeltas, 1) + bytesField(fieldItemSkus, "A"),
		"kind number":             plain + varintField(fieldKind, 77),
		"negative kind number":    plain + varintField(fieldKind, 1<<64-1),
		"kind text":               plain + bytesField(fieldKindText, "a b"),
		"long kind text":          plain + bytesField(fieldKindText, strings.Repeat("k", 65)),
		"kind without body":       plain + bytesField(fieldKindText, "sale"),
		"two bodies":              string(sale) + bytesField(fieldStockLoad, ""),
		"body of another kind":    varintField(fieldKind, 2) + bytesField(fieldStockLoad, ""),
		"move of no item":         plain + packed(fieldMoveDeltas, 5),
		"move of item -1":         plain + packed(fieldMoveItems, -1),
		"move of item 2^31":       plain + packed(fieldMoveItems, 1<<31-1),
		"uneven move columns":     plain + packed(fieldMoveItems, 0, 0),
		"state 6":                 plain + varintField(fieldMoveStates, 6),
		"negative state":          plain + varintField(fieldMoveStates, 1<<64-1),
		"delta":                   plain + packed(fieldMoveDeltas, protocol.AmountMax+1) + bytesField(fieldItemSkus, "B"),
		"too many moves":          plain + packed(fieldMoveDeltas, make([]int64, protocol.MovesMax)...),
		"unit number":             plain + varintField(fieldItemUnits, 9),
		"uneven item columns":     plain + bytesField(fieldItemNames, "a") + bytesField(fieldItemNames, "b"),
		"empty SKU":               plain + bytesField(fieldItemSkus, ""),
		"SKU that is not UTF-8":   plain + bytesField(fieldItemSkus, "\xff"),
		"SKU with a control byte": plain + bytesField(fieldItemSkus, "a\nb"),
		"long SKU":                plain + bytesField(fieldItemSkus, strings.Repeat("s", 65)),
		"offset from UTC":         plain + varintField(4, protowire.EncodeZigZag(1441)),
		"idempotency without key": plain + bytesField(13, ""),
		"idempotency key":         plain + bytesField(13, bytesField(2, "a b")),
		"sale type":               inSale(varintField(1, 4)),
		"currency":                inSale(bytesField(3, "gbp")),
		"staff":                   inSale(bytesField(5, "a/b")),
		"date":                    inSale(varintField(6, 20260230)),
		"till":                    inSale(bytesField(7, "a-b")),
		"series":                  inSale(bytesField(8, "a-b")),
		"receipt number 0":        inSale(varintField(9, 0)),
		"too many lines":          inSale(packed(10, make([]int64, protocol.SaleLinesMax)...)),
		"uneven line columns":     inSale(packed(10, 1)),
		"line of item -1":         inSale(packed(11, -1, 0, 0)),
		"line of tax 1":           inSale(bytesField(12, "\x00\x01\x00")),
		"amount":                  inSale(packed(14, protocol.AmountMax*2, 0, 0)),
		"wrapping amount":         inSale(packed(14, 1<<63-1, 0, 0)),
		"discount of line 3":      inSale(bytesField(19, varintField(1, 3))),
		"discount":                inSale(bytesField(19, varintField(5, protowire.EncodeZigZag(-protocol.AmountMax-1)))),
		"tender type":             inSale(bytesField(22, varintField(1, 8))),
		"tender without type":     inSale(bytesField(22, "")),
		"total":                   inSale(varintField(23, protowire.EncodeZigZag(protocol.AmountMax+1))),
		"negative load rows":      varintField(fieldKind, 2) + bytesField(fieldMovement, varintField(1, 1)+varintField(14, 1<<63)),
		"stream seen without inc": varintField(fieldKind, 2) + bytesField(fieldMovement, varintField(1, 1)+bytesField(12, "")),
		"inc of 15 bytes":         varintField(fieldKind, 2) + bytesField(fieldMovement, varintField(1, 1)+bytesField(12, bytesField(1, strings.Repeat("i", 15)))),
		"count seen of nothing":   varintField(fieldKind, 3) + bytesField(fieldCountSeen, ""),
		"load row without SKU":    varintField(fieldKind, 4) + bytesField(fieldStockLoad, bytesField(4, "")),
		"reissue of nothing":      varintField(fieldKind, 6) + bytesField(fieldReissue, ""),
		"reissue with moves":      plain + varintField(fieldKind, 6) + bytesField(fieldKindText, "") + bytesField(fieldReissue, bytesField(1, bytesField(1, strings.Repeat("i", 16))+varintField(2, 1))+bytesField(4, "x")),
		"too large":               plain + bytesField(99, strings.Repeat("x", protocol.EventBytesMax)),
	} {
		if e, err := protocol.DecodeEvent([]byte(body)); err == nil {
			t.Errorf("%s: decodes as\n%s", name, dump(e))
		}
	}
}

// EncodeEvent refuses what DecodeEvent would refuse: an event that its own
// writer could not read again would be lost.
func TestEncodeEventRefuses(t *testing.T) {
	for name, spoil := range map[string]func(*protocol.Event){
		"kind":              func(e *protocol.Event) { e.Kind = "" },
		"other kind":        func(e *protocol.Event) { e.Kind = protocol.KindMovement },
		"later kind":        func(e *protocol.Event) { e.Kind = "later" },
		"SKU":               func(e *protocol.Event) { e.Moves[0].SKU = "" },
		"state":             func(e *protocol.Event) { e.Moves[0].State = protocol.StateCount },
		"delta":             func(e *protocol.Event) { e.Moves[0].Delta = -protocol.AmountMax - 1 },
		"moves":             func(e *protocol.Event) { e.Moves = make([]protocol.Move, protocol.MovesMax+1) },
		"lines":             func(e *protocol.Event) { e.Sale.Lines = make([]protocol.SaleLine, protocol.SaleLinesMax+1) },
		"GTIN":              func(e *protocol.Event) { e.Sale.Lines[0].Item.GTIN = "4006381333931" },
		"date":              func(e *protocol.Event) { e.Sale.BusinessDate = "21.11.2026" },
		"amount":            func(e *protocol.Event) { e.Sale.Lines[0].Amount = protocol.AmountMax + 1 },
		"till":              func(e *protocol.Event) { e.Sale.Till = "" },
		"member":            func(e *protocol.Event) { e.Sale.Member = "Ayla M." },
		"UTF-8":             func(e *protocol.Event) { e.Sale.Reason = "\xff" },
		"long text":         func(e *protocol.Event) { e.Sale.Reason = strings.Repeat("r", protocol.TextBytesMax+1) },
		"long event":        func(e *protocol.Event) { longEvent(e) },
		"idempotency":       func(e *protocol.Event) { e.Idempotency = &protocol.Idempotency{Key: "ключ"} },
		"more at risk":      func(e *protocol.Event) { e.Sale.PointsRedeemed, e.Sale.PointsAtRisk = 300, 301 },
		"risk below 0":      func(e *protocol.Event) { e.Sale.PointsRedeemed, e.Sale.PointsAtRisk = 300, -1 },
		"account of points": func(e *protocol.Event) { e.Sale.Accounts = []protocol.AccountEntry{{Account: "m-20"}} },
		"account of no line": func(e *protocol.Event) {
			e.Sale.Accounts = []protocol.AccountEntry{{Account: "o-m-20-07", Line: 9_999}}
		},
		"accounts": func(e *protocol.Event) {
			e.Sale.Accounts = slices.Repeat([]protocol.AccountEntry{{Account: "o-m-20-07"}}, 101)
		},
		"amount of an account": func(e *protocol.Event) {
			e.Sale.Accounts = []protocol.AccountEntry{{Account: "o-m-20-07", Amount: protocol.AmountMax + 1}}
		},
		"risk of what comes back": func(e *protocol.Event) { e.Sale.PointsRedeemed, e.Sale.PointsAtRisk = -300, 1 },
	} {
		e := newDay(1).sale(3)
		spoil(e)
		if _, err := protocol.EncodeEvent(e); err == nil {
			t.Errorf("%s: encodes", name)
		}
	}
}

// longEvent makes e larger than a record may be, each text within its bounds.
func longEvent(e *protocol.Event) {
	for range 17 {
		e.Sale.Warnings = append(e.Sale.Warnings, protocol.Warning{Message: strings.Repeat("w", protocol.TextBytesMax)})
	}
}

// Every record but a reissue fits into a reissue.
func TestLargestEventCanBeReissued(t *testing.T) {
	e := newDay(1).sale(3)
	longEvent(e)
	var body []byte
	sort.Search(protocol.TextBytesMax, func(less int) bool {
		e.Sale.Warnings[16].Message, e.Sale.Warnings[15].Message = "", strings.Repeat("w", protocol.TextBytesMax-less)
		encoded, err := protocol.EncodeEvent(e)
		if err == nil && len(encoded) > len(body) {
			body = encoded
		}
		return err == nil
	})
	reissue := &protocol.Event{Kind: protocol.KindReissue, Boot: 1<<32 - 1, UTCOffsetMin: -1440, Reissue: &protocol.Reissue{
		ID:     protocol.EventID{Inc: protocol.Inc{1}, Seq: 1<<64 - 1},
		Record: protocol.Record{Clock: protocol.Clock{WallMs: -1 << 63, MonoMs: -1 << 63}, Body: body},
	}}
	again, err := protocol.EncodeEvent(reissue)
	if err != nil {
		t.Fatalf("a record of %d bytes cannot be reissued: %v", len(body), err)
	}
	t.Logf("%d bytes, reissued %d", len(body), len(again))
	records := []protocol.Record{{Body: again}}
	frame, err := protocol.EncodeFrame(records)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := protocol.DecodeFrame(frame, 1); err != nil {
		t.Fatal(err)
	}
}

// Many empty messages in few bytes are refused before they fill the memory.
func TestDecodeInBoundedMemory(t *testing.T) {
	tenders := strings.Repeat(bytesField(22, ""), 300_000)
	rows := strings.Repeat(bytesField(6, ""), 500_000)
	skus := strings.Repeat(bytesField(fieldItemSkus, ""), 400_000)
	for name, decode := range map[string]func() error{
		"tenders": func() error {
			_, err := protocol.DecodeEvent([]byte(varintField(fieldKind, 1) + bytesField(fieldSale, tenders)))
			return err
		},
		"items": func() error { _, err := protocol.DecodeEvent([]byte(skus)); return err },
		"rows":  func() error { _, err := protocol.DecodeMessage([]byte(bytesField(9, rows))); return err },
		"codes": func() error {
			_, err := protocol.DecodeItem([]byte(strings.Repeat(bytesField(3, ""), 400_000)))
			return err
		},
	} {
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		err := decode()
		runtime.ReadMemStats(&after)
		if err == nil {
			t.Errorf("%s: decodes", name)
		}
		if spent := after.TotalAlloc - before.TotalAlloc; spent > 40<<20 {
			t.Errorf("%s: took %d MiB", name, spent>>20)
		}
	}
}

func TestDecodeMessageRefuses(t *testing.T) {
	if _, err := protocol.DecodeMessage([]byte(bytesField(99, "of a later version"))); !errors.Is(err, protocol.ErrUnknownMessage) {
		t.Errorf("a message of a later version: %v", err)
	}
	if _, err := protocol.DecodeMessage(nil); !errors.Is(err, protocol.ErrUnknownMessage) {
		t.Errorf("an empty message: %v", err)
	}
	hello := bytesField(5, "s1") + bytesField(6, "a1")
	if _, err := protocol.DecodeMessage([]byte(bytesField(1, hello))); err != nil {
		t.Fatal(err)
	}
	for name, payload := range map[string]string{
		"noise":               "\xff",
		"hello without agent": bytesField(1, bytesField(5, "s1")),
		"store":               bytesField(1, hello+bytesField(5, "a/b")),
		"inc":                 bytesField(1, hello+bytesField(7, "short")),
		"hash":                bytesField(1, hello+bytesField(11, "short")),
		"feed":                bytesField(1, hello+bytesField(14, "")),
		"verdict":             bytesField(2, bytesField(10, bytesField(1, "catalog")+varintField(4, 256))),
		"batch of nothing":    bytesField(3, ""),
		"batch of 257":        bytesField(3, varintField(5, 257)+bytesField(7, "x")),
		"session":             bytesField(4, bytesField(1, "short")),
		"peer":                bytesField(9, bytesField(2, "peer/s1")+bytesField(7, varintField(6, 1)+bytesField(7, "x"))),
		"too large":           bytesField(11, bytesField(4, strings.Repeat("x", protocol.MessageBytesMax))),
	} {
		if m, err := protocol.DecodeMessage([]byte(payload)); err == nil || errors.Is(err, protocol.ErrUnknownMessage) {
			t.Errorf("%s: decodes as %v (%v)", name, m, err)
		}
	}
	if _, err := protocol.EncodeMessage(nil); err == nil {
		t.Error("no message encodes")
	}
}
