package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"

	"golang.org/x/sync/errgroup"

	"counterpart/test/process"
)

// socketsVariable is where a profiled program finds the folder of its socket.
const socketsVariable = "COUNTERPART_BENCH_SOCKETS"

// profiler is one more file of both programs, which the compiler lays over the
// source while it builds them for a profile. The programs that are shipped have
// no such thing. It writes a CPU profile to whoever connects, until they have
// nothing more to say.
const profiler = `package main

import (
	"io"
	"net"
	"os"
	"path/filepath"
	"runtime/pprof"
	"strconv"
)

func init() {
	listener, err := net.Listen("unix", filepath.Join(os.Getenv("` + socketsVariable + `"), strconv.Itoa(os.Getpid())))
	if err != nil {
		return // a command that ends at once, in a folder that is gone
	}
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			if pprof.StartCPUProfile(conn) == nil {
				io.Copy(io.Discard, conn)
				pprof.StopCPUProfile()
			}
			conn.Close()
		}
	}()
}
`

// overlay makes the flags by which the programs are built with the profiler.
func overlay(dir string) ([]string, error) {
	root, err := process.Root()
	if err != nil {
		return nil, err
	}
	source := filepath.Join(dir, "profiler.go")
	replace := map[string]string{}
	for _, program := range []string{"agent/cmd/counterpart-agent", "cloud/cmd/counterpart-hub"} {
		replace[filepath.Join(root, program, "bench_profiler.go")] = source
	}
	text, err := json.Marshal(map[string]any{"Replace": replace})
	if err != nil {
		return nil, err
	}
	file := filepath.Join(dir, "overlay.json")
	return []string{"-overlay", file}, errors.Join(os.WriteFile(source, []byte(profiler), 0o600), os.WriteFile(file, text, 0o600))
}

// profile takes CPU profiles of processes until stop is called, if any are
// wanted. Those of a later round replace those of an earlier one.
func (o options) profile(ctx context.Context, workload string, pids map[string]int) (stop func() error, err error) {
	if o.profiles == "" {
		return func() error { return nil }, nil
	}
	group, _ := errgroup.WithContext(ctx)
	var open []*net.UnixConn
	for program, pid := range pids {
		conn, err := net.Dial("unix", filepath.Join(os.Getenv(socketsVariable), fmt.Sprint(pid)))
		if err != nil {
			return nil, err
		}
		unix := conn.(*net.UnixConn)
		open = append(open, unix)
		group.Go(func() error {
			defer unix.Close()
			file, err := os.Create(filepath.Join(o.profiles, workload+"-"+program+".prof"))
			if err != nil {
				return err
			}
			_, err = io.Copy(file, unix)
			return errors.Join(err, file.Close())
		})
	}
	return func() error {
		for _, conn := range open {
			if err := conn.CloseWrite(); err != nil {
				return err
			}
		}
		return group.Wait()
	}, nil
}
