package agent

import "counterpart/protocol/ledger/bolt"

// diskState is how much room is left for what must be kept.
type diskState struct {
	State     string // ok, low or full
	FreeBytes int64
	DataBytes int64
}

// diskMonitor looks at the disk below the data folder.
type diskMonitor struct {
	dir string
	db  *bolt.DB
}

const (
	diskLowBytes  = 512 << 20
	diskFullBytes = 16 << 20
)

func (m diskMonitor) read() diskState {
	d := diskState{State: "ok", FreeBytes: freeBytes(m.dir), DataBytes: m.db.SizeBytes()}
	switch {
	case d.FreeBytes < 0: // not known on this system
	case d.FreeBytes < diskFullBytes:
		d.State = "full"
	case d.FreeBytes < diskLowBytes:
		d.State = "low"
	}
	return d
}
