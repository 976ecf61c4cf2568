package source

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/buildlocal/buildlocal/internal/regular"
)

var (
	errNoGit        = errors.New("git is not installed")
	errNoRepository = errors.New("not a git repository")
	errSlow         = errors.New("git has not ended after ten minutes; it may wait for a named pipe in the source")
)

// gitTime is how long one git command may take.
const gitTime = 10 * time.Minute

// settings keep git from starting anything of the user's, from writing (LFS
// stores what it is shown), and from refusing a checkout of somebody else's.
var settings = []string{
	"-c", "safe.directory=*",
	"-c", "core.fsmonitor=false",
	"-c", "core.hooksPath=" + os.DevNull,
	"-c", "protocol.file.allow=always",
	"-c", "filter.lfs.required=false",
	"-c", "filter.lfs.process=",
	"-c", "filter.lfs.clean=",
	"-c", "filter.lfs.smudge=",
	"-c", "log.showSignature=false",
}

// kept are the only variables of git that reach it. A hook sets others, such
// as GIT_DIR and GIT_INDEX_FILE, that would lead it to another repository.
var kept = []string{
	"GIT_CEILING_DIRECTORIES",
	"GIT_CONFIG_GLOBAL",
	"GIT_CONFIG_NOSYSTEM",
	"GIT_CONFIG_SYSTEM",
	"GIT_DISCOVERY_ACROSS_FILESYSTEM",
	"GIT_EXEC_PATH",
}

// git runs one git command in dir and returns what it printed.
func git(ctx context.Context, dir string, args ...string) (string, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, gitTime, errSlow)
	defer cancel()
	cmd := exec.CommandContext(ctx, "git", slices.Concat([]string{"-C", dir}, settings, args)...)
	cmd.Env = append(environment(cmd.Environ()), "GIT_ALLOW_PROTOCOL="+protocols(args), nothing+"=")
	cmd.WaitDelay = time.Second
	out, err := cmd.Output()
	if err == nil {
		return string(out), nil
	}
	var exit *exec.ExitError
	switch {
	case context.Cause(ctx) == errSlow:
		return "", errSlow
	case errors.Is(err, exec.ErrNotFound):
		return "", errNoGit
	case !errors.As(err, &exit):
		return "", fmt.Errorf("start git: %w", err)
	case strings.Contains(string(exit.Stderr), "fatal: not a git repository"):
		return "", errNoRepository
	}
	return "", fmt.Errorf("git: %s: %w", strings.TrimSpace(string(exit.Stderr)), err)
}

// protocols returns the ways in which a command may reach another repository. A
// repository of a partial clone would otherwise fetch objects with programs that its
// own configuration names.
func protocols(args []string) string {
	if args[0] == "clone" {
		return "file"
	}
	return "none"
}

func environment(inherited []string) []string {
	env := slices.DeleteFunc(inherited, func(variable string) bool {
		name, _, _ := strings.Cut(variable, "=")
		return strings.HasPrefix(name, "GIT_") && !slices.Contains(kept, name)
	})
	return append(env, "LC_ALL=C", "GIT_OPTIONAL_LOCKS=0", "GIT_NO_LAZY_FETCH=1", "GIT_TERMINAL_PROMPT=0")
}

// repository is a git work tree, seen from a directory in it.
type repository struct {
	dir    string // the directory
	top    string // the top of the work tree: dir, or above it
	prefix string // dir as slash-separated name below top, with "/" at its end; empty at the top
	common string // the git directory that all worktrees share

	config string // settings that are needed, as settings prints them
}

// discover finds the repository that dir is in.
func discover(ctx context.Context, dir string) (*repository, error) {
	if !mayBeRepository(dir) {
		return nil, errNoRepository
	}
	dir = filepath.Clean(dir)
	if err := waiting(dir); err != nil {
		return nil, err
	}
	out, err := git(ctx, dir, "rev-parse", "--is-inside-work-tree", "--show-cdup", "--git-common-dir")
	if err != nil {
		return nil, err
	}
	// Only the last line is a path, and may have line ends of its own.
	lines := strings.SplitN(strings.TrimSuffix(out, "\n"), "\n", 3)
	if lines[0] != "true" || len(lines) < 3 {
		return nil, errNoRepository // bare, or in .git itself
	}
	r := &repository{dir: dir, top: dir, common: lines[2]}
	for range strings.Count(lines[1], "../") {
		r.prefix = filepath.Base(r.top) + "/" + r.prefix
		r.top = filepath.Dir(r.top)
	}
	if !filepath.IsAbs(r.common) {
		r.common = filepath.Join(dir, r.common)
	}
	if at := gitPlace(dir); at != "" && !sameFile(r.top, "", at) {
		return nil, fmt.Errorf("the configuration of %s names another work tree, %s", filepath.Join(at, ".git"), r.top)
	}
	r.config, err = needed(ctx, dir)
	return r, err
}

