package client_test

import (
	"encoding/hex"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"counterpart/test/client"
	"counterpart/test/process"
)

// pageHex is the text of docs/PROTOCOL.md with all white space taken out, so
// that hexadecimal digits may be broken into lines there.
func pageHex(t *testing.T) string {
	t.Helper()
	root, err := process.Root()
	if err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(filepath.Join(root, "docs", "PROTOCOL.md"))
	if err != nil {
		t.Fatal(err)
	}
	return strings.Join(strings.Fields(string(text)), "")
}

// TestWorkedExamples computes what the page shows.
func TestWorkedExamples(t *testing.T) {
	page := pageHex(t)
	shown := func(what, digits string) {
		t.Helper()
		if !strings.Contains(page, digits) {
			t.Errorf("%s is %s, which the page does not show", what, digits)
		}
	}
	s := client.Stream{Store: "s1", Agent: "a1"}
	inc, err := hex.DecodeString("9f3c01a75510ee42086bd1902e774cb5")
	if err != nil {
		t.Fatal(err)
	}
	s.Inc = client.Inc(inc)
	receipt := client.Movement{Type: client.Receipt, Lines: []client.MovementLine{{SKU: "PEN-01", Quantity: 12000}}}.Event()
	receipt.Boot = 3
	records := []client.Record{
		{Wall: 1795252932000, Running: 4211000, Body: receipt.Encode()},
		{Wall: -1, Running: 4212500, Body: client.Event{Text: "later"}.Encode()},
	}
	l := client.NewLog(s)
	for _, r := range records {
		l.Append(r)
	}
	shown("the part of s1", "for`s1`itis`"+client.Part("s1")+"`")
	for n := range uint64(3) {
		hash := l.Hash(n)
		shown("a hash", "hash"+string(rune('0'+n))+hex.EncodeToString(hash[:]))
	}
	for i, r := range records {
		shown("a record", "record"+string(rune('1'+i))+hex.EncodeToString(r.Bytes()))
	}
	shown("the checksum's check value", hex.EncodeToString([]byte{
		byte(client.Checksum([]byte("123456789")) >> 24), byte(client.Checksum([]byte("123456789")) >> 16),
		byte(client.Checksum([]byte("123456789")) >> 8), byte(client.Checksum([]byte("123456789"))),
	}))
	sale := pens(1, 2)
	shown("the sale", hex.EncodeToString(sale.Event("PEN-01").Encode()))
	content := hex.EncodeToString(client.FrameContent(records))
	for _, piece := range []string{content[:28], content[28:56], content[56:114], content[114:]} {
		shown("a piece of the frame", piece)
	}
}

// TestFrame packs and unpacks, also clocks at their limits.
func TestFrame(t *testing.T) {
	records := []client.Record{
		{Wall: 1795252932000, Running: 5, Body: []byte{1}},
		{Wall: -1 << 63, Running: 1<<63 - 1, Body: []byte{2}},
		{Wall: 0, Running: 0, Body: nil},
	}
	frame, err := client.Pack(records)
	if err != nil {
		t.Fatal(err)
	}
	again, err := client.Unpack(frame, 3)
	if err != nil {
		t.Fatal(err)
	}
	for i := range records {
		if string(again[i].Bytes()) != string(records[i].Bytes()) {
			t.Errorf("record %d came back as %+v", i, again[i])
		}
	}
	if _, err := client.Unpack(frame, 2); err == nil {
		t.Error("a frame of three passes for one of two")
	}
}
