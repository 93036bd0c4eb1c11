package main

import (
	"encoding/binary"
	"fmt"
	"slices"
	"strings"
	"testing"

	"counterpart/protocol"
)

// hex writes text as strace -xx does.
func hex(text string) string {
	var b strings.Builder
	for i := range len(text) {
		fmt.Fprintf(&b, `\x%02x`, text[i])
	}
	return b.String()
}

// script turns lines in which «text» stands for text in hexadecimal into a
// trace.
func script(t *testing.T, lines string) *trace {
	t.Helper()
	var b strings.Builder
	for line := range strings.Lines(strings.TrimSpace(lines)) {
		rest := strings.TrimLeft(line, "\t\n ")
		for {
			before, after, ok := strings.Cut(rest, "«")
			b.WriteString(before)
			if !ok {
				break
			}
			text, behind, _ := strings.Cut(after, "»")
			b.WriteString(hex(text))
			rest = behind
		}
	}
	tr, err := readTrace(strings.NewReader(b.String()))
	if err != nil {
		t.Fatal(err)
	}
	return tr
}

// replay builds a recording from a trace and what its process left behind.
func replay(t *testing.T, lines string, files map[string][]byte) (*recording, error) {
	t.Helper()
	tr := script(t, lines)
	b := newBuilder("/x/data", isStore)
	for i := range tr.calls {
		if err := b.call(&tr.calls[i]); err != nil {
			return nil, err
		}
	}
	return b.rec, b.endRun(tr.end, files)
}

const made = `
	1 mkdirat(AT_FDCWD<«/x»>, "«data»", 0700) = 0
	1 openat(AT_FDCWD<«/x»>, "«data/agent.db»", O_RDWR|O_CREAT|O_EXCL|O_CLOEXEC, 0600) = 5<«/x/data/agent.db»>
`

// TestBuilderKnowsWhatASyncCovers lets threads overlap: a write that has not
// ended when a sync begins is not covered by it, and a sync covers one file.
func TestBuilderKnowsWhatASyncCovers(t *testing.T) {
	rec, err := replay(t, made+`
	1 openat(AT_FDCWD<«/x»>, "«data/agent.db.new-1»", O_RDWR|O_CREAT, 0600) = 6<«/x/data/agent.db.new-1»>
	1 pwrite64(5<«/x/data/agent.db»>, "«one»", 3, 0) = 3
	1 pwrite64(6<«/x/data/agent.db.new-1»>, "«else»", 4, 0) = 4
	2 pwrite64(5<«/x/data/agent.db»>, "«two»", 3, 3 <unfinished ...>
	1 fdatasync(5<«/x/data/agent.db»> <unfinished ...>
	2 <... pwrite64 resumed>) = 3
	1 <... fdatasync resumed>) = 0
	3 write(9<«socket:[77]»>, "«HTTP/1.1 201 Created\r\n\r\n{"event_id":"000102030405060708090a0b0c0d0e0f-7"}»", 70) = 70
	3 write(9<«socket:[77]»>, "«HTTP/1.1 409 Conflict\r\n\r\n{"event_id":"000102030405060708090a0b0c0d0e0f-8"}»", 70) = 70
	1 fsync(4<«/x/data»>) = 0
	1 +++ exited with 0 +++`, map[string][]byte{"agent.db": []byte("onetwo"), "agent.db.new-1": []byte("else")})
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, o := range rec.Ops {
		got = append(got, fmt.Sprintf("%d %q %v", o.Kind, o.Data, o.Durable != never))
	}
	want := `2 "" false|2 "" true|2 "" true|0 "one" true|0 "else" false|0 "two" false`
	if strings.Join(got, "|") != want {
		t.Errorf("ops %s, want %s", strings.Join(got, "|"), want)
	}
	if len(rec.Shown) != 1 || rec.Shown[0].Seq != 7 {
		t.Errorf("shown %v, want event 7", rec.Shown)
	}
}

