package webhooks

import (
	"net/http"
	"strconv"
	"time"
)

// schedule says how long after each failure a message is sent again (Standard
// Webhooks). After the last of them it is a dead letter.
var schedule = []time.Duration{
	5 * time.Second, 5 * time.Minute, 30 * time.Minute, 2 * time.Hour, 5 * time.Hour, 10 * time.Hour, 14 * time.Hour, 20 * time.Hour, 24 * time.Hour,
}

// retryAfterMax bounds what an endpoint may ask for.
const retryAfterMax = 24 * time.Hour

// jitterParts is how a wait is lengthened: by up to a fifth, so that what failed
// together does not come again together.
const jitterParts = 5

// wait is how long a message waits after a number of failures, at least one; ok
// is false when it has failed for the last time. share is between 0 and 1.
func wait(failures int, after time.Duration, share float64) (d time.Duration, ok bool) {
	if failures > len(schedule) {
		return 0, false
	}
	d = max(schedule[failures-1], min(after, retryAfterMax))
	return d + time.Duration(share*float64(d/jitterParts)), true
}

// retryAfter reads the header of that name: seconds, or a date. Anything else
// asks for nothing.
func retryAfter(value string, now time.Time) time.Duration {
	if seconds, err := strconv.ParseUint(value, 10, 31); err == nil {
		return time.Duration(seconds) * time.Second
	}
	if at, err := http.ParseTime(value); err == nil {
		return max(0, at.Sub(now))
	}
	return 0
}
