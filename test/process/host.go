// Package process builds Counterpart's two programs and runs them as real
// processes: it starts, kills, stops and restarts them, and speaks to them over
// HTTP as an integrator would. It knows nothing of their code.
package process

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
)

// module is the line of go.mod by which the root of the project is known.
const module = "module counterpart"

// The programs, by the names of their files.
const (
	hubProgram   = "counterpart-hub"
	agentProgram = "counterpart-agent"
)

// Options say how a Host works.
type Options struct {
	// Race builds the programs with the race detector, which needs a C compiler.
	Race bool
	// BuildFlags are further flags of `go build`.
	BuildFlags []string
	// Keep leaves the folder of data and logs behind on Close.
	Keep bool
	// Crashed, if set, is called for each process that ended though nobody
	// killed or stopped it.
	Crashed func(error)
}

// A Host is a machine for a test run: a folder with the built programs, their
// data and their logs, and the processes that run there.
type Host struct {
	options Options
	dir     string
	starter chan func()

	mu        sync.Mutex
	processes []*Process
	owned     []io.Closer
}

// Open builds both programs into a fresh folder.
func Open(ctx context.Context, options Options) (*Host, error) {
	dir, err := os.MkdirTemp("", "counterpart-")
	if err != nil {
		return nil, err
	}
	h := &Host{options: options, dir: dir, starter: make(chan func())}
	for _, folder := range []string{"bin", "data", "logs"} {
		if err := os.Mkdir(filepath.Join(dir, folder), 0o755); err != nil {
			return nil, errors.Join(err, os.RemoveAll(dir))
		}
	}
	if err := h.build(ctx); err != nil {
		return nil, errors.Join(err, os.RemoveAll(dir))
	}
	go h.start()
	return h, nil
}

// start runs what starts a process. Linux ends a child with the thread that
// started it, not with the process, so all are started by one thread that
// lives as long as the host.
func (h *Host) start() {
	runtime.LockOSThread()
	for begin := range h.starter {
		begin()
	}
}

// Dir is where data and logs are.
func (h *Host) Dir() string { return h.dir }

// Data is the folder of one process's data.
func (h *Host) Data(name string) string { return filepath.Join(h.dir, "data", name) }

// Program is the path of a built program.
func (h *Host) Program(name string) string {
	if runtime.GOOS == "windows" {
		name += ".exe"
	}
	return filepath.Join(h.dir, "bin", name)
}

// Agent is the path of the agent's program.
func (h *Host) Agent() string { return h.Program(agentProgram) }

// Hub is the path of the hub's program.
func (h *Host) Hub() string { return h.Program(hubProgram) }

// build compiles the programs with the Go tool that runs this one.
func (h *Host) build(ctx context.Context) error {
	root, err := Root()
	if err != nil {
		return err
	}
	args := []string{"build", "-o", filepath.Join(h.dir, "bin") + string(filepath.Separator)}
	cgo := "0"
	if h.options.Race {
		args, cgo = append(args, "-race"), "1"
	}
	args = append(args, h.options.BuildFlags...)
	cmd := exec.CommandContext(ctx, "go", append(args, "./cloud/cmd/"+hubProgram, "./agent/cmd/"+agentProgram)...)
	cmd.Dir = root
	cmd.Env = append(os.Environ(), "CGO_ENABLED="+cgo)
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("build the programs: %w\n%s", err, out)
	}
	return nil
}

// Root is the folder of the project, which is the working folder or one above.
func Root() (string, error) {
	dir, err := os.Getwd()
	if err != nil {
		return "", err
	}
	for {
		text, err := os.ReadFile(filepath.Join(dir, "go.mod"))
		first, _, _ := strings.Cut(string(text), "\n")
		if err == nil && strings.TrimSpace(first) == module {
			return dir, nil
		}
		above := filepath.Dir(dir)
		if above == dir {
			return "", errors.New("run this inside the project: no go.mod of " + module + " in this folder or above")
		}
		dir = above
	}
}

// Run runs a command of one of the programs to its end and returns what it
// printed.
func (h *Host) Run(ctx context.Context, program string, args ...string) (string, error) {
	cmd := exec.CommandContext(ctx, program, args...)
	cmd.SysProcAttr = attributes()
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	if err := h.begin(cmd); err != nil {
		return "", err
	}
	if err := cmd.Wait(); err != nil {
		return out.String(), fmt.Errorf("%s %s: %w\n%s", filepath.Base(program), strings.Join(args, " "), err, out.String())
	}
	return out.String(), nil
}

// begin starts a command on the thread that starts all.
func (h *Host) begin(cmd *exec.Cmd) error {
	started := make(chan error)
	h.starter <- func() { started <- cmd.Start() }
	return <-started
}

// Processes are all that were started, in that order.
func (h *Host) Processes() []*Process {
	h.mu.Lock()
	defer h.mu.Unlock()
	return slices.Clone(h.processes)
}

// Own hands something over that is closed with the host.
func (h *Host) Own(c io.Closer) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.owned = append(h.owned, c)
}

// Complaints are the lines in which a process said that its own code is at
// fault: a panic, or a race that the race detector found.
func (h *Host) Complaints() []string {
	var found []string
	for _, p := range h.Processes() {
		text, err := os.ReadFile(p.log)
		if err != nil {
			found = append(found, err.Error())
			continue
		}
		for line := range strings.Lines(string(text)) {
			if strings.HasPrefix(line, "panic: ") || strings.HasPrefix(line, "fatal error: ") || strings.Contains(line, "WARNING: DATA RACE") {
				found = append(found, p.Name()+": "+strings.TrimSpace(line))
			}
		}
	}
	return found
}

// Finish ends a command's run: it tells where data and logs are kept, and closes.
// Its error names what a process has complained of.
func (h *Host) Finish(out io.Writer) error {
	var all []error
	for _, complaint := range h.Complaints() {
		all = append(all, errors.New(complaint))
	}
	if h.options.Keep {
		fmt.Fprintf(out, "data and logs are in %s\n", h.dir)
	}
	return errors.Join(append(all, h.Close())...)
}

// Close kills what still runs, closes what it owns and removes the folder.
func (h *Host) Close() error {
	var all []error
	for _, p := range slices.Backward(h.Processes()) {
		all = append(all, p.discard())
	}
	close(h.starter)
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, c := range h.owned {
		all = append(all, c.Close())
	}
	if !h.options.Keep {
		all = append(all, os.RemoveAll(h.dir))
	}
	return errors.Join(all...)
}
