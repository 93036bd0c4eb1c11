package main

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
)

// unended is the end of a call that its process did not live to see.
const unended = int(^uint(0) >> 1)

// A call is one system call of the recorded process. Begin and end are
// positions in the trace: a call that begins after another one ended has
// happened after it, whatever thread made it.
type call struct {
	name       string
	args       string // as strace prints them, without the brackets
	result     string
	begin, end int
}

// failed tells whether the system refused the call.
func (c *call) failed() bool { return strings.HasPrefix(c.result, "-1 ") }

// An exit is the end of a process or thread.
type exit struct {
	process string
	at      int
}

// A trace is what strace has printed.
type trace struct {
	calls []call // by their beginnings
	exits []exit
	end   int // a position behind all calls
}

const (
	cutMark    = " <unfinished ...>"
	resumeMark = "<... "
)

// readTrace reads the output of `strace -f`.
func readTrace(r io.Reader) (*trace, error) {
	t := &trace{}
	open := map[string]int{} // the call that a thread is in, by thread
	lines := bufio.NewReaderSize(r, 1<<20)
	for at := 0; ; at++ {
		line, err := lines.ReadString('\n')
		if line != "" {
			if lineErr := t.line(strings.TrimSuffix(line, "\n"), at, open); lineErr != nil {
				return nil, fmt.Errorf("line %d of the trace: %w", at+1, lineErr)
			}
		}
		if errors.Is(err, io.EOF) {
			t.end = at + 1
			return t, nil
		}
		if err != nil {
			return nil, err
		}
	}
}

func (t *trace) line(line string, at int, open map[string]int) error {
	thread, text, ok := strings.Cut(line, " ")
	if !ok {
		return fmt.Errorf("%q is no line of strace", line)
	}
	text = strings.TrimLeft(text, " ")
	if strings.HasPrefix(text, "+++ ") {
		t.exits = append(t.exits, exit{thread, at})
		delete(open, thread)
		return nil
	}
	if strings.HasPrefix(text, "--- ") {
		return nil
	}
	if strings.HasPrefix(text, resumeMark) {
		i, ok := open[thread]
		_, rest, found := strings.Cut(text, "resumed>")
		if !ok || !found {
			return errors.New("a call goes on that did not begin")
		}
		delete(open, thread)
		t.calls[i].end = at
		return t.calls[i].parse(t.calls[i].name + "(" + t.calls[i].args + rest)
	}
	c := call{begin: at, end: at}
	if begun, cut := strings.CutSuffix(text, cutMark); cut {
		c.end = unended
		c.name, c.args, _ = strings.Cut(begun, "(")
		open[thread] = len(t.calls)
		t.calls = append(t.calls, c)
		return nil
	}
	if err := c.parse(text); err != nil {
		return err
	}
	t.calls = append(t.calls, c)
	return nil
}

// parse takes `name(args) = result` apart.
func (c *call) parse(text string) error {
	split := strings.LastIndex(text, " = ")
	name, args, ok := strings.Cut(text[:max(split, 0)], "(")
	last := strings.LastIndexByte(args, ')')
	if !ok || last < 0 {
		return fmt.Errorf("%.200q is no call", text)
	}
	c.name, c.args, c.result = name, strings.TrimSuffix(args[:last], cutMark), text[split+3:]
	if strings.HasPrefix(c.result, "?") { // It was killed before the call ended.
		c.end = unended
	}
	return nil
}

// arguments splits the arguments. All text in them is in hexadecimal, so a
// comma always separates.
func (c *call) arguments() []string { return strings.Split(c.args, ", ") }

// texts are the text arguments of a call: paths, or what is written.
func (c *call) texts() ([][]byte, error) {
	var all [][]byte
	for rest := c.args; ; {
		_, after, ok := strings.Cut(rest, `"`)
		if !ok {
			return all, nil
		}
		text, after, ok := strings.Cut(after, `"`)
		if !ok || strings.HasPrefix(after, "...") {
			return nil, errors.New("strace has cut " + c.name + " short")
		}
		part, err := unhex(text)
		if err != nil {
			return nil, err
		}
		all, rest = append(all, part), after
	}
}

// data is what a call writes.
func (c *call) data() ([]byte, error) {
	parts, err := c.texts()
	return bytes.Join(parts, nil), err
}

// unhex decodes text in which every byte is written as \xNN.
func unhex(text string) ([]byte, error) {
	out := make([]byte, 0, len(text)/4)
	for len(text) > 0 {
		if len(text) < 4 || text[:2] != `\x` {
			return nil, fmt.Errorf("%.20q is not hexadecimal", text)
		}
		n, err := strconv.ParseUint(text[2:4], 16, 8)
		if err != nil {
			return nil, err
		}
		out, text = append(out, byte(n)), text[4:]
	}
	return out, nil
}

// descriptor splits `5<path>` into the number and the path that it stands for.
func descriptor(argument string) (fd, path string) {
	fd, rest, ok := strings.Cut(argument, "<")
	end := strings.LastIndexByte(rest, '>')
	if !ok || end < 0 {
		return argument, ""
	}
	raw, err := unhex(rest[:end])
	if err != nil {
		return fd, rest[:end]
	}
	return fd, string(bytes.TrimSuffix(raw, []byte(" (deleted)")))
}
