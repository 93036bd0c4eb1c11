package main

import (
	"bytes"
	"fmt"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// traced are the system calls that change files, and those by which a process
// tells others something.
const traced = "openat,open,creat,write,pwrite64,writev,pwritev,pwritev2,ftruncate,truncate,fallocate,rename,renameat,renameat2," +
	"link,linkat,unlink,unlinkat,mkdir,mkdirat,rmdir,fsync,fdatasync,sync,syncfs,msync,mmap,lseek,copy_file_range,sendfile,splice"

// A builder replays a trace into a recording. It refuses every call on the data
// that it cannot replay: a recording with a hole would make true what is not.
type builder struct {
	above, data string // the data folder and the one above it
	live        map[string]int
	next        int
	cache       *volume // what processes see, whatever the disk has
	offsets     map[string]int64
	cut         []cutWrite
	wires       map[string]*wire // by socket
	rec         *recording
	// kept tells which files of the data folder are recorded.
	kept func(base string) bool
}

// A cutWrite is a write in the middle of which its process was killed.
type cutWrite struct {
	node  int
	at    int64
	data  []byte
	begin int
}

func newBuilder(data string, kept func(string) bool) *builder {
	return &builder{
		above: filepath.Dir(data), data: data, next: firstFile, kept: kept,
		live: map[string]int{filepath.Dir(data): folderAbove}, cache: newVolume(), offsets: map[string]int64{},
		wires: map[string]*wire{}, rec: &recording{},
	}
}

// paths are the absolute paths that a call names.
func (c *call) paths() ([]string, error) {
	texts, err := c.texts()
	if err != nil {
		return nil, err
	}
	var folders []string
	for _, argument := range c.arguments() {
		if _, path := descriptor(argument); path != "" && !strings.HasPrefix(argument, `"`) {
			folders = append(folders, path)
		}
	}
	var all []string
	for i, text := range texts {
		path := string(text)
		switch {
		case filepath.IsAbs(path):
			path = filepath.Clean(path)
		case i < len(folders):
			path = filepath.Join(folders[i], path)
		default:
			return nil, fmt.Errorf("%s of %q, and it is not known from where", c.name, path)
		}
		all = append(all, path)
	}
	return all, nil
}

// ours tells whether a path is one that is recorded, and where its name is.
func (b *builder) ours(path string) (name, bool) {
	switch {
	case path == b.data:
		return name{folderAbove, filepath.Base(path)}, true
	case filepath.Dir(path) == b.data:
		return name{folderData, filepath.Base(path)}, b.kept(filepath.Base(path))
	}
	return name{}, false
}

// call replays one call.
func (b *builder) call(c *call) error {
	if c.failed() {
		return nil
	}
	switch c.name {
	case "write", "writev":
		return b.write(c)
	case "pwrite64":
		args := c.arguments()
		at, err := strconv.ParseInt(args[len(args)-1], 10, 64)
		if err != nil {
			return err
		}
		_, path := descriptor(args[0])
		return b.bytes(c, path, at)
	case "fsync", "fdatasync":
		_, path := descriptor(c.args)
		b.sync(c, path)
		return nil
	case "ftruncate":
		args := c.arguments()
		_, path := descriptor(args[0])
		return b.resize(c, path, args[1])
	case "lseek":
		return b.seek(c)
	case "mmap":
		return b.mapped(c)
	case "openat", "open", "creat", "rename", "renameat", "renameat2", "link", "linkat", "unlink", "unlinkat", "mkdir", "mkdirat":
		return b.named(c)
	}
	return b.unknown(c)
}

// unknown refuses what is not replayed, if it is about the data.
func (b *builder) unknown(c *call) error {
	paths, err := c.paths()
	if err != nil {
		paths = nil // Nothing but descriptors.
	}
	for _, argument := range c.arguments() {
		_, path := descriptor(argument)
		paths = append(paths, path)
	}
	for _, path := range paths {
		if _, ours := b.ours(path); ours {
			return fmt.Errorf("%s of %s, which is not understood", c.name, path)
		}
	}
	return nil
}

// mapped refuses memory through which a file is written: nobody sees when.
func (b *builder) mapped(c *call) error {
	args := c.arguments()
	if len(args) < 5 || !strings.Contains(args[2], "PROT_WRITE") || !strings.Contains(args[3], "MAP_SHARED") {
		return nil
	}
	return b.unknown(c)
}

// add notes an op and does it in what processes see.
func (b *builder) add(o op, c *call) {
	o.Begin, o.End, o.Durable = c.begin, c.end, never
	b.cache.apply(&o)
	b.rec.Ops = append(b.rec.Ops, o)
}

// named replays the calls that make, move and take away names.
func (b *builder) named(c *call) error {
	paths, err := c.paths()
	if err != nil {
		return err
	}
	last := paths[len(paths)-1]
	at, ours := b.ours(last)
	if strings.HasPrefix(c.name, "rename") || strings.HasPrefix(c.name, "link") {
		_, fromOurs := b.ours(paths[0])
		if ours != fromOurs || c.end == unended && ours {
			return fmt.Errorf("%s of %s to %s, which is not understood", c.name, paths[0], last)
		}
	}
	if !ours || c.end == unended {
		return nil
	}
	node, known := b.live[last]
	switch c.name {
	case "mkdir", "mkdirat":
		if last != b.data {
			return fmt.Errorf("a folder within the data: %s", last)
		}
		b.live[last] = folderData
		b.add(op{Kind: opName, Node: folderData, Name: at}, c)
	case "unlink", "unlinkat":
		delete(b.live, last)
		b.add(op{Kind: opUnname, Node: node, Name: at}, c)
	case "link", "linkat":
		b.live[last] = b.live[paths[0]]
		b.add(op{Kind: opName, Node: b.live[last], Name: at}, c)
	case "rename", "renameat", "renameat2":
		old, _ := b.ours(paths[0])
		b.live[last] = b.live[paths[0]]
		delete(b.live, paths[0])
		b.add(op{Kind: opRename, Node: b.live[last], Name: at, Old: old}, c)
	default:
		b.opened(c, last, at, node, known)
	}
	return nil
}

// opened replays an open, which may make a file or empty it.
func (b *builder) opened(c *call, path string, at name, node int, known bool) {
	if at.Folder != folderData || strings.Contains(c.args, "O_DIRECTORY") {
		return
	}
	switch {
	case !known && (c.name == "creat" || strings.Contains(c.args, "O_CREAT")):
		b.live[path] = b.next
		b.add(op{Kind: opName, Node: b.next, Name: at}, c)
		b.next++
	case known && (c.name == "creat" || strings.Contains(c.args, "O_TRUNC")):
		b.add(op{Kind: opResize, Node: node}, c)
	}
	fd, _ := descriptor(c.result)
	b.offsets[fd+path] = 0
	if strings.Contains(c.args, "O_APPEND") {
		b.offsets[fd+path] = -1
	}
}

func (b *builder) seek(c *call) error {
	fd, path := descriptor(c.arguments()[0])
	if _, ours := b.ours(path); !ours {
		return nil
	}
	at, err := strconv.ParseInt(strings.Fields(c.result)[0], 10, 64)
	if b.offsets[fd+path] >= 0 {
		b.offsets[fd+path] = at
	}
	return err
}

// eventID is how the local API writes the identifier of an event.
var eventID = regexp.MustCompile(`"event_id":"([0-9a-f]{32})-(\d+)"`)

// write replays a write at a file's position, or reads what somebody is told.
func (b *builder) write(c *call) error {
	fd, path := descriptor(c.arguments()[0])
	if strings.HasPrefix(path, "socket:") || strings.HasPrefix(path, "TCP") {
		return b.tell(c, path)
	}
	if _, ours := b.ours(path); !ours {
		return nil
	}
	at := b.offsets[fd+path]
	if at < 0 {
		return b.bytes(c, path, int64(len(b.cache.Files[b.live[path]])))
	}
	if err := b.bytes(c, path, at); err != nil || c.end == unended {
		return err
	}
	n, err := strconv.ParseInt(strings.Fields(c.result)[0], 10, 64)
	b.offsets[fd+path] += n
	return err
}

// tell reads what goes to a till or to the hub.
func (b *builder) tell(c *call, socket string) error {
	data, err := c.data()
	if err != nil {
		return err
	}
	if c.end != unended {
		n, err := strconv.Atoi(strings.Fields(c.result)[0])
		if err != nil {
			return err
		}
		b.send(socket, data[:min(n, len(data))], c.begin)
	}
	if !bytes.HasPrefix(data, []byte("HTTP/1.1 2")) {
		return nil
	}
	for _, found := range eventID.FindAllSubmatch(data, -1) {
		seq, err := strconv.ParseUint(string(found[2]), 10, 64)
		if err != nil {
			return err
		}
		b.rec.Shown = append(b.rec.Shown, shown{At: c.begin, Inc: string(found[1]), Seq: seq})
	}
	return nil
}

// bytes replays a write at an offset.
func (b *builder) bytes(c *call, path string, at int64) error {
	if _, ours := b.ours(path); !ours {
		return nil
	}
	node, known := b.live[path]
	if !known {
		return fmt.Errorf("%s of %s, which has no name", c.name, path)
	}
	data, err := c.data()
	if err != nil {
		return err
	}
	if c.end == unended {
		b.cut = append(b.cut, cutWrite{node, at, data, c.begin})
		return nil
	}
	n, err := strconv.ParseInt(strings.Fields(c.result)[0], 10, 64)
	if err != nil || n > int64(len(data)) {
		return fmt.Errorf("%s of %d bytes wrote %s", c.name, len(data), c.result)
	}
	b.rec.Told.Writes++
	b.add(op{Kind: opWrite, Node: node, At: at, Data: data[:n]}, c)
	return nil
}

func (b *builder) resize(c *call, path, size string) error {
	if _, ours := b.ours(path); !ours {
		return nil
	}
	node, known := b.live[path]
	bytes, err := strconv.ParseInt(size, 10, 64)
	if err != nil || !known || c.end == unended {
		return fmt.Errorf("%s of %s to %s, which is not understood", c.name, path, size)
	}
	b.add(op{Kind: opResize, Node: node, Size: bytes}, c)
	return nil
}

// sync makes durable what had ended when the sync began.
func (b *builder) sync(c *call, path string) {
	node, known := b.live[path]
	if !known || c.end == unended {
		return
	}
	b.rec.Told.Syncs++
	for i := range b.rec.Ops {
		if o := &b.rec.Ops[i]; o.syncedBy(node) && o.End <= c.begin && o.Durable == never {
			o.Durable = c.end
		}
	}
}

// endRun compares what the trace says with the files that the process left
// behind, so that nothing is missing from the recording. Of a write in which
// the process was killed it keeps the sectors that were written.
func (b *builder) endRun(end int, files map[string][]byte) error {
	for _, w := range b.cut {
		found := b.found(w.node, files)
		for from := 0; from < len(w.data); from += sectorBytes {
			part := w.data[from:min(from+sectorBytes, len(w.data))]
			at := int(w.at) + from
			if at+len(part) <= len(found) && bytes.Equal(found[at:at+len(part)], part) {
				b.add(op{Kind: opWrite, Node: w.node, At: int64(at), Data: part}, &call{begin: w.begin, end: end})
			}
		}
	}
	b.cut = nil
	slices.SortStableFunc(b.rec.Ops, func(x, y op) int { return x.Begin - y.Begin })
	for base, content := range files {
		node, known := b.live[filepath.Join(b.data, base)]
		if have := b.cache.Files[node]; b.kept(base) && (!known || !bytes.Equal(have, content)) {
			return fmt.Errorf("the trace gives %d bytes of %s, and the process has left %d others", len(have), base, len(content))
		}
	}
	for path := range b.live {
		if _, there := files[filepath.Base(path)]; !there && filepath.Dir(path) == b.data {
			return fmt.Errorf("the trace has the file %s, and the process has left none", path)
		}
	}
	return nil
}

// found is what the process left behind of a file.
func (b *builder) found(node int, files map[string][]byte) []byte {
	for path, n := range b.live {
		if n == node {
			return files[filepath.Base(path)]
		}
	}
	return nil
}
