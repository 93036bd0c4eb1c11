package cloud

import (
	"context"
	"time"

	"counterpart/cloud/hub"
)

// audit lets the core compare what it holds, once an hour and whenever a digest
// gives cause. What goes wrong is tried again the next time.
func (c *Cloud) audit(ctx context.Context) error {
	due := time.NewTicker(hub.AuditEvery)
	defer due.Stop()
	for {
		var err error
		select {
		case <-ctx.Done():
			return nil
		case <-due.C:
			err = c.hub.Audit(ctx)
		case <-c.hub.Suspected():
			err = c.hub.Inspect(ctx)
		}
		if err != nil && ctx.Err() == nil {
			c.log.Error("quantities not compared", "error", err)
		}
	}
}

// tick lets the core do what is due. What goes wrong is tried again the next
// time.
func (c *Cloud) tick(ctx context.Context) error {
	due := time.NewTicker(hub.TickEvery)
	defer due.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-due.C:
		}
		if err := c.hub.Tick(ctx); err != nil && ctx.Err() == nil {
			c.log.Error("deadlines not looked at", "error", err)
		}
	}
}
