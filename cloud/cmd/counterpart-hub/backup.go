package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"strings"

	"counterpart/cloud"
	"counterpart/protocol/ledger/bolt"
)

// answerShownMax bounds what is shown of a refusal.
const answerShownMax = 4 << 10

// fetch asks a running hub for a copy. The file gets its name when it is whole,
// on the disk and a sound database.
func (c *backupCommand) fetch(ctx context.Context, log *slog.Logger) (err error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, strings.TrimRight(c.Hub, "/")+"/v1/backup", nil)
	if err != nil {
		return errors.Join(errUsage, err)
	}
	// The file holds every sale: it is taken from the named hub or not at all.
	client := http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	resp, err := client.Do(req)
	if err != nil {
		return fmt.Errorf("no hub answers at %s: %w. Is it running? A stopped one is copied with --data", c.Hub, err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		text, _ := io.ReadAll(io.LimitReader(resp.Body, answerShownMax))
		return fmt.Errorf("the hub answered %s. No backup was made. %s", resp.Status, text)
	}
	folder, err := os.MkdirTemp(filepath.Dir(c.File), ".backup-")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(folder)) }()
	temp := filepath.Join(folder, "hub.db")
	if err := receive(temp, resp.Body); err != nil {
		return fmt.Errorf("the backup broke off: %w. An older one of this name was left as it is", err)
	}
	if err := bolt.CheckFile(temp, log); err != nil {
		return err
	}
	if err := os.Rename(temp, c.File); err != nil {
		return err
	}
	return cloud.SyncFolder(c.File)
}

// receive writes what comes to a new file, durably.
func receive(path string, from io.Reader) error {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	_, err = io.Copy(f, from)
	if err == nil {
		err = f.Sync()
	}
	return errors.Join(err, f.Close())
}