// gitPlace returns the directory that has the .git in which git finds a repository from
// dir; "" for none, or a bare repository.
func gitPlace(dir string) string {
	dir, err := filepath.Abs(dir)
	for err == nil {
		if exists(filepath.Join(dir, ".git")) {
			return dir
		}
		above := filepath.Dir(dir)
		if above == dir {
			return ""
		}
		dir = above
	}
	return ""
}

// waiting returns an error if git would wait for a file of the work tree that dir is in,
// such as a named pipe. Other files of that kind are waited for until the context ends.
func waiting(dir string) error {
	if dir = gitPlace(dir); dir == "" {
		return nil
	}
	for _, name := range []string{
		".git", ".gitignore", ".gitattributes", ".gitmodules", ".git/HEAD", ".git/config", ".git/config.worktree", ".git/commondir", ".git/index",
		".git/packed-refs", ".git/shallow", ".git/info/exclude", ".git/info/attributes", ".git/objects/info/alternates",
	} {
		var wrong *regular.Error
		err := regular.Check(filepath.Join(dir, filepath.FromSlash(name)))
		if errors.As(err, &wrong) && !wrong.Mode.IsDir() {
			return err
		}
	}
	return nil
}

// mayBeRepository reports whether git can find a repository from a directory: its
// own start costs more than to look. The directory itself may be a bare one.
func mayBeRepository(dir string) bool {
	dir, err := filepath.Abs(dir)
	if err == nil {
		dir, err = filepath.EvalSymlinks(dir)
	}
	if err != nil || exists(filepath.Join(dir, "HEAD")) {
		return true // git tells what is wrong
	}
	for {
		if exists(filepath.Join(dir, ".git")) {
			return true
		}
		above := filepath.Dir(dir)
		if above == dir {
			return false
		}
		dir = above
	}
}

func exists(name string) bool {
	_, err := os.Lstat(name)
	return err == nil
}

// all is the source of All.
func (r *repository) all(ctx context.Context) (*Source, error) {
	s := &Source{Dir: r.dir, Mode: All, Extra: r.extra(), Git: &Git{}}
	// Both fail where there is nothing to tell: no commit yet, no branch.
	id, _ := git(ctx, r.dir, "rev-parse", "--verify", "--quiet", "HEAD")
	s.Git.Commit = strings.TrimSpace(id)
	head, _ := git(ctx, r.dir, "symbolic-ref", "--quiet", "HEAD")
	s.Git.Branch = branch(head)
	s.Git.Remote = r.remote(s.Git.Branch)
	return s, nil
}

// branch returns the name of a branch from that of its ref.
func branch(ref string) string {
	name, is := strings.CutPrefix(strings.TrimSpace(ref), "refs/heads/")
	if !is {
		return ""
	}
	return name
}

// extra returns the directories that the work tree's .git points to.
func (r *repository) extra() []Extra {
	info, err := os.Lstat(filepath.Join(r.dir, ".git"))
	if r.prefix != "" || err != nil {
		return nil
	}
	var extra []Extra
	if info.Mode().IsRegular() {
		extra = append(extra, Extra{r.common, r.common})
	}
	const most = 1 << 20 // bytes
	borrowed, _ := regular.Read(filepath.Join(r.common, "objects", "info", "alternates"), most)
	for line := range strings.Lines(string(borrowed)) {
		if dir := strings.TrimSuffix(line, "\n"); filepath.IsAbs(dir) && isObjectStore(dir) {
			dir = filepath.Clean(dir)
			extra = append(extra, Extra{dir, dir})
		}
	}
	return extra
}

// isObjectStore reports whether a directory has the objects of a git repository. The
// file that names it may have come with the source, and the build sees what it names.
func isObjectStore(dir string) bool {
	dir, err := filepath.EvalSymlinks(dir)
	if err != nil || filepath.Base(dir) != "objects" {
		return false
	}
	head, err := os.Lstat(filepath.Join(filepath.Dir(dir), "HEAD"))
	refs, refsErr := os.Lstat(filepath.Join(filepath.Dir(dir), "refs"))
	return err == nil && refsErr == nil && !head.IsDir() && refs.IsDir()
}

// remote returns the URL of origin, else of the branch's remote, else of the
// only remote there is, without credentials.
func (r *repository) remote(branch string) string {
	urls, last, upstream := map[string]string{}, "", ""
	for setting := range strings.SplitSeq(r.config, "\x00") {
		key, value, _ := strings.Cut(setting, "\n")
		if key == "branch."+branch+".remote" {
			upstream = value
		}
		name, isURL := strings.CutPrefix(key, "remote.")
		name = strings.TrimSuffix(name, ".url")
		if _, again := urls[name]; isURL && !again {
			urls[name], last = value, name
		}
	}
	for _, name := range []string{"origin", upstream} {
		if url, has := urls[name]; has {
			return withoutCredentials(url)
		}
	}
	if len(urls) == 1 {
		return withoutCredentials(urls[last])
	}
	return ""
}
