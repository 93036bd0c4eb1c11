package bolt

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"strings"
	"time"

	bbolt "go.etcd.io/bbolt"

	"counterpart/protocol"
)

// checkLockTimeout is how long a check waits for a process that writes.
const checkLockTimeout = 2 * time.Second

// CheckFile reads every page of the file at path without writing and refuses
// it when something does not fit. A damaged file can end the process that
// checks it, since bbolt reads the file through memory in a goroutine of its
// own: call it where nothing else is lost by that.
func CheckFile(path string, log *slog.Logger) error {
	file, err := os.Open(path)
	if err != nil {
		return unopened(path, err)
	}
	defer func() { _ = file.Close() }()
	if err := inspect(path, file, true, log); err != nil {
		return err
	}
	h, err := openHandle(path, bbolt.Options{Timeout: checkLockTimeout, ReadOnly: true})
	if err != nil {
		return err
	}
	defer func() { _ = h.close(false) }()
	return checkPages(path, h.bolt)
}

// checkPages is bbolt's own check.
func checkPages(path string, b *bbolt.DB) error {
	btx, err := b.Begin(false)
	if err != nil {
		return broken(path, err)
	}
	defer func() { _ = btx.Rollback() }()
	return pageErrors(path, btx)
}

// pageErrors collects the first of what bbolt's check finds.
func pageErrors(path string, btx *bbolt.Tx) error {
	var found []error
	for err := range btx.Check() {
		if len(found) < 10 {
			found = append(found, err)
		}
	}
	if len(found) > 0 {
		return corrupt(path, errors.Join(found...))
	}
	return nil
}

// CheckApart returns a check for Options.CheckUnclean that runs a program with
// the file's path behind its arguments. The program calls CheckFile and ends
// with 0 for a file that is whole. A program that dies of the file has found
// out as much as one that says so.
func CheckApart(ctx context.Context, program string, args ...string) func(path string) error {
	return func(path string) error {
		cmd := exec.CommandContext(ctx, program, append(args, path)...)
		var said strings.Builder
		cmd.Stderr = &said
		err := cmd.Run()
		var exit *exec.ExitError
		switch {
		case err == nil:
			return nil
		case ctx.Err() != nil:
			return ctx.Err()
		case !errors.As(err, &exit):
			return fmt.Errorf("%w: %w", errNotChecked, err)
		case killedFromOutside(exit):
			return &protocol.Error{
				Code:    protocol.Internal,
				Message: fmt.Sprintf("The check of the data file %s was ended from outside before it was done. Nothing was changed. Start again.", path),
				Err:     err,
			}
		}
		return corrupt(path, fmt.Errorf("its check ended with %w: %s", err, lastLine(said.String())))
	}
}

// errNotChecked says that the program for the check could not be run.
var errNotChecked = errors.New("bolt: the check could not be run")

// lastLine is what a program said at its end, or where it panicked.
func lastLine(said string) string {
	lines := strings.Split(strings.TrimSpace(said), "\n")
	for _, line := range lines {
		if strings.HasPrefix(line, "panic:") || strings.HasPrefix(line, "fatal error:") || strings.HasPrefix(line, "unexpected fault") {
			return line
		}
	}
	return lines[len(lines)-1]
}

// checkUnclean checks a file that was not closed in order. It reports whether
// the file is known to be sound.
func (o Options) checkUnclean(path string) (sound bool, err error) {
	if o.CheckUnclean == nil {
		return false, nil
	}
	began := time.Now()
	err = o.CheckUnclean(path)
	if errors.Is(err, errNotChecked) {
		// Our own reading has bounds, so it can be done here.
		o.Log.Warn("the store was not closed in order and is checked here", "path", path, "cause", err)
		var file *os.File
		if file, err = os.Open(path); err != nil {
			return false, unopened(path, err)
		}
		defer func() { _ = file.Close() }()
		err = inspect(path, file, true, o.Log)
	}
	if err != nil {
		return false, err
	}
	o.Log.Info("the store was not closed in order; it was checked and is whole", "path", path, "ms", time.Since(began).Milliseconds())
	return true, nil
}
