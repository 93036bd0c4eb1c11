package process

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"

	"counterpart/test/port"
)

const (
	// readyPatience bounds how long a process may take to serve. It is generous,
	// because tests share the machine with other tests.
	readyPatience = 90 * time.Second
	// stopPatience bounds how long a process may take to stop when asked.
	stopPatience = 30 * time.Second
	// tailLines is how much of a log an error shows.
	tailLines = 30
)

// A Spec says what to run.
type Spec struct {
	Name    string // of the log, and in messages
	Program string
	Args    []string
	// Listen names the flags that take an address to listen on. A process keeps
	// its addresses over restarts.
	Listen []string
}

// A Process is a program that can be killed and started again. Its methods may
// be called from several goroutines; the ones that start and end it take turns.
type Process struct {
	host     *Host
	spec     Spec
	log      string
	reserved []*port.Reservation

	turn   sync.Mutex // held while starting or ending
	mu     sync.Mutex
	run    *run
	ready  Ready
	starts int
}

// A run is one life of a process.
type run struct {
	cmd     *exec.Cmd
	ended   chan struct{} // closed when it has ended
	err     error         // why, once ended
	wanted  bool          // somebody killed or stopped it; guarded by Process.mu
	serving chan Ready
}

// Start starts a process and waits until it serves.
func (h *Host) Start(ctx context.Context, spec Spec) (*Process, error) {
	p := &Process{host: h, spec: spec, log: filepath.Join(h.dir, "logs", spec.Name+".log")}
	for range spec.Listen {
		reserved, err := port.Reserve()
		if err != nil {
			return nil, errors.Join(err, p.release())
		}
		p.reserved = append(p.reserved, reserved)
	}
	h.mu.Lock()
	h.processes = append(h.processes, p)
	h.mu.Unlock()
	return p, p.Restart(ctx)
}

// Name is the name that the process was given.
func (p *Process) Name() string { return p.spec.Name }

// Ready is where the process serves, as of its last start.
func (p *Process) Ready() Ready {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.ready
}

// PID is the system's number of the running process, or 0.
func (p *Process) PID() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.run == nil {
		return 0
	}
	return p.run.cmd.Process.Pid
}

// Restart starts the process on the same data and the same addresses, and
// waits until it serves. It has to have been killed or stopped before.
func (p *Process) Restart(ctx context.Context) error {
	p.turn.Lock()
	defer p.turn.Unlock()
	return p.restart(ctx)
}

// Crash kills the process and starts it again at once. Whoever else wants to
// start or end it waits.
func (p *Process) Crash(ctx context.Context) error {
	p.turn.Lock()
	defer p.turn.Unlock()
	if err := p.end(os.Kill); err != nil {
		return err
	}
	return p.restart(ctx)
}

// restart is Restart; turn is held.
func (p *Process) restart(ctx context.Context) error {
	r, err := p.launch()
	if err != nil {
		return fmt.Errorf("start %s: %w", p.spec.Name, err)
	}
	timer := time.NewTimer(readyPatience)
	defer timer.Stop()
	select {
	case ready := <-r.serving:
		p.mu.Lock()
		p.ready = ready
		p.mu.Unlock()
		return nil
	case <-r.ended:
		return p.failed("ended before it served: " + describe(r.err))
	case <-timer.C:
		return errors.Join(p.failed("does not serve after "+readyPatience.String()), p.end(os.Kill))
	case <-ctx.Done():
		return errors.Join(context.Cause(ctx), p.end(os.Kill))
	}
}

// launch starts a run and what watches over it.
func (p *Process) launch() (*run, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.run != nil {
		return nil, errors.New("it is running")
	}
	log, err := os.OpenFile(p.log, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		return nil, err
	}
	defer log.Close()
	p.starts++
	if _, err := fmt.Fprintf(log, "--- start %d\n", p.starts); err != nil {
		return nil, err
	}
	r := &run{ended: make(chan struct{}), serving: make(chan Ready, 1)}
	r.cmd = exec.Command(p.spec.Program, append(slices.Clone(p.spec.Args), p.listen()...)...)
	r.cmd.Dir, r.cmd.SysProcAttr, r.cmd.Stderr = p.host.dir, attributes(), log
	stdout, err := r.cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := p.host.begin(r.cmd); err != nil {
		return nil, err
	}
	p.run = r
	go p.watch(r, stdout)
	return r, nil
}

// listen is the flags with the addresses to listen on.
func (p *Process) listen() []string {
	var args []string
	for i, flag := range p.spec.Listen {
		addr := p.reserved[i].Addr
		if addr == port.Any && i < len(p.ready.addrs()) {
			addr = p.ready.addrs()[i]
		}
		args = append(args, flag, addr)
	}
	return args
}

// watch reads what the process prints until it has ended.
func (p *Process) watch(r *run, stdout io.Reader) {
	lines := bufio.NewScanner(stdout)
	for lines.Scan() {
		if ready, ok := parseReady(lines.Text()); ok {
			select {
			case r.serving <- ready:
			default:
			}
		}
	}
	r.err = r.cmd.Wait()
	p.mu.Lock()
	crashed := !r.wanted
	p.run = nil
	p.mu.Unlock()
	close(r.ended)
	if crashed && p.host.options.Crashed != nil {
		p.host.options.Crashed(p.failed("ended by itself: " + describe(r.err)))
	}
}

// describe says how a process ended.
func describe(err error) string {
	if err == nil {
		return "exit status 0"
	}
	return err.Error()
}

// Kill ends the process as a power cut would, and waits until it has ended. A
// process that does not run is left alone.
func (p *Process) Kill() error {
	p.turn.Lock()
	defer p.turn.Unlock()
	return p.end(os.Kill)
}

// Stop asks the process to end and waits for it. It is an error if the process
// does not end in time, or not with exit status 0.
func (p *Process) Stop() error {
	p.turn.Lock()
	defer p.turn.Unlock()
	return p.end(syscall.SIGTERM)
}

// end sends a signal and waits; turn is held.
func (p *Process) end(signal os.Signal) error {
	p.mu.Lock()
	r := p.run
	if r == nil {
		p.mu.Unlock()
		return nil
	}
	r.wanted = true
	p.mu.Unlock()
	if err := r.cmd.Process.Signal(signal); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return errors.Join(fmt.Errorf("signal %s: %w", p.spec.Name, err), r.cmd.Process.Kill())
	}
	timer := time.NewTimer(stopPatience)
	defer timer.Stop()
	select {
	case <-r.ended:
	case <-timer.C:
		err := errors.Join(p.failed("runs on "+stopPatience.String()+" after "+signal.String()), r.cmd.Process.Kill())
		<-r.ended
		return err
	}
	if signal != os.Kill && r.err != nil {
		return p.failed("stopped with " + describe(r.err))
	}
	return nil
}

// discard kills the process for good and gives its addresses back.
func (p *Process) discard() error { return errors.Join(p.Kill(), p.release()) }

func (p *Process) release() error {
	var all []error
	for _, reserved := range p.reserved {
		all = append(all, reserved.Close())
	}
	return errors.Join(all...)
}

// failed is an error with the end of the process's log.
func (p *Process) failed(what string) error {
	return fmt.Errorf("%s %s\n%s", p.spec.Name, what, p.Tail())
}

// Tail is the end of the process's log.
func (p *Process) Tail() string {
	text, err := os.ReadFile(p.log)
	if err != nil {
		return err.Error()
	}
	lines := strings.Split(strings.TrimRight(string(text), "\n"), "\n")
	return strings.Join(lines[max(0, len(lines)-tailLines):], "\n")
}
