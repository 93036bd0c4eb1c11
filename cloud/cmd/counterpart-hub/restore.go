package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"

	"counterpart/cloud"
)

type restoreCommand struct {
	dataFlag
	SecondCopy string `help:"The second copy, which has what came after the backup (default: the one that --config names)." placeholder:"FILE"`
	AcceptGaps bool   `help:"Go on although events that agents may have forgotten are gone."`
	File       string `arg:"" optional:"" help:"A file that backup has written. Without it everything comes from the second copy."`
}

// Run brings the database back and says what that came to.
func (c *restoreCommand) Run(ctx context.Context, out io.Writer, log *slog.Logger) error {
	cfg, err := c.configured()
	if err != nil {
		return err
	}
	if c.SecondCopy == "" {
		c.SecondCopy = cfg.SecondCopy
	}
	if c.File == "" && c.SecondCopy == "" {
		return errors.Join(errUsage, errors.New("say what to restore: a FILE that backup has written, --second-copy FILE, or both"))
	}
	done, err := cloud.Restore{Backup: c.File, Data: cfg.Data, SecondCopy: c.SecondCopy, AcceptGaps: c.AcceptGaps, Log: log}.Run(ctx)
	if err != nil {
		return err
	}
	fmt.Fprintf(out, "restored %d events of %d streams: %d from the backup, %d from the second copy\n", done.Events, done.Streams, done.Backup, done.Replayed)
	if done.Torn > 0 {
		fmt.Fprintf(out, "the last %d bytes of the second copy were never synced and were left out\n", done.Torn)
	}
	if len(done.Missing) > 0 || done.Damaged > 0 {
		fmt.Fprintln(out, "accepted:", done.Loss())
	}
	if done.Unsent > 0 {
		fmt.Fprintf(out, "the database before held %d events more; agents send again those that they still hold\n", done.Unsent)
	}
	if done.Aside != "" {
		fmt.Fprintln(out, "the database before is kept as", done.Aside)
	}
	_, err = fmt.Fprintf(out, "epoch %d: agents say hello again when the hub is started\n", done.Epoch)
	return err
}
