package cloud

import (
	"context"
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"counterpart/cloud/hub"
	"counterpart/protocol/ledger"
)

// The witness is how far the database was when it was last looked at, in a file
// beside it. A database that has not come so far is an older copy. Older than the
// database the witness says nothing, so it need not be synced; in a folder that was
// put back as a whole it is as old as the rest.
const (
	witnessFile  = "witness.json"
	witnessEvery = 2 * time.Second
)

// compareWitness begins another epoch where the database is older than what was
// seen of it.
func (c *Cloud) compareWitness(ctx context.Context) error {
	b, err := os.ReadFile(filepath.Join(c.cfg.Data, witnessFile))
	if err != nil {
		if !errors.Is(err, fs.ErrNotExist) {
			c.log.Warn("witness not read; an older copy in the place of the database would be noticed later", "error", err)
		}
		return nil
	}
	var seen hub.Mark
	if json.Unmarshal(b, &seen) != nil {
		return nil // An unreadable witness says nothing.
	}
	older, err := hub.RenewIfOlder(ctx, c.db, seen, time.Now())
	if err == nil && older {
		c.log.Error("the database is older than what this folder last held; somebody put a backup in its place without the command restore. What agents hold comes back now")
	}
	return err
}

// keepWitness writes down every few seconds, and at the end, how far the database
// is.
func (c *Cloud) keepWitness(ctx context.Context) error {
	ticker := time.NewTicker(witnessEvery)
	defer ticker.Stop()
	var last hub.Mark
	var trouble string
	for {
		var now hub.Mark
		err := c.db.View(context.WithoutCancel(ctx), func(r ledger.Reader) (err error) {
			now, err = hub.ReadMark(r)
			return err
		})
		if err == nil && now != last {
			err = writeWitness(c.cfg.Data, now)
		}
		switch {
		case err == nil:
			last, trouble = now, ""
		case err.Error() != trouble:
			trouble = err.Error()
			c.log.Warn("witness not written", "error", err)
		}
		if ctx.Err() != nil {
			return nil
		}
		select {
		case <-ctx.Done():
		case <-ticker.C:
		}
	}
}

func writeWitness(dir string, m hub.Mark) error {
	b, err := json.Marshal(m)
	if err != nil {
		return err
	}
	name := filepath.Join(dir, witnessFile)
	if err := os.WriteFile(name+".new", b, 0o600); err != nil {
		return err
	}
	return os.Rename(name+".new", name)
}
