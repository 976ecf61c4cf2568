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
	"path"
	"path/filepath"
	"slices"
	"strings"
	"syscall"

	"github.com/buildlocal/buildlocal/internal/atomicfile"
	"github.com/buildlocal/buildlocal/internal/diag"
	"github.com/buildlocal/buildlocal/internal/regular"
	"github.com/buildlocal/buildlocal/internal/tree"
)

// put is a copied file, as recorded in a ledger.
type put struct {
	Path   []byte `json:"path"` // below the destination; any bytes
	SHA256 string `json:"sha256,omitempty"`
	Link   string `json:"link,omitempty"`
}

// ledger lists the files copied into one directory, and the directories created for it. It is kept
// in the build output and not in the destination, so the user's directory contains artifacts only.
type ledger struct {
	Files []put    `json:"files"`
	Dirs  [][]byte `json:"directories"`
}

// conflictsShown is the number of conflicting files that the error names.
const conflictsShown = 10

// Put copies from, a file or the contents of a directory, into the directory dest. It
// replaces exactly the files of the previous Put, which the ledger in the file book lists.
// A file that was changed since then is kept, and nothing is written or removed through
// a link. The error names conflicting files, which Put did not write;
// then nothing is changed. If they do not fit, the error is a *tree.NoSpaceError.
// copied receives the number of files and bytes copied so far; it may be nil.
func Put(from, dest, book string, copied func(files int, bytes int64)) error {
	old, err := readLedger(book)
	if err != nil {
		return err
	}
	next, err := survey(from)
	if err != nil {
		return err
	}
	// If anything conflicts, a directory that did not exist before must not exist afterwards.
	_, absent := os.Stat(dest)
	if err := os.MkdirAll(dest, 0o755); err != nil {
		return err
	}
	root, err := os.OpenRoot(dest)
	if err != nil {
		return err
	}
	defer root.Close()
	t := &target{root: root, old: old, ours: map[string]bool{}, copied: copied}
	if err := errors.Join(t.check(next), t.checkSpace(from, next)); err != nil {
		if errors.Is(absent, fs.ErrNotExist) {
			_ = os.Remove(dest)
		}
		return err
	}
	// If this process is killed from here on, the next run finds old and new files in the ledger.
	both := ledger{slices.Concat(old.Files, next.Files), slices.Concat(old.Dirs, next.Dirs)}
	if err := both.write(book); err != nil {
		return err
	}
	if err := t.replace(from, next); err != nil {
		return err
	}
	return next.write(book)
}

// maxLedger limits the size of a ledger, in bytes.
const maxLedger = 1 << 30

// readLedger reads a ledger; a missing one is empty. It is refused if it names a file outside of
// the directory, as Put would remove that file.
func readLedger(book string) (ledger, error) {
	var l ledger
	text, err := regular.Read(book, maxLedger)
	if errors.Is(err, fs.ErrNotExist) {
		return l, nil
	}
	if err == nil {
		err = json.Unmarshal(text, &l)
	}
	if err == nil && !l.local() {
		err = errors.New("it names files outside the directory")
	}
	if err != nil {
		return l, fmt.Errorf("read the list of earlier copies: %w; remove %s and the files it lists by hand", err, book)
	}
	return l, nil
}

// local reports whether all that a ledger lists is below the directory.
func (l ledger) local() bool {
	for _, p := range l.Files {
		if !filepath.IsLocal(string(p.Path)) {
			return false
		}
	}
	return !slices.ContainsFunc(l.Dirs, func(dir []byte) bool { return !filepath.IsLocal(string(dir)) })
}

// write replaces the ledger atomically: without it, later builds could not remove their files.
func (l ledger) write(book string) error {
	text, err := json.Marshal(l)
	if err != nil {
		return err
	}
	// The names of artifacts may be confidential.
	const private = 0o600
	return atomicfile.Write(book, text, private)
}

// survey lists the files to copy. Links are recorded and not followed.
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
		// A single file is copied under its own name.
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

// describe returns the identity of a file: its hash, or the target of a link.
func describe(name string) (put, error) {
	root, err := os.OpenRoot(filepath.Dir(name))
	if err != nil {
		return put{}, err
	}
	defer root.Close()
	return describeIn(root, filepath.Base(name))
}

