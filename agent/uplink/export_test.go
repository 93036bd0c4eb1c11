package uplink

import (
	"context"

	"counterpart/protocol"
)

// FetchSnapshot carries out a Fetch.
func (u *Uplink) FetchSnapshot(ctx context.Context, job Fetch) Applied { return u.fetch(ctx, job) }

// CleanSnapshots is what Run does first.
func (u *Uplink) CleanSnapshots(ctx context.Context) error { return u.cleanSnapshots(ctx) }

// SnapshotPath names a feed's files, without their extensions.
func (u *Uplink) SnapshotPath(feed protocol.FeedID) string { return u.snapshotPath(feed) }

// Work starts as many workers as Run does, and returns where jobs go in and
// answers come out.
func (u *Uplink) Work(ctx context.Context) (jobs chan<- any, answers <-chan any) {
	for range workersMax {
		go u.worker(ctx)
	}
	return u.work, u.inputs
}
