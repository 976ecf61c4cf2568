package builds

import (
	"encoding/json"
	"os"

	"github.com/buildlocal/buildlocal/internal/atomicfile"
	"github.com/buildlocal/buildlocal/internal/regular"
)

// markName is the file that says who made the directory. It names the directory's
// inode, so that a mark that came with a source, whose author cannot know the inode,
// vouches for nothing.
const markName = ".made-by-buildlocal"

type mark struct {
	Version int    `json:"version"`         // 1
	Inode   uint64 `json:"inode,omitempty"` // of the directory; 0 where the system has none
}

// markState is the result of reading a directory's mark.
type markState int

const (
	markMissing markState = iota
	markMoved             // it was made for another directory: this one is a copy, or came with a source
	markValid
)

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

// replace writes a file below root completely or not at all.
func replace(root *os.Root, name string, text []byte) error {
	file, part, err := atomicfile.CreatePart(root, name+".", 0o644)
	if err != nil {
		return err
	}
	_, err = file.Write(text)
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
