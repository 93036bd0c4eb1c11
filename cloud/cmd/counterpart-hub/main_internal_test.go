package main

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"counterpart/cloud"
	"counterpart/protocol/ledger/bolt"
)

func TestExitCodes(t *testing.T) {
	dir := t.TempDir()
	foreign, agent := filepath.Join(dir, "foreign"), filepath.Join(dir, "agent")
	for _, d := range []string{foreign, agent} {
		if err := os.Mkdir(d, 0o700); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.WriteFile(cloud.DatabasePath(foreign), bytes.Repeat([]byte("not a database\n"), 4096), 0o600); err != nil {
		t.Fatal(err)
	}
	db, err := bolt.Open(cloud.DatabasePath(agent), bolt.Options{Kind: "agent"})
	if err != nil {
		t.Fatal(err)
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(dir, "config.json")
	if err := os.WriteFile(file, []byte(`{"data":"x","colour":"red"}`), 0o600); err != nil {
		t.Fatal(err)
	}
	serve := []string{"--listen", "127.0.0.1:0", "--mqtt", "127.0.0.1:0", "--insecure-dev"}
	for _, c := range []struct {
		name string
		args []string
		exit int
		says string
	}{
		{"version", []string{"version"}, exitDone, "protocol 1"},
		{"no command", nil, exitUsage, "expected"},
		{"unknown word in the file", []string{"serve", "--config", file}, exitUsage, "colour"},
		{"no data folder", append([]string{"serve"}, serve...), exitUsage, "--data"},
		{"plain text without leave", []string{"serve", "--data", dir}, exitUsage, "--insecure-dev"},
		{"listening to all", []string{"serve", "--data", dir, "--insecure-dev", "--listen", "0.0.0.0:8080"}, exitUsage, "loopback"},
		{"an unknown currency", append([]string{"serve", "--data", dir, "--currency", "pounds"}, serve...), exitUsage, "ISO 4217"},
		{"not a database", append([]string{"serve", "--data", foreign}, serve...), exitRefused, ""},
		{"an agent's database", append([]string{"serve", "--data", agent}, serve...), exitRefused, ""},
		{"stock without a store", []string{"import", "stock", file}, exitUsage, "--store"},
		{"no hub answers", []string{"import", "--hub", "http://127.0.0.1:1", "items", file}, exitFailed, "no hub answers"},
	} {
		var out, errs bytes.Buffer
		if exit := run(c.args, &out, &errs); exit != c.exit {
			t.Errorf("%s: exit %d, want %d: %s", c.name, exit, c.exit, errs.String())
		}
		if !strings.Contains(out.String()+errs.String(), c.says) {
			t.Errorf("%s: says %q, which does not hold %q", c.name, out.String()+errs.String(), c.says)
		}
	}
}
