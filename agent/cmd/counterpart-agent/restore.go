package main

import (
	"context"
	"fmt"
	"io"
	"log/slog"

	"counterpart/agent"
)

type restoreCommand struct {
	dataFlag
	File string `arg:"" help:"The backup."`
}

// Run puts the backup into the folder.
func (c *restoreCommand) Run(ctx context.Context, out io.Writer, log *slog.Logger) error {
	aside, err := agent.Restore(ctx, c.Data, c.File, log)
	if err != nil {
		return err
	}
	fmt.Fprintf(out, "restored %s\n", c.File)
	if aside != "" {
		fmt.Fprintf(out, "the database that was there is kept as %s\n", aside)
	}
	fmt.Fprintln(out, "What this machine sold after the backup comes back from the hub and its siblings. Start the agent.")
	return nil
}

type replaceCommand struct{ dataFlag }

// Run prepares the folder.
func (c *replaceCommand) Run(ctx context.Context, out io.Writer, log *slog.Logger) error {
	if err := agent.Replace(ctx, c.Data, log); err != nil {
		return err
	}
	_, err := fmt.Fprintf(out, "%s is ready. Start the agent with the store and the name of the lost machine; never start that one again.\n", c.Data)
	return err
}
