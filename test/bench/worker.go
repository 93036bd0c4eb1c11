package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"time"

	"counterpart/test/bench/floor"
	"counterpart/test/port"
	"counterpart/test/process"
)

// workerArg is the first argument of this program where it is a worker: a
// process of its own, so that its work can be told from that of others.
const workerArg = "worker"

// notePatience bounds how long a worker may take to what it is asked for.
const notePatience = 5 * time.Minute

// work runs this process as a worker and returns its exit status.
func work(ctx context.Context, args []string, in io.Reader, out, complaints io.Writer) int {
	err := floor.Serve(ctx, args, in, out)
	if len(args) > 0 && args[0] == herdRole {
		err = serveHerd(ctx, args[1:], in, out)
	}
	if err != nil {
		fmt.Fprintln(complaints, "bench worker:", err)
		return 1
	}
	return 0
}

// A worker is a running worker. It ends when its input does, so it never
// outlives this program.
type worker struct {
	role  string
	cmd   *exec.Cmd
	in    io.WriteCloser
	notes chan floor.Note
	addr  string // of a role that serves
}

// startWorker starts a worker and waits until it is ready.
func startWorker(ctx context.Context, role string, args ...string) (*worker, error) {
	program, err := os.Executable()
	if err != nil {
		return nil, err
	}
	w := &worker{role: role, cmd: exec.Command(program, append([]string{workerArg, role}, args...)...), notes: make(chan floor.Note, 64)}
	w.cmd.Stderr = os.Stderr
	if w.in, err = w.cmd.StdinPipe(); err != nil {
		return nil, err
	}
	out, err := w.cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := w.cmd.Start(); err != nil {
		return nil, err
	}
	go w.read(out)
	ready, err := w.await(ctx, "ready")
	if err != nil {
		return nil, errors.Join(err, w.Close())
	}
	w.addr = ready.Addr
	return w, nil
}

// read takes the worker's notes until it ends.
func (w *worker) read(out io.Reader) {
	defer close(w.notes)
	for lines := json.NewDecoder(bufio.NewReader(out)); ; {
		var n floor.Note
		if lines.Decode(&n) != nil {
			return
		}
		w.notes <- n
	}
}

// await waits for one kind of note.
func (w *worker) await(ctx context.Context, what string) (floor.Note, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, notePatience, fmt.Errorf("%s: no %q after %s", w.role, what, notePatience))
	defer cancel()
	for {
		select {
		case n, open := <-w.notes:
			switch {
			case !open:
				return n, fmt.Errorf("%s ended before %q", w.role, what)
			case n.What == "error":
				return n, fmt.Errorf("%s: %s", w.role, n.Error)
			case n.What == what:
				return n, nil
			}
		case <-ctx.Done():
			return floor.Note{}, context.Cause(ctx)
		}
	}
}

// say gives the worker a word.
func (w *worker) say(word string) error {
	_, err := io.WriteString(w.in, word+"\n")
	return err
}

func (w *worker) pid() int { return w.cmd.Process.Pid }

// Close ends the worker. How it ends does not matter any more.
func (w *worker) Close() error {
	w.in.Close()
	timer := time.AfterFunc(10*time.Second, func() { w.cmd.Process.Kill() })
	defer timer.Stop()
	for range w.notes { // until it has ended
	}
	w.cmd.Wait()
	return nil
}

// A mosquitto is a running broker of the floors.
type mosquitto struct {
	addr     string
	number   int
	cmd      *exec.Cmd
	in       io.WriteCloser
	reserved *port.Reservation
}

// mosquittoConfig keeps everything in memory, and all that is queued.
const mosquittoConfig = `listener %s 127.0.0.1
allow_anonymous true
persistence false
user root
max_queued_messages 0
set_tcp_nodelay true
log_type none
`

// errNoMosquitto says which floors cannot be measured.
var errNoMosquitto = errors.New("mosquitto is not installed; `make setup` installs it")

// startMosquitto starts a broker below a shell that ends it when this program
// ends.
func startMosquitto(ctx context.Context, dir string) (*mosquitto, error) {
	program, err := exec.LookPath("mosquitto")
	if err != nil {
		program = "/usr/sbin/mosquitto" // which is not in everybody's path
		if _, err := os.Stat(program); err != nil {
			return nil, errNoMosquitto
		}
	}
	reserved, err := port.Reserve()
	if err != nil {
		return nil, err
	}
	_, number, err := net.SplitHostPort(reserved.Addr)
	if err != nil {
		return nil, err
	}
	config := filepath.Join(dir, "mosquitto-"+number+".conf")
	if err := os.WriteFile(config, fmt.Appendf(nil, mosquittoConfig, number), 0o600); err != nil {
		return nil, err
	}
	m := &mosquitto{addr: reserved.Addr, reserved: reserved}
	m.cmd = exec.Command("sh", "-c", `"$0" -c "$1" </dev/null & echo $!; read _; kill $!; wait`, program, config)
	if m.in, err = m.cmd.StdinPipe(); err != nil {
		return nil, err
	}
	out, err := m.cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := m.cmd.Start(); err != nil {
		return nil, err
	}
	if _, err := fmt.Fscan(out, &m.number); err != nil {
		return nil, errors.Join(err, m.Close())
	}
	ctx, cancel := context.WithTimeoutCause(ctx, linkPatience, errors.New("mosquitto does not listen"))
	defer cancel()
	err = process.Await(ctx, askEvery, func(context.Context) (string, error) {
		conn, err := net.Dial("tcp", m.addr)
		if err != nil {
			return "", err
		}
		return "", conn.Close()
	})
	if err != nil {
		return nil, errors.Join(err, m.Close())
	}
	return m, nil
}

func (m *mosquitto) pid() int { return m.number }

// Close ends the broker.
func (m *mosquitto) Close() error {
	m.in.Close()
	m.cmd.Wait()
	return m.reserved.Close()
}
