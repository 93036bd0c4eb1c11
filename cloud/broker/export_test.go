package broker

import "time"

// WithWriteDeadline shortens the time after which a stalled subscriber is cut off.
func WithWriteDeadline(o Options, d time.Duration) Options {
	o.writeDeadline = d
	return o
}
