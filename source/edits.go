package source

import (
	"context"
	"crypto/sha1"
	"crypto/sha256"
	"errors"
	"fmt"
	"hash"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/buildlocal/buildlocal/internal/regular"
)

// The limits of the files whose contents are compared. A source with more uncommitted changes is
// compared by its commit alone.
const (
	maxEdits    = 200      // files
	maxEditSize = 16 << 20 // bytes of all files
)

// Contents are the files of a source: those of a commit, and those that differ from it.
type Contents struct {
	Commit string // full ID
	// Edits has the files that differ, by their names from the top of the repository. A value
	// identifies the mode and the contents of a file, which cannot be found out from it; it is empty
	// for a file that does not exist.
	Edits map[string]string
}

// errUncompared is returned for a source whose files cannot be compared with its commit in a short
// time.
var errUncompared = errors.New("the files of the source are not compared with its commit")

// Contents returns the files that differ from the commit. The function key makes values that do not
// disclose their input. An error is for a source that has no commit, or too many or too
// large changes.
func (s *Source) Contents(ctx context.Context, key func(string) string) (*Contents, error) {
	if s.Git == nil || !commitID().MatchString(s.Git.Commit) || !s.compared || len(s.edited) > maxEdits {
		return nil, errUncompared
	}
	c := &Contents{Commit: s.Git.Commit, Edits: map[string]string{}}
	left := int64(maxEditSize)
	for _, name := range s.edited {
		if ctx.Err() != nil {
			return nil, context.Cause(ctx)
		}
		state, err := s.stateOf(name, &left)
		if err != nil {
			return nil, err
		}
		c.Edits[s.prefix()+name] = keyed(key, state)
	}
	return c, nil
}

// keyed returns the key of a state. A file that does not exist has none.
func keyed(key func(string) string, state string) string {
	if state == "" {
		return ""
	}
	return key(state)
}

// prefix returns the source's directory as a path from the top of the repository, with a trailing
// slash; "" at the top.
func (s *Source) prefix() string {
	if s.Git == nil || s.Git.Top == "" {
		return ""
	}
	rel, err := filepath.Rel(s.Git.Top, s.Dir)
	if err != nil || rel == "." {
		return ""
	}
	return filepath.ToSlash(rel) + "/"
}

// stateOf returns the mode and the ID that git would give a file of the source; "" if it does not
// exist. left is the number of bytes that may still be read.
func (s *Source) stateOf(name string, left *int64) (string, error) {
	path := filepath.Join(s.Dir, filepath.FromSlash(name))
	info, err := os.Lstat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return "", nil
	case err != nil:
		return "", err
	case info.Mode()&fs.ModeSymlink != 0:
		target, err := os.Readlink(path)
		return "120000 " + s.blob(int64(len(target)), strings.NewReader(target)), err
	case !info.Mode().IsRegular() || info.Size() > *left:
		return "", errUncompared
	}
	*left -= info.Size()
	file, err := regular.Open(path)
	if err != nil {
		return "", err
	}
	defer file.Close()
	mode := "100644 "
	if info.Mode()&0o100 != 0 {
		mode = "100755 "
	}
	return mode + s.blob(info.Size(), file), nil
}

// blob returns the ID that git gives contents of a size. Text that is appended meanwhile does not
// count.
func (s *Source) blob(size int64, in io.Reader) string {
	var sum hash.Hash = sha1.New()
	if len(s.Git.Commit) == sha256.Size*2 {
		sum = sha256.New()
	}
	fmt.Fprintf(sum, "blob %d\x00", size)
	_, _ = io.Copy(sum, io.LimitReader(in, size)) // a file that became shorter has another ID
	return fmt.Sprintf("%x", sum.Sum(nil))
}

// ChangedSince returns the names of the files that differ between two contents of this repository,
// from its top and sorted. now may only be the contents of this source.
func (s *Source) ChangedSince(
	ctx context.Context, then, now *Contents, key func(string) string,
) ([]string, error) {
	if !commitID().MatchString(then.Commit) || !commitID().MatchString(now.Commit) {
		return nil, fmt.Errorf("%q and %q are not commits that can be compared", then.Commit, now.Commit)
	}
	before, after, err := s.compareCommits(ctx, then.Commit, now.Commit)
	if err != nil {
		return nil, err
	}
	if err := s.addCommitted(ctx, now.Commit, before, after, then.Edits, now.Edits); err != nil {
		return nil, err
	}
	var changed []string
	for name := range before {
		old, isEdit := then.Edits[name]
		if !isEdit {
			old = keyed(key, before[name])
		}
		current, isEdit := now.Edits[name]
		if !isEdit {
			current = keyed(key, after[name])
		}
		if old != current {
			changed = append(changed, name)
		}
	}
	slices.Sort(changed)
	return changed, nil
}

// compareCommits returns the states of the files that differ between two commits.
func (s *Source) compareCommits(ctx context.Context, from, to string) (before, after map[string]string, err error) {
	before, after = map[string]string{}, map[string]string{}
	if from == to {
		return before, after, nil
	}
	out, err := git(ctx, s.Dir, "diff-tree", "-r", "-z", "--raw", "--no-abbrev", "--no-renames", from, to)
	if err != nil {
		return nil, nil, err
	}
	// Each entry is ":<mode> <mode> <ID> <ID> <status>", and the name.
	parts := strings.Split(strings.TrimSuffix(out, "\x00"), "\x00")
	for i := 0; i+1 < len(parts); i += 2 {
		fields := strings.Fields(strings.TrimPrefix(parts[i], ":"))
		if len(fields) < 4 {
			return nil, nil, fmt.Errorf("git diff-tree printed %q", parts[i])
		}
		before[parts[i+1]] = treeEntry(fields[0], fields[2])
		after[parts[i+1]] = treeEntry(fields[1], fields[3])
	}
	return before, after, nil
}

// treeEntry returns the state of a file in a commit; "" for one that is not in it.
func treeEntry(mode, id string) string {
	if strings.Trim(mode, "0") == "" {
		return ""
	}
	return mode + " " + id
}

// addCommitted adds the states of edited files that both commits have alike.
func (s *Source) addCommitted(
	ctx context.Context, commit string, before, after map[string]string, edits ...map[string]string,
) error {
	args := []string{"ls-tree", "-r", "-z", "--full-tree", commit, "--"}
	first := len(args)
	for _, names := range edits {
		for name := range names {
			if _, known := before[name]; !known {
				before[name], after[name] = "", ""
				args = append(args, name) // ls-tree takes paths, and no patterns
			}
		}
	}
	if len(args) == first {
		return nil
	}
	out, err := git(ctx, s.Dir, args...)
	if err != nil {
		return err
	}
	for entry := range strings.SplitSeq(strings.TrimSuffix(out, "\x00"), "\x00") {
		about, name, _ := strings.Cut(entry, "\t")
		if fields := strings.Fields(about); len(fields) == 3 { // mode, type and ID
			before[name] = treeEntry(fields[0], fields[2])
			after[name] = before[name]
		}
	}
	return nil
}
