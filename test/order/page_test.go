package order_test

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"counterpart/test/port"
	"counterpart/test/process"
)

var codeBlock = regexp.MustCompile("(?ms)^```(sh|go)\n(.*?)^```$")

// TestShopPage runs the commands of docs/SHOP.md one after the other, with the
// programs and ports of this test.
func TestShopPage(t *testing.T) {
	root, err := process.Root()
	if err != nil {
		t.Fatal(err)
	}
	page, err := os.ReadFile(filepath.Join(root, "docs", "SHOP.md"))
	if err != nil {
		t.Fatal(err)
	}
	ports := []string{}
	env := os.Environ()
	for _, p := range [][2]string{{"127.0.0.1:8080", "COUNTERPART_HUB_LISTEN"}, {"127.0.0.1:1883", "COUNTERPART_HUB_MQTT"}, {"127.0.0.1:7070", "COUNTERPART_AGENT_LISTEN"}, {"127.0.0.1:9000", ""}} {
		reserved, err := port.Reserve()
		if err != nil {
			t.Fatal(err)
		}
		defer reserved.Close()
		ports = append(ports, p[0], reserved.Addr)
		if p[1] != "" {
			env = append(env, p[1]+"="+reserved.Addr)
		}
	}
	here := strings.NewReplacer(ports...)
	dir := t.TempDir()
	script := "trap 'kill $(jobs -p) 2>/dev/null; wait' EXIT\n"
	for _, block := range codeBlock.FindAllStringSubmatch(string(page), -1) {
		code := here.Replace(block[2])
		if block[1] == "go" {
			must(t, os.WriteFile(filepath.Join(dir, "hook.go"), []byte(code), 0o600))
			continue
		}
		script += code
	}
	script = strings.Replace(script, "\nmake build\n", "\n", 1)
	must(t, os.Mkdir(filepath.Join(dir, "bin"), 0o700))
	must(t, os.Symlink(host.Hub(), filepath.Join(dir, "bin", "counterpart-hub")))
	must(t, os.Symlink(host.Agent(), filepath.Join(dir, "bin", "counterpart-agent")))
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	cmd := exec.CommandContext(ctx, "bash", "-euo", "pipefail", "-c", script)
	cmd.Dir, cmd.Env = dir, env
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) }
	cmd.WaitDelay = 10 * time.Second
	out, err := os.Create(filepath.Join(dir, "output.txt"))
	must(t, err)
	defer out.Close()
	cmd.Stdout, cmd.Stderr = out, out
	err = cmd.Run()
	said, errRead := os.ReadFile(out.Name())
	must(t, errRead)
	if err != nil {
		t.Fatalf("%v\n%s", err, said)
	}
	for _, want := range []string{
		`"type":"order.placed"` + "\n" + `"type":"order.accepted"` + "\n" + `"type":"order.picked"` + "\n" + `"type":"order.ready"` + "\n" + `"type":"order.picked_up"`,
		`"store_state":"picked_up"`, "s1\tPEN-01\t7\t2.50 GBP\tin_stock\tbuy\tsame_day", `"availability":"https://schema.org/InStock"`,
	} {
		if !strings.Contains(string(said), want) {
			t.Errorf("the page does not show %s:\n%s", want, said)
		}
	}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
