package skew_test

import (
	"archive/tar"
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"counterpart/test/process"
)

// released is the commit of the release before this one. Its programs are built
// from the project's history, so that what shops run is what is tried.
const released = "f4f90b7ca5614e834691ae7aa759580bc2b85092"

// The packages of both programs.
const (
	hubPackage   = "./cloud/cmd/counterpart-hub"
	agentPackage = "./agent/cmd/counterpart-agent"
)

// release builds the released programs once for all tests.
var release = sync.OnceValues(func() (string, error) {
	root, err := process.Root()
	if err != nil {
		return "", err
	}
	dir, err := os.MkdirTemp("", "counterpart-release-")
	if err != nil {
		return "", err
	}
	if err := build(root, dir); err != nil {
		return "", errors.Join(err, os.RemoveAll(dir))
	}
	return dir, nil
})

// TestMain removes what release has built.
func TestMain(m *testing.M) {
	status := m.Run()
	if dir, err := release(); err == nil && os.RemoveAll(dir) != nil {
		status = 1
	}
	os.Exit(status)
}

// build takes the release's sources out of the history and builds them.
func build(root, dir string) error {
	archive := exec.Command("git", "-C", root, "archive", "--format=tar", released)
	var complaints bytes.Buffer
	archive.Stderr = &complaints
	sources, err := archive.Output()
	if err != nil {
		return fmt.Errorf("this test builds the previous release from the project's history and needs a full git clone: git archive %s: %w: %s", released, err, complaints.String())
	}
	source := filepath.Join(dir, "source")
	if err := unpack(bytes.NewReader(sources), source); err != nil {
		return err
	}
	compile := exec.Command("go", "build", "-o", dir+string(filepath.Separator), hubPackage, agentPackage)
	compile.Dir = source
	compile.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := compile.CombinedOutput(); err != nil {
		return fmt.Errorf("build the previous release: %w\n%s", err, out)
	}
	return nil
}

// unpack writes the files of an archive below a folder.
func unpack(r io.Reader, dir string) error {
	for files := tar.NewReader(r); ; {
		header, err := files.Next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		path := filepath.Join(dir, filepath.FromSlash(header.Name))
		if header.Typeflag != tar.TypeReg {
			continue
		}
		if !strings.HasPrefix(path, dir+string(filepath.Separator)) {
			return fmt.Errorf("archive: %q leaves its folder", header.Name)
		}
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			return err
		}
		f, err := os.Create(path)
		if err != nil {
			return err
		}
		_, err = io.Copy(f, files)
		if err := errors.Join(err, f.Close()); err != nil {
			return err
		}
	}
}

// A rack holds the programs of both releases for one host, which starts what
// lies at a program's path. To put another release there is what an update
// does.
type rack struct {
	t    *testing.T
	host *process.Host
	old  string
	now  string
}

// newRack opens a host and keeps its programs aside.
func newRack(t *testing.T) *rack {
	t.Helper()
	old, err := release()
	if err != nil {
		t.Fatal(err)
	}
	host, err := process.Open(t.Context(), process.Options{Crashed: func(err error) { t.Error(err) }})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		for _, complaint := range host.Complaints() {
			t.Error(complaint)
		}
		if err := host.Close(); err != nil {
			t.Error(err)
		}
	})
	r := &rack{t: t, host: host, old: old, now: t.TempDir()}
	for _, program := range []string{host.Agent(), host.Hub()} {
		r.copy(program, filepath.Join(r.now, filepath.Base(program)))
	}
	return r
}

// install puts the program of a release where the host starts it from. What
// runs goes on as it is.
func (r *rack) install(from, program string) {
	r.t.Helper()
	r.copy(filepath.Join(from, filepath.Base(program)), program+".next")
	if err := os.Rename(program+".next", program); err != nil {
		r.t.Fatal(err)
	}
}

func (r *rack) copy(from, to string) {
	r.t.Helper()
	content, err := os.ReadFile(from)
	if err == nil {
		err = os.WriteFile(to, content, 0o755)
	}
	if err != nil {
		r.t.Fatal(err)
	}
}
