//go:build race

package ledgertest

// Share is the part of a long run that a build does: with the race detector,
// which slows pure code down many times and finds nothing in it, a tenth.
const Share = 10
