package floor

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"sync"
	"time"
)

// A Note is one line that a role prints: what happened, when, and how often.
type Note struct {
	What  string  `json:"what"`
	At    int64   `json:"at"` // Unix nanoseconds
	N     int     `json:"n,omitzero"`
	Addr  string  `json:"addr,omitempty"`  // HOST:PORT of a role that serves
	Times []int64 `json:"times,omitempty"` // Unix nanoseconds, by number of the sale from 1
	Error string  `json:"error,omitempty"`
}

// A desk is how a role speaks with whoever started it: it prints notes, and
// reads words, a line each. The end of the words ends the role.
type desk struct {
	words chan string
	mu    sync.Mutex
	out   *json.Encoder
}

// Serve runs one role of a floor in this process until its input ends.
func Serve(ctx context.Context, args []string, in io.Reader, out io.Writer) error {
	if len(args) == 0 {
		return errors.New("floor: which role?")
	}
	roles := map[string]func(context.Context, *desk, options) error{"edge": edge, "sink": sink, "herd": herd, "source": source, "relay": relay, "shelf": shelf}
	role := roles[args[0]]
	if role == nil {
		return fmt.Errorf("floor: there is no role %q", args[0])
	}
	var o options
	flags := flag.NewFlagSet(args[0], flag.ContinueOnError)
	flags.StringVar(&o.path, "db", "", "the bbolt file, or the file with an answer")
	flags.StringVar(&o.broker, "broker", "", "the broker's address")
	flags.StringVar(&o.from, "from", "", "the topic to listen to")
	flags.StringVar(&o.to, "to", "", "the topic to publish on")
	flags.StringVar(&o.key, "key", "", "what is looked up")
	flags.IntVar(&o.n, "n", 0, "how many sales, or clients")
	flags.DurationVar(&o.pace, "pace", 0, "the time between two sales")
	if err := flags.Parse(args[1:]); err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	d := &desk{words: make(chan string, 16), out: json.NewEncoder(out)}
	go func() {
		defer cancel()
		for lines := bufio.NewScanner(in); lines.Scan(); {
			d.words <- lines.Text()
		}
	}()
	err := role(ctx, d, o)
	if err != nil && ctx.Err() == nil {
		d.tell(Note{What: "error", Error: err.Error()})
		return err
	}
	return nil
}

// options are what a role is told.
type options struct {
	path, broker, from, to string
	key                    string
	n                      int
	pace                   time.Duration
}

// tell prints a note; one without a time is of now. Nobody reads the answer of
// a role whose starter is gone.
func (d *desk) tell(n Note) {
	if n.At == 0 {
		n.At = time.Now().UnixNano()
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	_ = d.out.Encode(n)
}

// hear waits for the next word.
func (d *desk) hear(ctx context.Context) (string, error) {
	select {
	case word := <-d.words:
		return word, nil
	case <-ctx.Done():
		return "", ctx.Err()
	}
}
