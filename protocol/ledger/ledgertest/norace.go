//go:build !race

package ledgertest

// Share is the part of a long run that a build does: all of it.
const Share = 1
