package artifacts

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
)

// put is one file that was put somewhere, as a ledger remembers it.
type put struct {
	Path   []byte `json:"path"` // below the destination; any bytes
	SHA256 string `json:"sha256,omitempty"`
	Link   string `json:"link,omitempty"`
}

// ledger is what was put into one directory, and the directories made for it.
type ledger struct {
	Files []put    `json:"files"`
	Dirs  [][]byte `json:"directories"`
}

// conflictsShown is how many files in the way are named.
const conflictsShown = 10

// Put copies what stands below from, a directory or a file, into the directory dest, in
// the place of what was put there before: exactly that, as the file book remembers it,
// and nothing else. A file that somebody has changed since stays. The error names
// files in the way, which are somebody else's; then nothing is changed.
func Put(from, dest, book string) error {
	old, err := readLedger(book)
	if err != nil {
		return err
	}
	next, err := survey(from)
	if err != nil {
		return err
	}
	ours, err := unchanged(dest, old)
	if err != nil {
		return err
	}
	if err := inTheWay(dest, next, ours); err != nil {
		return err
	}
	// Killed from here on, the next run knows both what is and what will be there.
	both := ledger{slices.Concat(old.Files, next.Files), slices.Concat(old.Dirs, next.Dirs)}
	if err := both.write(book); err != nil {
		return err
	}
	if err := replace(from, dest, next, old, ours); err != nil {
		return err
	}
	return next.write(book)
}

func readLedger(book string) (ledger, error) {
	var l ledger
	text, err := os.ReadFile(book)
	if errors.Is(err, fs.ErrNotExist) {
		return l, nil
	}
	if err == nil {
		err = json.Unmarshal(text, &l)
	}
	if err != nil {
		return l, fmt.Errorf("read what was put there before: %w; remove %s and what it lists by hand", err, book)
	}
	return l, nil
}

func (l ledger) write(book string) error {
	text, err := json.Marshal(l)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(book), 0o755); err != nil {
		return err
	}
	part := book + ".part"
	if err := os.WriteFile(part, text, 0o644); err != nil {
		return err
	}
	return os.Rename(part, book)
}

// survey lists what is to be put.
func survey(from string) (ledger, error) {
	var l ledger
	err := filepath.WalkDir(from, func(name string, e fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		below, err := filepath.Rel(from, name)
		if err != nil {
			return err
		}
		switch {
		case below == "." && e.IsDir():
			return nil
		case below == ".":
			below = filepath.Base(from)
		case e.IsDir():
			l.Dirs = append(l.Dirs, []byte(below))
			return nil
		}
		p, err := describe(name)
		p.Path = []byte(below)
		l.Files = append(l.Files, p)
		return err
	})
	return l, err
}

// describe says what a file is: its hash, or where it leads.
func describe(name string) (put, error) {
	info, err := os.Lstat(name)
	if err != nil {
		return put{}, err
	}
	if info.Mode()&fs.ModeSymlink != 0 {
		link, err := os.Readlink(name)
		return put{Link: link}, err
	}
	f, err := os.Open(name)
	if err != nil {
		return put{}, err
	}
	defer f.Close()
	hash := sha256.New()
	_, err = io.Copy(hash, f)
	return put{SHA256: hex.EncodeToString(hash.Sum(nil))}, err
}

// isNoDirectory reports whether a file stands where a path needs a directory.
func isNoDirectory(err error) bool { return errors.Is(err, syscall.ENOTDIR) }

// unchanged returns the files of a ledger that are as they were put.
func unchanged(dest string, l ledger) (map[string]bool, error) {
	ours := map[string]bool{}
	for _, p := range l.Files {
		now, err := describe(filepath.Join(dest, string(p.Path)))
		if errors.Is(err, fs.ErrNotExist) || isNoDirectory(err) {
			continue
		}
		if err != nil {
			return nil, err
		}
		if now.SHA256 == p.SHA256 && now.Link == p.Link {
			ours[string(p.Path)] = true
		}
	}
	return ours, nil
}

