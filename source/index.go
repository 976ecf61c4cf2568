package source

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/buildlocal/buildlocal/internal/regular"
)

// maxComparedIndex is the size in bytes of the largest index whose files are compared with the
// commit, which takes about 1.5 microseconds for each: some 20,000 files. An entry has 62 bytes and
// the name.
const maxComparedIndex = 2 << 20

// maxIndex limits the bytes that are read of an index.
const maxIndex = 64 << 20

// maxCompareTime limits the time for it. In a copied work tree, git reads each file in full.
const maxCompareTime = time.Second

// gitDir returns the directory of the work tree's own git files.
func (r *repository) gitDir() string {
	dot := filepath.Join(r.top, ".git")
	if info, err := os.Stat(dot); err != nil || info.IsDir() {
		return dot
	}
	text, err := regular.Read(dot, maxLead)
	dir, named := strings.CutPrefix(strings.TrimRight(string(text), "\r\n"), "gitdir: ")
	switch {
	case err != nil || !named:
		return dot // git rejects it too
	case filepath.IsAbs(dir):
		return dir
	}
	return filepath.Join(r.top, dir)
}

// hasSmallIndex reports whether comparing all files with the commit takes no time that a user would
// notice.
func (r *repository) hasSmallIndex() bool {
	info, err := os.Stat(filepath.Join(r.gitDir(), "index"))
	return err == nil && info.Size() <= maxComparedIndex
}

// mayHaveSubmodules reports whether the index may have a submodule, for which .gitmodules need not
// exist. Listing a large index costs more than a search for the mode of a submodule in its bytes,
// which has false positives only. A split index has a second file.
func (r *repository) mayHaveSubmodules() bool {
	if exists(filepath.Join(r.top, ".gitmodules")) {
		return true
	}
	index, err := regular.Read(filepath.Join(r.gitDir(), "index"), maxIndex)
	if os.IsNotExist(err) {
		return false
	}
	return err != nil || bytes.Contains(index, []byte("\x00\x00\xe0\x00")) || bytes.Contains(index, []byte("link\x00"))
}