// describeIn is describe in an open directory, so that no link on the way is followed.
func describeIn(root *os.Root, name string) (put, error) {
	info, err := root.Lstat(name)
	if err != nil {
		return put{}, err
	}
	if info.Mode()&fs.ModeSymlink != 0 {
		link, err := root.Readlink(name)
		return put{Link: link}, err
	}
	f, err := regular.OpenIn(root, name)
	if err != nil {
		return put{}, err
	}
	defer f.Close()
	hash := sha256.New()
	_, err = io.Copy(hash, f)
	return put{SHA256: hex.EncodeToString(hash.Sum(nil))}, err
}

// isNoDirectory reports whether a file exists at a path that must be a directory.
func isNoDirectory(err error) bool { return errors.Is(err, syscall.ENOTDIR) }

// target is a directory that artifacts are put into. All access is through root, so a link in the
// destination cannot lead out of it.
type target struct {
	root *os.Root
	old  ledger          // of the previous Put
	ours map[string]bool // files of old that are as they were put

	copied func(files int, bytes int64) // may be nil
	files  int                          // that have been copied
	bytes  int64
}

// check finds the files of the previous Put, and refuses conflicting ones.
func (t *target) check(next ledger) error {
	if err := t.findOurs(); err != nil {
		return err
	}
	return t.inTheWay(next)
}

// checkSpace refuses artifacts that do not fit after the files they replace are removed.
func (t *target) checkSpace(from string, next ledger) error {
	var need int64
	for _, p := range next.Files {
		name := filepath.Join(from, string(p.Path))
		if _, err := os.Lstat(name); isNoDirectory(err) {
			name = from // is the one file
		}
		if info, err := os.Lstat(name); err == nil && info.Mode().IsRegular() {
			need += tree.Allocated(info)
		}
	}
	for name := range t.ours {
		if info, err := t.root.Lstat(name); err == nil && info.Mode().IsRegular() {
			need -= tree.Allocated(info)
		}
	}
	if need <= 0 {
		return nil
	}
	return tree.CheckSpace(t.root.Name(), "artifacts", need)
}

// Write counts copied bytes.
func (t *target) Write(p []byte) (int, error) {
	t.bytes += int64(len(p))
	if t.copied != nil {
		t.copied(t.files, t.bytes)
	}
	return len(p), nil
}

// findOurs notes the files of the previous Put that have not changed since.
func (t *target) findOurs() error {
	for _, p := range t.old.Files {
		name := string(p.Path)
		// A directory that has become a link is no longer the one that was written to.
		if t.linkAbove(name) != "" {
			continue
		}
		now, err := describeIn(t.root, name)
		var kind *regular.Error
		if errors.Is(err, fs.ErrNotExist) || isNoDirectory(err) || errors.As(err, &kind) {
			continue
		}
		if err != nil {
			return err
		}
		// A file that the user has edited has another hash and is theirs from then on.
		if now.SHA256 == p.SHA256 && now.Link == p.Link {
			t.ours[name] = true
		}
	}
	return nil
}

// linkAbove returns the first link among the directories of a path, or "". Writing through it would
// change files elsewhere.
func (t *target) linkAbove(name string) string {
	for _, dir := range parents(name) {
		if info, err := t.root.Lstat(dir); err == nil && info.Mode()&fs.ModeSymlink != 0 {
			return dir
		}
	}
	return ""
}

// parents returns the directories of a path, the first one first.
func parents(name string) []string {
	var all []string
	for dir := path.Dir(filepath.ToSlash(name)); dir != "."; dir = path.Dir(dir) {
		all = append(all, filepath.FromSlash(dir))
	}
	slices.Reverse(all)
	return all
}

// inTheWay refuses files, directories and links that are not ours and exist where
// something is to be put, and whatever would get into a directory of git's.
func (t *target) inTheWay(next ledger) error {
	var found []string
	for _, p := range next.Files {
		name := string(p.Path)
		if at := t.blocked(name); at != "" {
			found = append(found, at)
		}
	}
	// Several files may be blocked by the same path.
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
	for i := range found {
		found[i] = diag.EscapeLine(found[i])
	}
	return fmt.Errorf("%s has files that no build has put there, or that were changed since: %s%s\nMove them away, or "+
		"choose another directory; nothing was changed there", t.root.Name(), strings.Join(found, ", "), more)
}

