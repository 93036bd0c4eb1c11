package sim

import (
	"counterpart/agent/uplink"
	"counterpart/protocol"
)

// outbox is an engine's outbox, which reads the end of the log again only after
// a commit: an engine asks in each step.
type outbox struct {
	uplink.Outbox
	process *process
	version uint64 // of the disk when it was read, and 1 more; 0: never
	seq     protocol.Seq
	hash    protocol.Hash
}

// Head is where the log ends.
func (o *outbox) Head() (seq protocol.Seq, hash protocol.Hash, err error) {
	if err := o.process.usable(); err != nil {
		return 0, hash, err
	}
	if at := o.process.disk.version + 1; o.version != at {
		if o.seq, o.hash, err = o.Outbox.Head(); err != nil {
			o.version = 0
			return 0, hash, err
		}
		o.version = at
	}
	return o.seq, o.hash, nil
}