// TestBuilderKeepsWhatAKilledWriteLeft ends a process within a write.
func TestBuilderKeepsWhatAKilledWriteLeft(t *testing.T) {
	long := strings.Repeat("a", sectorBytes) + strings.Repeat("b", sectorBytes)
	lines := made + `1 pwrite64(5<«/x/data/agent.db»>, "«` + long + `»", 1024, 0 <unfinished ...>) = ?
	1 +++ killed by SIGKILL +++`
	rec, err := replay(t, lines, map[string][]byte{"agent.db": []byte(long[:sectorBytes])})
	if err != nil {
		t.Fatal(err)
	}
	if last := rec.Ops[len(rec.Ops)-1]; string(last.Data) != long[:sectorBytes] || last.Durable != never {
		t.Errorf("kept %d bytes", len(last.Data))
	}
}

// TestBuilderRefusesHoles changes data in ways that the recording would miss.
func TestBuilderRefusesHoles(t *testing.T) {
	for name, c := range map[string]struct{ lines, left string }{
		"a call that is not replayed": {`1 fallocate(5<«/x/data/agent.db»>, 0, 0, 4096) = 0`, ""},
		"writing through memory":      {`1 mmap(NULL, 4096, PROT_READ|PROT_WRITE, MAP_SHARED, 5<«/x/data/agent.db»>, 0) = 0x7f0000000000`, ""},
		"a cut text":                  {`1 pwrite64(5<«/x/data/agent.db»>, "«one»"..., 30, 0) = 30`, ""},
		"bytes that nobody wrote":     {`1 pwrite64(5<«/x/data/agent.db»>, "«one»", 3, 0) = 3`, "two"},
	} {
		if rec, err := replay(t, made+c.lines, map[string][]byte{"agent.db": []byte(c.left)}); err == nil {
			t.Errorf("%s: no error, %d ops", name, len(rec.Ops))
		}
	}
	if _, err := replay(t, made, nil); err == nil {
		t.Error("a file that is gone: no error")
	}
	if _, err := replay(t, made+`1 rename("«/x/data/agent.db»", "«/x/data/agent.db.old»") = 0`, map[string][]byte{"agent.db.old": nil}); err != nil {
		t.Errorf("a rename: %v", err)
	}
}

// publish is an MQTT packet with a message to the hub.
func publish(t *testing.T, m protocol.Message) string {
	t.Helper()
	payload, err := protocol.EncodeMessage(m)
	if err != nil {
		t.Fatal(err)
	}
	const topic = "cp/1/e8/s1/a/up"
	body := "\x00" + string(rune(len(topic))) + topic + string(payload)
	return string(binary.AppendUvarint([]byte{packetPublish}, uint64(len(body)))) + body
}

// TestWireReadsWhatTheHubIsTold sends a hello and a beat in pieces that do not
// fit the packets.
func TestWireReadsWhatTheHubIsTold(t *testing.T) {
	inc, err := protocol.ParseInc("000102030405060708090a0b0c0d0e0f")
	if err != nil {
		t.Fatal(err)
	}
	hello := publish(t, &protocol.Hello{Version: 1, Nonce: 1, Store: "s1", Agent: "a", Inc: inc, LastSeq: 7})
	beat := publish(t, &protocol.Beat{LastSeq: 9})
	b := newBuilder("/x/data", isStore)
	for i, part := range []string{"\x10\x0c\x00\x04MQTT\x04\x02\x00\x0a\x00\x00", hello[:20], hello[20:] + beat[:5], beat[5:], "\xc0\x00"} {
		b.send("socket:[1]", []byte(part), 10*i)
		b.send("socket:[2]", []byte(hello), 10*i) // Not MQTT from its start.
	}
	want := []shown{{At: 20, Inc: inc.String(), Seq: 7}, {At: 30, Inc: inc.String(), Seq: 9}}
	if !slices.Equal(b.rec.Shown, want) {
		t.Errorf("told %v, want %v", b.rec.Shown, want)
	}
}
