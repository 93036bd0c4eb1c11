package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"strings"
	"sync"
	"text/tabwriter"
	"time"
)

const (
	// drawEvery is how often the board is drawn on a terminal, and lineEvery how
	// often a line is printed for each store anywhere else.
	drawEvery = 500 * time.Millisecond
	lineEvery = 5 * time.Second
	// messagesShown is how many lines of messages stay on the board.
	messagesShown = 8
	// columns is how wide a message may be: a line that the terminal breaks
	// would shift every later drawing.
	columns = 76
)

// A board shows how the chain does. On a terminal it draws itself over and
// over in the same place; anywhere else it prints what has changed.
type board struct {
	out      io.Writer
	terminal bool

	mu       sync.Mutex
	pages    []string
	rows     []row
	messages []string
	drawn    int // lines of the last drawing
	opened   bool
}

// A row is what the board shows of one store.
type row struct {
	store    string
	state    string
	receipts int
	pending  int64
	atHub    int
	lag      time.Duration
}

func newBoard(out io.Writer) *board {
	b := &board{out: out}
	if file, ok := out.(*os.File); ok {
		info, err := file.Stat()
		b.terminal = err == nil && info.Mode()&os.ModeCharDevice != 0
	}
	return b
}

// say shows a message.
func (b *board) say(format string, args ...any) {
	b.mu.Lock()
	defer b.mu.Unlock()
	message := time.Now().Format("15:04:05") + "  " + fmt.Sprintf(format, args...)
	if !b.terminal || !b.opened {
		fmt.Fprintln(b.out, message)
		return
	}
	b.messages = append(b.messages, folded(message)...)
	b.messages = b.messages[max(0, len(b.messages)-messagesShown):]
	b.draw()
}

// folded breaks a message between words.
func folded(message string) []string {
	var lines []string
	line := ""
	for word := range strings.FieldsSeq(message) {
		if line != "" && len(line)+1+len(word) > columns {
			lines = append(lines, line)
			line = "        "
		}
		if line != "" {
			line += " "
		}
		line += word
	}
	return append(lines, line)
}

// open shows where the pages are. From now on a terminal is drawn over.
func (b *board) open(c *chain) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.opened = true
	b.pages = append(b.pages, "Hub: fleet, store finder   "+c.fleet.Hub.URL("/"))
	for _, s := range c.shops {
		for _, t := range s.tills {
			b.pages = append(b.pages, fmt.Sprintf("%-26s %s", "Till "+t.machine.ID()+", "+s.Name, t.machine.URL("/")))
		}
	}
	for _, page := range b.pages {
		fmt.Fprintln(b.out, page)
	}
	b.drawn = len(b.pages)
}

// draw draws the board over its last drawing; b is locked.
func (b *board) draw() {
	var text strings.Builder
	for _, page := range b.pages {
		fmt.Fprintln(&text, page)
	}
	fmt.Fprintln(&text)
	table := tabwriter.NewWriter(&text, 0, 0, 3, ' ', 0)
	fmt.Fprintln(table, "STORE\tLINK\tRECEIPTS\tTO SEND\tAT THE HUB\tBEHIND")
	for _, r := range b.rows {
		fmt.Fprintf(table, "%s\t%s\t%d\t%d\t%d\t%s\n", r.store, r.state, r.receipts, r.pending, r.atHub, behind(r.lag))
	}
	// A strings.Builder takes everything.
	if err := table.Flush(); err != nil {
		return
	}
	fmt.Fprintln(&text)
	for _, message := range b.messages {
		fmt.Fprintln(&text, message)
	}
	up := ""
	if b.drawn > 0 {
		up = fmt.Sprintf("\x1b[%dA", b.drawn)
	}
	b.drawn = strings.Count(text.String(), "\n")
	fmt.Fprint(b.out, up+strings.ReplaceAll(text.String(), "\n", "\x1b[K\n")+"\x1b[J")
}

func behind(lag time.Duration) string {
	if lag == 0 {
		return "-"
	}
	return lag.Round(100 * time.Millisecond).String()
}

// show takes over fresh rows.
func (b *board) show(rows []row, due bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	before := b.rows
	b.rows = rows
	if b.terminal {
		b.draw()
		return
	}
	for i, r := range rows {
		if due || i >= len(before) || before[i].state != r.state {
			fmt.Fprintf(b.out, "%s  %s: %s, %d receipts, %d to send, %d at the hub, behind %s\n",
				time.Now().Format("15:04:05"), r.store, r.state, r.receipts, r.pending, r.atHub, behind(r.lag))
		}
	}
}

// follow asks stores and hub how they do and shows it, until stop is closed.
func (b *board) follow(ctx context.Context, c *chain, stop <-chan struct{}) error {
	ticker := time.NewTicker(drawEvery)
	defer ticker.Stop()
	var printed time.Time
	counts := newCounter(c)
	for {
		rows := make([]row, len(c.shops))
		for i, s := range c.shops {
			rows[i] = s.row(ctx)
			rows[i].atHub = counts.at(ctx, i)
		}
		due := time.Since(printed) >= lineEvery
		if due {
			printed = time.Now()
		}
		b.show(rows, due)
		select {
		case <-ticker.C:
		case <-stop:
			return nil
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}
