package main

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"strconv"
)

// An image holds the states of a volume as real files, one after the other. It
// writes what a state adds to what is durable, and takes that back for the next
// one. Files are kept beside the folder and linked into it, so names cost
// nothing while they stay.
type image struct {
	above   string // stands for the folder above the data
	nodes   string // the files by number
	durable *volume
	shown   map[name]int // what the folders hold now
	files   map[int]*os.File
	dirty   []span
	resized map[int]bool
}

// A span is a part of a file that holds what is not durable.
type span struct {
	node     int
	from, to int64
}

// newImage makes an image in a folder.
func newImage(dir string) (*image, error) {
	m := &image{
		above: filepath.Join(dir, "above"), nodes: filepath.Join(dir, "nodes"), durable: newVolume(),
		shown: map[name]int{}, files: map[int]*os.File{}, resized: map[int]bool{},
	}
	return m, errors.Join(os.Mkdir(m.above, 0o700), os.Mkdir(m.nodes, 0o700))
}

// path is where a name is. The data folder is always called the same.
func (m *image) path(n name) string {
	if n.Folder == folderAbove {
		return m.data()
	}
	return filepath.Join(m.data(), n.Base)
}

// data is the data folder, which may not be there.
func (m *image) data() string { return filepath.Join(m.above, "data") }

// file opens the file of a node.
func (m *image) file(node int) (*os.File, error) {
	if f := m.files[node]; f != nil {
		return f, nil
	}
	f, err := os.OpenFile(filepath.Join(m.nodes, strconv.Itoa(node)), os.O_CREATE|os.O_RDWR, 0o600)
	if err == nil {
		m.files[node] = f
	}
	return f, err
}

// advance makes the image that of a later volume, which becomes durable.
func (m *image) advance(durable *volume, ops []*op) error {
	m.durable = durable
	for _, o := range ops {
		f, err := m.file(o.Node)
		switch {
		case err != nil:
			return err
		case o.Kind == opWrite:
			_, err = f.WriteAt(o.Data, o.At)
		case o.Kind == opResize:
			err = f.Truncate(o.Size)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// show makes the folders and files those of a state.
func (m *image) show(changes []change, s *state) error {
	names := maps.Clone(m.durable.Names)
	scratch := volume{Names: names}
	for i, c := range changes {
		switch {
		case c.op.isName():
			if s.have[i][0] {
				scratch.apply(c.op)
			}
		case c.op.Kind == opResize:
			if len(s.have[i]) > 0 && s.have[i][0] {
				if err := m.truncate(c.op); err != nil {
					return err
				}
			}
		default:
			if err := m.write(c, s.have[i]); err != nil {
				return err
			}
		}
	}
	return m.rename(names)
}

func (m *image) truncate(o *op) error {
	f, err := m.file(o.Node)
	if err != nil {
		return err
	}
	m.resized[o.Node] = true
	return f.Truncate(o.Size)
}

// write writes the pieces of a change that a state has, runs of them at once.
func (m *image) write(c change, have []bool) error {
	f, err := m.file(c.op.Node)
	if err != nil {
		return err
	}
	for j := 0; j < len(have); j++ {
		if !have[j] {
			continue
		}
		first := j
		for j+1 < len(have) && have[j+1] && c.pieces[j+1].from == c.pieces[j].to {
			j++
		}
		from, to := c.pieces[first].from, c.pieces[j].to
		if _, err := f.WriteAt(c.op.Data[from:to], c.op.At+int64(from)); err != nil {
			return err
		}
		m.dirty = append(m.dirty, span{c.op.Node, c.op.At + int64(from), c.op.At + int64(to)})
	}
	return nil
}

// rename makes the folders hold the given names. Names in a folder that is
// itself not there are not there.
func (m *image) rename(names map[name]int) error {
	folder := false
	for n, node := range names {
		folder = folder || n.Folder == folderAbove && node == folderData
	}
	if !folder {
		names = map[name]int{}
	}
	if maps.Equal(names, m.shown) {
		return nil
	}
	if err := os.RemoveAll(m.data()); err != nil {
		return err
	}
	if folder {
		if err := os.Mkdir(m.data(), 0o700); err != nil {
			return err
		}
	}
	for n, node := range names {
		if n.Folder == folderAbove {
			continue
		}
		if _, err := m.file(node); err != nil {
			return err
		}
		if err := os.Link(filepath.Join(m.nodes, strconv.Itoa(node)), m.path(n)); err != nil {
			return err
		}
	}
	m.shown = names
	return nil
}

// undo takes a state back, with what opening and closing the store did to the
// names and to the small files beside it. Both must not have touched the store
// itself, which intact checks now and then.
func (m *image) undo() error {
	if err := m.tidy(); err != nil {
		return err
	}
	for _, d := range m.dirty {
		durable := m.durable.Files[d.node]
		if to := min(d.to, int64(len(durable))); d.from < to {
			if _, err := m.files[d.node].WriteAt(durable[d.from:to], d.from); err != nil {
				return err
			}
		}
		m.resized[d.node] = m.resized[d.node] || d.to > int64(len(durable))
	}
	for node, resized := range m.resized {
		if resized {
			if err := m.files[node].Truncate(int64(len(m.durable.Files[node]))); err != nil {
				return err
			}
		}
	}
	m.dirty = m.dirty[:0]
	clear(m.resized)
	return nil
}

// tidy removes the names that were made, notices those that were taken away,
// and marks all files but the store as changed.
func (m *image) tidy() error {
	entries, err := os.ReadDir(m.data())
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	found := 0
	for _, e := range entries {
		node, known := m.shown[name{folderData, e.Name()}]
		if !known {
			if err := os.Remove(filepath.Join(m.data(), e.Name())); err != nil {
				return err
			}
			continue
		}
		found++
		if e.Name() != database {
			m.resized[node] = true
			m.dirty = append(m.dirty, span{node, 0, int64(len(m.durable.Files[node]))})
		}
	}
	if found+1 < len(m.shown) { // The folder itself is a name too.
		clear(m.shown)
	}
	return nil
}

// intact checks that the files hold what is durable, and nothing else.
func (m *image) intact() error {
	for node, f := range m.files {
		content, err := os.ReadFile(f.Name())
		if err != nil {
			return err
		}
		if !bytes.Equal(content, m.durable.Files[node]) {
			return fmt.Errorf("file %d was changed by what looked at it", node)
		}
	}
	return nil
}

// copyTo writes the state's file that has a name into another file, leaving
// out what is zero. It reports whether there is such a file.
func (m *image) copyTo(base, to string) (bool, error) {
	content, err := os.ReadFile(m.path(name{folderData, base}))
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	f, err := os.Create(to)
	if err != nil {
		return false, err
	}
	const block = 4096
	var zero [block]byte
	for at := 0; at < len(content) && err == nil; at += block {
		if part := content[at:min(at+block, len(content))]; !bytes.Equal(part, zero[:len(part)]) {
			_, err = f.WriteAt(part, int64(at))
		}
	}
	return true, errors.Join(err, f.Truncate(int64(len(content))), f.Close())
}
