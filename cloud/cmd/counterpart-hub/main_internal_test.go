package main

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strconv"
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
	misspelt := filepath.Join(dir, "misspelt.json")
	if err := os.WriteFile(misspelt, []byte(`{"Data":"x"}`), 0o600); err != nil {
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
		{"a name in other letters in the file", []string{"serve", "--config", misspelt}, exitUsage, `"Data"`},
		{"backup of nobody knows what", []string{"backup", filepath.Join(dir, "copy")}, exitUsage, "COUNTERPART_HUB_DATA"},
		{"backup with a wrong file", []string{"backup", "--config", misspelt, filepath.Join(dir, "copy")}, exitUsage, `"Data"`},
		{"backup without a database", []string{"backup", "--data", dir, filepath.Join(dir, "copy")}, exitFailed, "no hub's database"},
		{"no data folder", append([]string{"serve"}, serve...), exitUsage, "--data"},
		{"plain text without leave", []string{"serve", "--data", dir}, exitUsage, "--insecure-dev"},
		{"listening to all", []string{"serve", "--data", dir, "--insecure-dev", "--listen", "0.0.0.0:8080"}, exitUsage, "loopback"},
		{"an unknown currency", append([]string{"serve", "--data", dir, "--currency", "pounds"}, serve...), exitUsage, "ISO 4217"},
		{"not a database", append([]string{"serve", "--data", foreign}, serve...), exitRefused, ""},
		{"an agent's database", append([]string{"serve", "--data", agent}, serve...), exitRefused, ""},
		{"stock without a store", []string{"import", "stock", file}, exitUsage, "--store"},
		{"restore of nothing", []string{"restore", "--data", dir}, exitUsage, "FILE"},
		{"restore of nobody knows where", []string{"restore", file}, exitUsage, "COUNTERPART_HUB_DATA"},
		{"restore of no backup", []string{"restore", "--data", filepath.Join(dir, "new"), filepath.Join(dir, "none")}, exitFailed, "no such file"},
		{"restore of an agent's database", []string{"restore", "--data", filepath.Join(dir, "new"), cloud.DatabasePath(agent)}, exitRefused, "cannot be used"},
		{"restore over an agent's database", []string{"restore", "--data", agent, file}, exitRefused, "agent"},
		{"a copy that is none", append([]string{"serve", "--data", filepath.Join(dir, "new"), "--second-copy", misspelt}, serve...), exitRefused, "not a second copy"},
		{"a copy that is the database", append([]string{"serve", "--data", dir, "--second-copy", cloud.DatabasePath(dir)}, serve...), exitUsage, "database itself"},
		{"backup of a hub that does not answer", []string{"backup", "--hub", "http://127.0.0.1:1", filepath.Join(dir, "copy")}, exitFailed, "no hub answers"},
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

// TestBackupFindsTheData names the data folder by flag, environment and file.
func TestBackupFindsTheData(t *testing.T) {
	dir := t.TempDir()
	db, err := bolt.Open(cloud.DatabasePath(dir), bolt.Options{Kind: "hub"})
	if err != nil {
		t.Fatal(err)
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	b, err := json.Marshal(map[string]any{"data": dir, "insecure-dev": true})
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(dir, "config.json")
	if err := os.WriteFile(file, b, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, way := range []string{"flag", "environment", "file", "file of the environment"} {
		t.Run(way, func(t *testing.T) {
			out := filepath.Join(t.TempDir(), "copy")
			args := []string{"backup", out}
			switch way {
			case "flag":
				args = append(args, "--data", dir)
			case "environment":
				t.Setenv("COUNTERPART_HUB_DATA", dir)
			case "file":
				args = append(args, "--config", file)
			default:
				t.Setenv("COUNTERPART_HUB_CONFIG", file)
			}
			var errs bytes.Buffer
			if exit := run(args, io.Discard, &errs); exit != exitDone {
				t.Fatalf("exit %d: %s", exit, &errs)
			}
			if _, err := os.Stat(out); err != nil {
				t.Error(err)
			}
		})
	}
}

// TestImportIsDoneOnlyWhenTheHubSaysSo demands that the file arrives, and that
// no other answer than 200 and 202 counts as done.
func TestImportIsDoneOnlyWhenTheHubSaysSo(t *testing.T) {
	file := filepath.Join(t.TempDir(), "items.csv")
	if err := os.WriteFile(file, []byte("sku,name\nP,Pen\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for status, exit := range map[int]int{
		http.StatusOK: exitDone, http.StatusAccepted: exitDone, http.StatusNoContent: exitFailed, http.StatusMovedPermanently: exitFailed,
		http.StatusTemporaryRedirect: exitFailed, http.StatusUnprocessableEntity: exitFailed, http.StatusInternalServerError: exitFailed,
	} {
		var got []string
		hub := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			body, err := io.ReadAll(r.Body)
			if err != nil {
				t.Error(err)
			}
			got = append(got, r.Method+" "+r.URL.Path+" "+string(body))
			if status >= 300 && status < 400 && len(got) == 1 {
				w.Header().Set("Location", "/elsewhere")
				w.WriteHeader(status)
				return
			}
			if len(got) == 1 {
				w.WriteHeader(status)
			}
		}))
		for _, address := range []string{hub.URL, hub.URL + "/"} {
			got = nil
			var errs bytes.Buffer
			if got := run([]string{"import", "--hub", address, "items", file}, io.Discard, &errs); got != exit {
				t.Errorf("answered %d at %s: exit %d, want %d: %s", status, address, got, exit, &errs)
			}
			if len(got) != 1 || got[0] != "PUT /v1/items sku,name\nP,Pen\n" {
				t.Errorf("answered %d at %s: the hub got %q", status, address, got)
			}
		}
		hub.Close()
	}
}

// TestBackupOfARunningHubIsWholeOrNotThere: half a download, a refusal or
// something else than a database never takes the place of an older backup.
func TestBackupOfARunningHubIsWholeOrNotThere(t *testing.T) {
	dir := t.TempDir()
	good := filepath.Join(dir, "good.db")
	db, err := bolt.Open(good, bolt.Options{Kind: "hub"})
	if err != nil {
		t.Fatal(err)
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	body, err := os.ReadFile(good)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name   string
		answer func(http.ResponseWriter)
		exit   int
	}{
		{"whole", func(w http.ResponseWriter) { _, _ = w.Write(body) }, exitDone},
		{"broken off", func(w http.ResponseWriter) {
			w.Header().Set("Content-Length", strconv.Itoa(len(body)))
			_, _ = w.Write(body[:len(body)/2])
		}, exitFailed},
		{"cut short", func(w http.ResponseWriter) { _, _ = w.Write(body[:len(body)/2]) }, exitRefused},
		{"a page", func(w http.ResponseWriter) { _, _ = io.WriteString(w, strings.Repeat("<p>Hello</p>", 1000)) }, exitRefused},
		{"a refusal", func(w http.ResponseWriter) { w.WriteHeader(http.StatusInsufficientStorage) }, exitFailed},
		{"sent elsewhere", func(w http.ResponseWriter) {
			w.Header().Set("Location", "/v1/backup")
			w.WriteHeader(http.StatusTemporaryRedirect)
		}, exitFailed},
	} {
		hub := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path != "/v1/backup" {
				t.Errorf("%s: asked for %s", c.name, r.URL.Path)
			}
			c.answer(w)
		}))
		folder := t.TempDir()
		file := filepath.Join(folder, "backup.db")
		if err := os.WriteFile(file, []byte("an older one"), 0o600); err != nil {
			t.Fatal(err)
		}
		want := []byte("an older one")
		if c.exit == exitDone {
			want = body
		}
		var errs bytes.Buffer
		if exit := run([]string{"backup", "--hub", hub.URL + "/", file}, io.Discard, &errs); exit != c.exit {
			t.Errorf("%s: exit %d, want %d: %s", c.name, exit, c.exit, &errs)
		}
		got, err := os.ReadFile(file)
		if err != nil || !bytes.Equal(got, want) {
			t.Errorf("%s: the file has %d bytes, want %d: %v", c.name, len(got), len(want), err)
		}
		if entries, err := os.ReadDir(folder); err != nil || len(entries) != 1 {
			t.Errorf("%s: %v is left behind: %v", c.name, entries, err)
		}
		hub.Close()
	}
}
