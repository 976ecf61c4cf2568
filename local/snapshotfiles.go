package local

import (
	"cmp"
	"context"
	"crypto/sha256"
	"io"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"

	"github.com/buildlocal/buildlocal/internal/regular"
	"github.com/buildlocal/buildlocal/snapshots"
)

// maxHashed limits the size of the files of a source whose contents a snapshot knows, in bytes. The
// smallest ones count first. Others have changed if their times have.
const maxHashed = 64 << 20

// describeFiles returns the files of the source as the build has them.
func (s *Session) describeFiles() []snapshots.File {
	s.syncing.Lock()
	defer s.syncing.Unlock()
	var all []snapshots.File
	for name, at := range s.stamps {
		size := at.size
		if at.modified.After(s.Plan.Identity.Start) { // it may differ from the build's
			size = -1
		}
		all = append(all, snapshots.File{Name: name, Size: size, Mode: at.mode, Modified: at.modified})
	}
	slices.SortFunc(all, func(a, b snapshots.File) int {
		return cmp.Or(cmp.Compare(a.Size, b.Size), cmp.Compare(a.Name, b.Name))
	})
	if s.hashes == nil {
		s.hashes = map[string]fileHash{}
	}
	root, err := os.OpenRoot(s.inputs.Source.Dir)
	if err != nil {
		return all
	}
	defer root.Close()
	left := int64(maxHashed)
	for i, f := range all {
		if f.Size < 0 {
			continue
		}
		if left -= f.Size; left < 0 {
			break
		}
		at := s.stamps[f.Name]
		known := s.hashes[f.Name]
		if !known.stamp.equal(at) {
			known = fileHash{at, s.hashFile(root, f.Name, at)}
			s.hashes[f.Name] = known
		}
		all[i].Hash = known.hash
	}
	return all
}

// secondaryPrints returns the fingerprints of the secondary sources, by their identifiers. Their files are
// compared by their times only.
func (in *Inputs) secondaryPrints(ctx context.Context) map[string]string {
	all := map[string]string{}
	for _, s := range in.secondary {
		_, all[s.id] = s.Fingerprint(ctx)
	}
	return all
}

// otherSource describes a secondary source whose files differ from those of a snapshot, or returns "".
func otherSource(s *snapshots.Snapshot, now map[string]string) string {
	for _, id := range slices.Sorted(maps.Keys(now)) {
		if now[id] != s.Others[id] {
			return "files of the secondary source " + id + " changed"
		}
	}
	return ""
}

// fileHash is the hash of a file while it has a stamp.
type fileHash struct {
	stamp stamp
	hash  string
}

// hashFile returns the keyed hash of the contents of a file of the source, or the target of a link. It is
// "" if they cannot be read, or are not those of the stamp.
func (s *Session) hashFile(root *os.Root, name string, at stamp) string {
	name = filepath.FromSlash(name)
	sum := sha256.New()
	switch {
	case at.mode&fs.ModeSymlink != 0:
		target, err := root.Readlink(name)
		if err != nil {
			return ""
		}
		_, _ = io.WriteString(sum, target) // a hash has no errors
	case at.mode.IsRegular():
		file, err := regular.OpenIn(root, name)
		if err != nil {
			return ""
		}
		_, err = io.Copy(sum, file)
		file.Close()
		if err != nil {
			return ""
		}
	default:
		return ""
	}
	if info, err := root.Lstat(name); err != nil || !at.equal(stamp{info.Size(), info.Mode(), info.ModTime()}) {
		return ""
	}
	return s.keyed("file " + string(sum.Sum(nil)))
}

// touched returns the stamps of the files that have the contents of a snapshot, although their times
// differ: those of a fresh checkout, or of a branch that was switched there and back.
func (s *Session) touched(from *snapshots.Snapshot, now map[string]stamp) map[string]stamp {
	same := map[string]stamp{}
	root, err := os.OpenRoot(s.inputs.Source.Dir)
	if err != nil {
		return same
	}
	defer root.Close()
	for _, f := range from.Files {
		at, there := now[f.Name]
		if !there || f.Hash == "" || at.size != f.Size || at.mode != f.Mode || at.modified.Equal(f.Modified) {
			continue
		}
		if s.hashFile(root, f.Name, at) == f.Hash {
			same[f.Name] = at
		}
	}
	return same
}

// stampsOf returns the stamps of the source as the build of a snapshot had it.
func stampsOf(s *snapshots.Snapshot) map[string]stamp {
	all := map[string]stamp{}
	for _, f := range s.Files {
		all[f.Name] = stamp{f.Size, f.Mode, f.Modified}
	}
	return all
}

// sourceChanges are the names of the files that differ between two states of the source.
type sourceChanges struct{ added, changed, removed []string }

func compareStamps(old, now map[string]stamp) sourceChanges {
	var c sourceChanges
	for _, name := range slices.Sorted(maps.Keys(now)) {
		switch was, had := old[name]; {
		case !had:
			c.added = append(c.added, name)
		case !was.equal(now[name]):
			c.changed = append(c.changed, name)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(old)) {
		if _, there := now[name]; !there {
			c.removed = append(c.removed, name)
		}
	}
	return c
}
