package main

import (
	"os"
	"strings"
)

// powerCuts says in one line whether this machine could cut the power of a real
// disk, which the checked states stand for. It never fails: what is not there
// is said, not asked for.
func powerCuts() string {
	flakey, lazy := "dm-flakey: this kernel has no device mapper", "LazyFS: this machine has no FUSE"
	if devices, err := os.ReadFile("/proc/devices"); err == nil && strings.Contains(string(devices), "device-mapper") {
		flakey = "dm-flakey: the kernel has a device mapper, nothing here uses it"
	}
	if _, err := os.Stat("/dev/fuse"); err == nil {
		lazy = "LazyFS: FUSE is there, LazyFS is in no Debian package and was not installed"
	}
	return "real power cuts: none (" + flakey + "; " + lazy + ")"
}
