//go:build race

package till_test

// raceEnabled says that times mean nothing in this build.
const raceEnabled = true
