package local

import (
	"cmp"
	"fmt"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"github.com/buildlocal/buildlocal/internal/config"
	"github.com/buildlocal/buildlocal/internal/human"
	"github.com/buildlocal/buildlocal/internal/regular"
	"github.com/buildlocal/buildlocal/source"
)

// sourceNote returns differences between the source and the one that CodeBuild would
// get, in one line.
func (in *Inputs) sourceNote(o openedSource) string {
	if o.setting.Type == noSource {
		return ""
	}
	s := o.Source
	all := []string{versionNote(s, o.setting)}
	if o.setting.isRepository() && s.Mode == source.All && s.Git != nil {
		all = append(all, "the build sees all files of the directory; CodeBuild sees only committed files")
	}
	all = append(all, ignoredNote(s))
	if o.setting.isRepository() {
		all = append(all, uncommittedNote(s), unresolvedNote(s), brokenGitNote(s))
		if o.id == "" {
			all = append(all, subdirectoryNote(s, in.Request))
		}
	}
	notes := strings.Join(slices.DeleteFunc(all, func(note string) bool { return note == "" }), "; ")
	if o.id != "" && notes != "" {
		return "source " + o.id + ": " + notes
	}
	return notes
}

// versionNote says that the checkout is not the version that the project requests.
func versionNote(s *source.Source, setting sourceSetting) string {
	want := setting.version
	if want == "" || s.Git == nil || !setting.isRepository() ||
		want == s.Git.Branch || want == s.Git.Commit || want == "refs/heads/"+s.Git.Branch {
		return ""
	}
	have := s.Git.Branch
	if have == "" {
		have = s.Git.Commit[:min(len(s.Git.Commit), 8)]
	}
	return fmt.Sprintf("the project builds %s, but this build uses the files of %s; "+
		"--source-mode commit=%s builds that version", want, have, want)
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

// uncommittedNote counts the files that are not as in the commit. CodeBuild does not have them if
// the source is a repository; the bundle of another source may have them.
func uncommittedNote(s *source.Source) string {
	var included []string
	if s.Changed > 0 {
		included = append(included, human.Count(s.Changed, "changed file"))
	}
	if s.Untracked > 0 {
		included = append(included, human.Count(s.Untracked, "untracked file"))
	}
	var all []string
	if len(included) > 0 {
		all = append(all, strings.Join(included, " and ")+" included")
	}
	if s.Deleted > 0 {
		all = append(all, human.Count(s.Deleted, "deleted file")+" left out")
	}
	if len(all) == 0 {
		return ""
	}
	return strings.Join(all, ", ") + "; CodeBuild sees only committed files"
}

// unresolvedNote says which files of a filter, such as Git LFS, are not as in a clone.
func unresolvedNote(s *source.Source) string {
	if len(s.Unresolved) == 0 {
		return ""
	}
	const maxNamed = 3
	names := strings.Join(s.Unresolved[:min(maxNamed, len(s.Unresolved))], ", ")
	return fmt.Sprintf("%s of a git filter included as on this host, because the repository here lacks what "+
		"CodeBuild has (%s)", human.Count(len(s.Unresolved), "file"), names)
}

// brokenGitNote says that git does not work in the build. In a worktree or a submodule .git is a
// file with the path of the repository. An absolute path is mounted into the build, a relative one
// leads to nothing there.
func brokenGitNote(s *source.Source) string {
	text, err := regular.Read(filepath.Join(s.Dir, ".git"), maxDocument)
	place := strings.TrimSpace(strings.TrimPrefix(string(text), "gitdir:"))
	if err != nil || filepath.IsAbs(place) {
		return ""
	}
	return "git does not work in this build, because .git points outside of the source; " +
		"--source-mode commit uses a clone"
}

// subdirectoryNote says that the source is a part of a repository, and how to build all of it as
// CodeBuild does.
func subdirectoryNote(s *source.Source, r *Request) string {
	if s.Git == nil || s.Git.Top == "" || r.Source.Root != "" {
		return ""
	}
	below, inside := RelativeTo(s.Git.Top, s.Dir)
	if !inside {
		return ""
	}
	note := fmt.Sprintf("this directory is part of a repository; to build all of it, as CodeBuild does: "+
		"buildlocal run --source-root %s (source-root in .buildlocal.yml)", source.RepositoryRoot)
	spec := cmp.Or(r.Source.Buildspec, "buildspec.yml")
	if spec == "-" || filepath.IsAbs(spec) || config.IsInline(spec) {
		return note
	}
	return note + fmt.Sprintf(", or buildlocal run -C %s -b %s", human.ShellWord(ShownPath(s.Git.Top)),
		human.ShellWord(path.Join(below, filepath.ToSlash(spec))))
}
