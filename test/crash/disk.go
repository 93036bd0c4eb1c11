package main

import (
	"fmt"
	"slices"
)

// sectorBytes is what a disk writes as a whole or not at all.
const sectorBytes = 512

// never is the position at which something is on the disk that nobody synced.
const never = unended

// The folders of a recording. Files have higher numbers.
const (
	folderAbove = iota // holds the data folder and was there before
	folderData
	firstFile
)

// opKind is how an op changes the disk.
type opKind uint8

// The kinds of ops.
const (
	opWrite  opKind = iota // bytes of a file
	opResize               // a file's length
	opName                 // a new name: of a new file or folder, or a link
	opUnname               // a name taken away
	opRename               // a name that takes the place of another
)

// A name is an entry in a folder.
type name struct {
	Folder int
	Base   string
}

// An op is one change of the disk that the recorded process asked for. Until
// it is durable the disk may hold it wholly, in part, or not at all.
type op struct {
	Kind       opKind
	Node       int // the file or folder that it is about
	At         int64
	Data       []byte
	Size       int64
	Name       name
	Old        name // of opRename
	Begin, End int  // positions in the trace
	Durable    int  // the position from which on the disk has it for certain
}

// isName tells whether the op changes a folder instead of a file.
func (o *op) isName() bool { return o.Kind >= opName }

// syncedBy tells whether a sync of the node makes the op durable: names belong
// to their folder, bytes to their file.
func (o *op) syncedBy(node int) bool {
	if o.isName() {
		return o.Name.Folder == node
	}
	return o.Node == node
}

// A shown event is one whose identifier the process has told somebody.
type shown struct {
	At  int
	Inc string
	Seq uint64
}

// A recording is everything that a process did to its data, and what it told
// to whom in between.
type recording struct {
	Owner string // of the store: store/agent
	Inc   string // of the process's own stream
	Ops   []op
	Shown []shown
	End   int
	// Hashes are those of the events in the log at the end, by inc; the first
	// is that of event 1.
	Hashes map[string][][32]byte
	Told   told
}

// told counts what the recording holds.
type told struct {
	Runs, Kills, Confirmed, Sent, Writes, Syncs int
	SizeBytes                                   int64
}

// A state of files and names, as a disk or the memory above it holds it.
type volume struct {
	Files map[int][]byte
	Names map[name]int
}

func newVolume() *volume {
	return &volume{Files: map[int][]byte{}, Names: map[name]int{}}
}

// apply does an op wholly.
func (v *volume) apply(o *op) {
	switch o.Kind {
	case opWrite:
		v.write(o.Node, o.At, o.Data)
	case opResize:
		v.resize(o.Node, o.Size)
	case opName:
		v.Names[o.Name] = o.Node
	case opUnname:
		delete(v.Names, o.Name)
	case opRename:
		delete(v.Names, o.Old)
		v.Names[o.Name] = o.Node
	}
}

func (v *volume) write(node int, at int64, data []byte) {
	if end := at + int64(len(data)); end > int64(len(v.Files[node])) {
		v.resize(node, end)
	}
	copy(v.Files[node][at:], data)
}

func (v *volume) resize(node int, size int64) {
	file := v.Files[node]
	if size <= int64(len(file)) {
		v.Files[node] = file[:size]
		return
	}
	v.Files[node] = append(file, make([]byte, size-int64(len(file)))...)
}

// window is the time between two moments at which something became durable.
// Whatever a process asked for and did not sync may be on the disk or not when
// the power goes, so one window has one set of states; the latest moment of it
// is the hardest, because the most has been promised.
type window struct {
	From, To int
	open     []*op // asked for, not durable, in order
	required map[string]uint64
}

// windows cuts the recording at each moment at which something became durable.
func (r *recording) windows() []window {
	cuts := []int{0, r.End}
	for i := range r.Ops {
		if r.Ops[i].Durable != never {
			cuts = append(cuts, r.Ops[i].Durable)
		}
	}
	slices.Sort(cuts)
	cuts = slices.Compact(cuts)
	var list []window
	first := 0 // ops before it are durable
	required := map[string]uint64{}
	told := 0
	for k := range len(cuts) - 1 {
		w := window{From: cuts[k], To: cuts[k+1], required: map[string]uint64{}}
		for first < len(r.Ops) && r.Ops[first].Durable <= w.From {
			first++
		}
		for i := first; i < len(r.Ops) && r.Ops[i].Begin < w.To; i++ {
			if r.Ops[i].Durable > w.From {
				w.open = append(w.open, &r.Ops[i])
			}
		}
		for ; told < len(r.Shown) && r.Shown[told].At < w.To; told++ {
			s := r.Shown[told]
			required[s.Inc] = max(required[s.Inc], s.Seq)
		}
		for inc, seq := range required {
			w.required[inc] = seq
		}
		list = append(list, w)
	}
	return list
}

// became applies to v what became durable at a position.
func (r *recording) became(v *volume, at int) {
	for i := range r.Ops {
		if r.Ops[i].Durable == at {
			v.apply(&r.Ops[i])
		}
	}
}

// check refuses a recording that cannot be cut into states.
func (r *recording) check() error {
	for i := range r.Ops {
		if o := &r.Ops[i]; i > 0 && o.Begin < r.Ops[i-1].Begin || o.End < o.Begin || o.Durable < o.End {
			return fmt.Errorf("op %d begins at %d, ends at %d and is durable at %d", i, o.Begin, o.End, o.Durable)
		}
	}
	return nil
}