// inTheWay tells files and directories that are not ours and stand where something is
// to be put.
func inTheWay(dest string, next ledger, ours map[string]bool) error {
	var found []string
	for _, p := range next.Files {
		name := string(p.Path)
		info, err := os.Lstat(filepath.Join(dest, name))
		switch {
		case errors.Is(err, fs.ErrNotExist):
		case isNoDirectory(err):
			if above := fileAbove(dest, name); !ours[above] {
				found = append(found, above)
			}
		case err != nil:
			return err
		case info.IsDir() && !holdsOnly(filepath.Join(dest, name), name, ours), !info.IsDir() && !ours[name]:
			found = append(found, name)
		}
	}
	slices.Sort(found)
	found = slices.Compact(found)
	if len(found) == 0 {
		return nil
	}
	more := ""
	if len(found) > conflictsShown {
		more = fmt.Sprintf(" and %d more", len(found)-conflictsShown)
		found = found[:conflictsShown]
	}
	return fmt.Errorf("%s has files that no build has put there, or that were changed since: %s%s\nMove them away, or choose another directory; nothing was changed there", dest, strings.Join(found, ", "), more)
}

// fileAbove returns what stands where a directory of a path is to be.
func fileAbove(dest, name string) string {
	for at := filepath.Dir(name); at != "."; at = filepath.Dir(at) {
		if info, err := os.Lstat(filepath.Join(dest, at)); err == nil && !info.IsDir() {
			return at
		}
	}
	return name
}

// holdsOnly reports whether a directory holds nothing but files of ours.
func holdsOnly(dir, name string, ours map[string]bool) bool {
	only := true
	err := filepath.WalkDir(dir, func(file string, e fs.DirEntry, err error) error {
		below, rel := filepath.Rel(dir, file)
		if err == nil && rel == nil && !e.IsDir() && !ours[filepath.Join(name, below)] {
			only = false
		}
		return errors.Join(err, rel)
	})
	return err == nil && only
}

// replace removes what was put before, and puts what is new.
func replace(from, dest string, next, old ledger, ours map[string]bool) error {
	info, err := os.Stat(from)
	if err != nil {
		return err
	}
	for name := range ours {
		if err := os.Remove(filepath.Join(dest, name)); err != nil {
			return err
		}
	}
	for _, dir := range slices.Backward(old.Dirs) { // those below come later
		_ = os.Remove(filepath.Join(dest, string(dir))) // one that holds something else stays
	}
	if err := os.MkdirAll(dest, 0o755); err != nil {
		return err
	}
	for _, dir := range next.Dirs {
		if err := os.MkdirAll(filepath.Join(dest, string(dir)), 0o755); err != nil {
			return err
		}
	}
	for _, p := range next.Files {
		source := from
		if info.IsDir() {
			source = filepath.Join(from, string(p.Path))
		}
		if err := copyFile(source, filepath.Join(dest, string(p.Path)), p.Link); err != nil {
			return fmt.Errorf("%s: %w", p.Path, err)
		}
	}
	return nil
}

// copyFile copies a file or makes a link; what is cut short has another name.
func copyFile(from, to, link string) error {
	if link != "" {
		return os.Symlink(link, to)
	}
	in, err := os.Open(from)
	if err != nil {
		return err
	}
	defer in.Close()
	info, err := in.Stat()
	if err != nil {
		return err
	}
	out, err := os.CreateTemp(filepath.Dir(to), ".buildlocal-*")
	if err != nil {
		return err
	}
	_, err = io.Copy(out, in)
	err = errors.Join(err, out.Chmod(info.Mode().Perm()), out.Close())
	if err == nil {
		err = errors.Join(os.Chtimes(out.Name(), info.ModTime(), info.ModTime()), os.Rename(out.Name(), to))
	}
	if err != nil {
		return errors.Join(err, os.Remove(out.Name()))
	}
	return nil
}