// blocked returns the existing path that conflicts with a file to be put, or "".
func (t *target) blocked(name string) string {
	for _, dir := range append(parents(name), name) {
		info, err := t.root.Lstat(dir)
		if err != nil {
			return "" // nothing is there, nor below it
		}
		switch {
		case dir == name && info.IsDir():
			if !t.holdsOnly(name) {
				return name
			}
		case dir == name:
			if !t.ours[name] {
				return name
			}
		case !info.IsDir():
			if !t.ours[dir] {
				return dir
			}
			return "" // it is removed first
		// Files in .git, such as hooks, would run commands of the build as the user.
		case strings.EqualFold(filepath.Base(dir), ".git") && !t.made(dir):
			return dir
		}
	}
	return ""
}

// made reports whether an earlier build created a directory.
func (t *target) made(dir string) bool {
	return slices.ContainsFunc(t.old.Dirs, func(d []byte) bool { return string(d) == dir })
}

// holdsOnly reports whether a directory has no files but those of the previous Put.
func (t *target) holdsOnly(dir string) bool {
	only := true
	err := fs.WalkDir(t.root.FS(), filepath.ToSlash(dir), func(file string, e fs.DirEntry, err error) error {
		if err == nil && !e.IsDir() && !t.ours[filepath.FromSlash(file)] {
			only = false
		}
		return err
	})
	return err == nil && only
}

// replace removes files of an earlier copy, and copies the new ones.
func (t *target) replace(from string, next ledger) error {
	info, err := os.Stat(from)
	if err != nil {
		return err
	}
	for name := range t.ours {
		if err := t.root.Remove(name); err != nil {
			return err
		}
	}
	for _, dir := range slices.Backward(t.old.Dirs) { // parents come before their subdirectories
		if name := string(dir); t.linkAbove(name) == "" {
			t.removeDir(name)
		}
	}
	for _, dir := range next.Dirs {
		if err := t.makeDirs(string(dir)); err != nil {
			return err
		}
	}
	for _, p := range next.Files {
		source := from
		if info.IsDir() {
			source = filepath.Join(from, string(p.Path))
		}
		if err := t.put(source, string(p.Path), p.Link); err != nil {
			return fmt.Errorf("%s: %w", p.Path, err)
		}
	}
	return nil
}

// removeDir removes a directory if it is empty.
func (t *target) removeDir(name string) {
	if info, err := t.root.Lstat(name); err == nil && info.IsDir() {
		_ = t.root.Remove(name)
	}
}

// makeDirs creates a directory and its parents without following links.
func (t *target) makeDirs(name string) error {
	for _, dir := range append(parents(name), name) {
		err := t.root.Mkdir(dir, 0o755)
		if err != nil && !errors.Is(err, fs.ErrExist) {
			return err
		}
		// Mkdir reports an existing link as existing too.
		if info, err := t.root.Lstat(dir); err != nil || !info.IsDir() {
			return errors.Join(err, fmt.Errorf("%s is not a directory", dir))
		}
	}
	return nil
}

// put copies a file or creates a link. An incomplete copy has a temporary name.
func (t *target) put(from, name, link string) error {
	if dir := filepath.Dir(name); dir != "." {
		if err := t.makeDirs(dir); err != nil {
			return err
		}
	}
	if link != "" {
		return t.root.Symlink(link, name)
	}
	in, err := regular.Open(from)
	if err != nil {
		return err
	}
	defer in.Close()
	info, err := in.Stat()
	if err != nil {
		return err
	}
	// The user never sees half a file under its name, even if this process is killed.
	out, part, err := atomicfile.CreatePart(t.root, filepath.Join(filepath.Dir(name), ".buildlocal-"), 0o600)
	if err != nil {
		return err
	}
	// Sparse files, such as disk images, stay sparse.
	_, err = tree.CopySparse(out, io.TeeReader(in, t), nil)
	t.files++
	err = errors.Join(err, out.Chmod(info.Mode().Perm()), out.Close())
	if err == nil {
		err = errors.Join(t.root.Chtimes(part, info.ModTime(), info.ModTime()), t.root.Rename(part, name))
	}
	if err != nil {
		return errors.Join(err, t.root.Remove(part))
	}
	return nil
}
