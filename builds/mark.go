package builds

import (
	"encoding/json"
	"os"

	"github.com/buildlocal/buildlocal/internal/atomicfile"
	"github.com/buildlocal/buildlocal/internal/regular"
)

// markName is the file that marks a directory as made by buildlocal, whose files it may
// replace and remove. It contains the directory's inode: the author of a source cannot know
// that, so a mark that came with the source is not valid.
const markName = ".made-by-buildlocal"

type mark struct {
	Version int    `json:"version"`         // 1
	Inode   uint64 `json:"inode,omitempty"` // of the directory; 0 if the system has no inodes
}

// markState is the result of reading a directory's mark.
type markState int

const (
	markMissing markState = iota
	markMoved             // it was made for another directory: this one is a copy, or came with a source
	markValid
)

// readMark reads the mark of a directory. Anything but a regular file counts as missing.
func readMark(root *os.Root) markState {
	const maxMark = 1 << 10
	text, err := regular.ReadIn(root, markName, maxMark)
	var m mark
	if err != nil || json.Unmarshal(text, &m) != nil || m.Version != 1 {
		return markMissing
	}
	if info, err := root.Lstat(markName); err != nil || !info.Mode().IsRegular() {
		return markMissing
	}
	info, err := root.Stat(".")
	if err != nil || inode(info) != m.Inode {
		return markMoved
	}
	return markValid
}

// writeMark marks a directory as made by buildlocal.
func writeMark(root *os.Root) error {
	info, err := root.Stat(".")
	if err != nil {
		return err
	}
	text, err := json.Marshal(mark{1, inode(info)})
	if err != nil {
		return err
	}
	return replace(root, markName, append(text, '\n'))
}

// replace writes a file below root completely or not at all: into a new file with another
// name, which is renamed. A link with the file's name is replaced, not followed.
func replace(root *os.Root, name string, text []byte) error {
	return replaceWith(root, name, text, func(*os.File) error { return nil })
}

// replaceDurably is replace for a file that people rely on: after a power failure it has the old
// contents or the new ones, never a part. That takes 0.1 ms on a virtual disk, and milliseconds
// on a real one, so files that matter only while a build runs are written without it.
func replaceDurably(root *os.Root, name string, text []byte) error {
	return replaceWith(root, name, text, (*os.File).Sync)
}

// replaceWith is replace with a last step before the new file is closed.
func replaceWith(root *os.Root, name string, text []byte, last func(*os.File) error) error {
	file, part, err := atomicfile.CreatePart(root, name+".", 0o644)
	if err != nil {
		return err
	}
	_, err = file.Write(text)
	if err == nil {
		err = last(file)
	}
	if closeErr := file.Close(); err == nil {
		err = closeErr
	}
	if err == nil {
		err = root.Rename(part, name)
	}
	if err != nil {
		_ = root.Remove(part)
	}
	return err
}
