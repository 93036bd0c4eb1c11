package main

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"counterpart/agent"
	"counterpart/protocol/ledger/bolt"
)

func TestExitCodes(t *testing.T) {
	dir := t.TempDir()
	foreign := filepath.Join(dir, "foreign")
	hub := filepath.Join(dir, "hub")
	for _, d := range []string{foreign, hub} {
		if err := os.Mkdir(d, 0o700); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.WriteFile(agent.DatabasePath(foreign), bytes.Repeat([]byte("not a database\n"), 4096), 0o600); err != nil {
		t.Fatal(err)
	}
	db, err := bolt.Open(agent.DatabasePath(hub), bolt.Options{Kind: "hub"})
	if err != nil {
		t.Fatal(err)
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	unknown := filepath.Join(dir, "config.json")
	if err := os.WriteFile(unknown, []byte(`{"data":"x","colour":"red"}`), 0o600); err != nil {
		t.Fatal(err)
	}
	misspelt := filepath.Join(dir, "misspelt.json")
	if err := os.WriteFile(misspelt, []byte(`{"Data":"x"}`), 0o600); err != nil {
		t.Fatal(err)
	}
	serve := []string{"--hub", "http://127.0.0.1:1", "--store", "s1", "--agent", "a1", "--listen", "127.0.0.1:0", "--insecure-dev"}
	for _, c := range []struct {
		name string
		args []string
		exit int
		says string
	}{
		{"version", []string{"version"}, exitDone, "protocol 1"},
		{"help", []string{"--help"}, exitDone, "Usage"},
		{"no command", nil, exitUsage, "expected"},
		{"unknown flag", []string{"run", "--colour", "red"}, exitUsage, "colour"},
		{"unknown word in the file", []string{"run", "--config", unknown}, exitUsage, "colour"},
		{"a name in other letters in the file", []string{"run", "--config", misspelt}, exitUsage, `"Data"`},
		{"no data folder", append([]string{"run"}, serve...), exitUsage, "--data"},
		{"plain text without leave", []string{"run", "--data", dir, "--hub", "http://127.0.0.1:1", "--store", "s1", "--agent", "a1"}, exitUsage, "--insecure-dev"},
		{"not a database", append([]string{"run", "--data", foreign}, serve...), exitRefused, ""},
		{"a hub's database", append([]string{"run", "--data", hub}, serve...), exitRefused, ""},
		{"verify without a database", []string{"verify", "--data", dir}, exitFailed, "no agent's database"},
		{"no agent answers", []string{"status", "--url", "http://127.0.0.1:1"}, exitFailed, "no agent answers"},
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

// TestPrecedence demands flag > environment > file.
func TestPrecedence(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "config.json")
	if err := os.WriteFile(file, []byte(`{"data":"from-file","hub":"http://127.0.0.1:1","store":"file","agent":"file","insecure-dev":true}`), 0o600); err != nil {
		t.Fatal(err)
	}
	t.Setenv("COUNTERPART_AGENT_STORE", "environment")
	t.Setenv("COUNTERPART_AGENT_AGENT", "environment")
	var c commands
	parser, err := newParser(&c, &bytes.Buffer{}, &bytes.Buffer{}, func(int) {})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := parser.Parse([]string{"run", "--config", file, "--agent", "flag"}); err != nil {
		t.Fatal(err)
	}
	cfg, err := c.Run.configure()
	if err != nil {
		t.Fatal(err)
	}
	if cfg.Data != "from-file" || cfg.Store != "environment" || cfg.Agent != "flag" {
		t.Errorf("data %s, store %s, agent %s", cfg.Data, cfg.Store, cfg.Agent)
	}
}
