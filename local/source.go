package local

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"strings"

	"github.com/buildlocal/buildlocal/engine"
	"github.com/buildlocal/buildlocal/internal/human"
	"github.com/buildlocal/buildlocal/internal/regular"
	"github.com/buildlocal/buildlocal/runner"
	"github.com/buildlocal/buildlocal/source"
)

// openSource opens the primary source. Files that a build leaves in it, and the secrets
// file, are not part of it.
func (h *Host) openSource(ctx context.Context, r *Request, temp string) (*source.Source, runner.Source, error) {
	mode, ref, err := source.ParseMode(r.Source.Mode)
	if err != nil {
		return nil, runner.Source{}, invalid("source-mode", "%s", err)
	}
	out := r.OutputDir()
	if _, inside := RelativeTo(out, r.Source.Dir); inside || SameDir(out, r.Source.Dir) {
		return nil, runner.Source{}, Usagef(
			"the output directory %s contains the source; choose a directory beside or below it with --output", out)
	}
	exclude := []string{OutputName}
	for _, name := range append(r.secretPaths(), out, h.Runs().Path) {
		if below, inside := RelativeTo(r.Source.Dir, name); inside {
			exclude = append(exclude, below)
		}
	}
	s, err := source.Open(ctx, source.Options{Dir: r.Source.Dir, Mode: mode, Ref: ref, Temp: temp, Exclude: exclude})
	if err != nil {
		return nil, runner.Source{}, sourceError(err)
	}
	return s, describeSource("", s, ref), nil
}

// sourceError turns the error for a source that does not exist into a UsageError.
func sourceError(err error) error {
	var known *source.Error
	if errors.As(err, &known) {
		return UsageError{err}
	}
	return err
}

// maxSourceIdentifier is the length that identifiers of secondary sources have to stay
// below (documented), in characters.
const maxSourceIdentifier = 128

// sourceIdentifier matches identifiers of secondary sources (documented).
var sourceIdentifier = lazyRegexp(`^[A-Za-z0-9_]+$`)

// openSecondarySources opens the other sources, each a directory of the host. As in the
// primary source, the secrets file and the output of builds are left out.
func openSecondarySources(ctx context.Context, r *Request, temp string) ([]runner.Source, error) {
	var all []runner.Source
	seen := map[string]bool{}
	for _, arg := range r.Source.Secondary {
		id, dir, split := strings.Cut(arg, "=")
		switch {
		case !split || dir == "":
			return nil, invalid("secondary-source", "invalid value %q; expected ID=DIR", arg)
		case !sourceIdentifier().MatchString(id) || len(id) >= maxSourceIdentifier:
			return nil, invalid("secondary-source", "invalid identifier %q: use letters, digits and _", id)
		case seen[id]:
			return nil, invalid("secondary-source", "duplicate identifier %s", id)
		}
		seen[id] = true
		exclude := []string{OutputName}
		for _, name := range r.secretPaths() {
			if below, inside := RelativeTo(dir, name); inside {
				exclude = append(exclude, below)
			}
		}
		s, err := source.Open(ctx, source.Options{Dir: dir, Temp: temp, Exclude: exclude})
		if err != nil {
			return nil, sourceError(fmt.Errorf("--secondary-source %s: %w", id, err))
		}
		all = append(all, describeSource(id, s, ""))
	}
	return all, nil
}

// describeSource returns a source as the plan needs it. CodeBuild takes the version from
// the request, which here is ref, the branch or the commit.
func describeSource(id string, s *source.Source, ref string) runner.Source {
	r := runner.Source{
		ID: id, Digits: newSourceDigits(), Note: sourceNote(id, s),
		Tree: engine.Tree{Host: s.Dir, Hide: s.Hide}, Stream: s.Tar,
	}
	for _, extra := range s.Extra {
		whole := &source.Source{Dir: extra.Host, Mode: source.All}
		r.Extra = append(r.Extra, runner.Extra{Tree: engine.Tree{Host: extra.Host, Path: extra.Path}, Stream: whole.Tar})
	}
	if s.Git == nil {
		return r
	}
	r.Repo, r.URL, r.Resolved = source.RepoPath(s.Git.Remote), s.Git.Remote, s.Git.Commit
	r.Version = ref
	if r.Version == "" { // the branch is empty if HEAD is detached
		r.Version = s.Git.Branch
	}
	if r.Version == "" {
		r.Version = s.Git.Commit
	}
	return r
}

// sourceNote returns differences between the source and the one that CodeBuild would
// get, in one line.
func sourceNote(id string, s *source.Source) string {
	var notes []string
	if text := ignoredNote(s); text != "" {
		notes = append(notes, text)
	}
	// In a worktree or a submodule .git is a file with the path of the repository. An
	// absolute path is mounted into the build, a relative one leads to nothing there.
	text, err := regular.Read(filepath.Join(s.Dir, ".git"), maxDocument)
	if err == nil && !filepath.IsAbs(strings.TrimSpace(strings.TrimPrefix(string(text), "gitdir:"))) {
		notes = append(
			notes,
			"git does not work in this build, because .git points outside of the source; --source-mode commit uses a clone",
		)
	}
	if id != "" && len(notes) > 0 {
		return "source " + id + ": " + strings.Join(notes, "; ")
	}
	return strings.Join(notes, "; ")
}

// ignoredNote says which files the build does not get. A local build that succeeds only
// because of ignored files in the directory is the most common false success.
func ignoredNote(s *source.Source) string {
	n := s.Ignored
	if n.Files == 0 {
		return ""
	}
	more := ""
	if n.More {
		more = "more than "
	}
	return fmt.Sprintf("%s%s that git ignores left out (%s); --source-mode all takes everything",
		more, human.Count(n.Files, "file"), strings.Join(n.Top, ", "))
}

// RelativeTo returns name relative to dir, with slashes, if it is below dir.
func RelativeTo(dir, name string) (string, bool) {
	absDir, err1 := filepath.Abs(dir)
	absName, err2 := filepath.Abs(name)
	if err1 != nil || err2 != nil {
		return "", false
	}
	rel, err := filepath.Rel(absDir, absName)
	if err != nil || rel == "." || rel == ".." || strings.HasPrefix(rel, ".."+string(filepath.Separator)) {
		return "", false
	}
	return filepath.ToSlash(rel), true
}

// SameDir reports whether two names are the same path.
func SameDir(a, b string) bool {
	absA, err1 := filepath.Abs(a)
	absB, err2 := filepath.Abs(b)
	return err1 == nil && err2 == nil && absA == absB
}
