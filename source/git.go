package source

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/buildlocal/buildlocal/internal/regular"
)

// Errors of git that callers distinguish.
var (
	errNoGit        = errors.New("git is not installed")
	errNoRepository = errors.New("not a git repository")
	errSlow         = errors.New("git did not finish within ten minutes; there may be a named pipe in the source")
)

// gitTime is the timeout of one git command.
const gitTime = 10 * time.Minute

// settings keep git from running programs of the user's configuration, from writing (the LFS
// filter stores every file it reads), and from rejecting a checkout that another user owns.
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

// kept are the only variables of git that are passed on. A git hook sets others, such as
// GIT_DIR and GIT_INDEX_FILE, that refer to another repository.
var kept = []string{
	"GIT_CEILING_DIRECTORIES",
	"GIT_CONFIG_GLOBAL",
	"GIT_CONFIG_NOSYSTEM",
	"GIT_CONFIG_SYSTEM",
	"GIT_DISCOVERY_ACROSS_FILESYSTEM",
	"GIT_EXEC_PATH",
}

// git runs a git command in dir and returns its output.
func git(ctx context.Context, dir string, args ...string) (string, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, gitTime, errSlow)
	defer cancel()
	cmd := command(ctx, dir, args)
	out, err := cmd.Output()
	if err == nil {
		return string(out), nil
	}
	var exit *exec.ExitError
	message := ""
	if errors.As(err, &exit) {
		message = string(exit.Stderr)
	}
	return "", gitError(ctx, err, message)
}

// gitStream runs a git command with an input. read gets its output, and ends the command with an
// error.
func gitStream(
	ctx context.Context, dir string, in io.Reader, read func(out *bufio.Reader) error, args ...string,
) error {
	ctx, cancel := context.WithTimeoutCause(ctx, gitTime, errSlow)
	defer cancel()
	cmd := command(ctx, dir, args)
	var message bytes.Buffer
	cmd.Stdin, cmd.Stderr = in, &message
	out, err := cmd.StdoutPipe()
	if err != nil {
		return fmt.Errorf("start git: %w", err)
	}
	if err := cmd.Start(); err != nil {
		return gitError(ctx, err, "")
	}
	readErr := read(bufio.NewReader(out))
	// At an early end of the output, the message of git has the cause.
	early := errors.Is(readErr, io.EOF) || errors.Is(readErr, io.ErrUnexpectedEOF)
	if readErr != nil && !early {
		cancel()
	}
	waitErr := cmd.Wait()
	if waitErr != nil && (readErr == nil || early) {
		return gitError(ctx, waitErr, message.String())
	}
	return readErr
}

// command returns a git command in dir, which has not been started.
func command(ctx context.Context, dir string, args []string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, "git", slices.Concat([]string{"-C", dir}, settings, args)...)
	cmd.Env = append(environment(cmd.Environ()), "GIT_ALLOW_PROTOCOL="+protocols(args), nothing+"=")
	cmd.WaitDelay = time.Second
	return cmd
}

// gitError returns the error of a git command that printed a message.
func gitError(ctx context.Context, err error, message string) error {
	var exit *exec.ExitError
	switch {
	case context.Cause(ctx) == errSlow:
		return errSlow
	case errors.Is(err, exec.ErrNotFound):
		return errNoGit
	case !errors.As(err, &exit):
		return fmt.Errorf("start git: %w", err)
	case strings.Contains(message, "fatal: not a git repository"):
		return errNoRepository
	}
	return fmt.Errorf("git: %s: %w", strings.TrimSpace(message), err)
}

// protocols returns the protocols by which a command may access another repository. In a
// partial clone git would otherwise fetch missing objects with programs that the repository's
// configuration names.
func protocols(args []string) string {
	if args[0] == "clone" {
		return "file"
	}
	return "none"
}

// environment returns the variables for git: those of this process without most of git's own,
// and settings that keep git from waiting for the user, from locking and from fetching.
func environment(inherited []string) []string {
	env := slices.DeleteFunc(inherited, func(variable string) bool {
		name, _, _ := strings.Cut(variable, "=")
		return strings.HasPrefix(name, "GIT_") && !slices.Contains(kept, name)
	})
	return append(env, "LC_ALL=C", "GIT_OPTIONAL_LOCKS=0", "GIT_NO_LAZY_FETCH=1", "GIT_TERMINAL_PROMPT=0")
}

// repository is a git work tree and a directory in it.
type repository struct {
	dir    string // the directory, absolute and without symlinks
	top    string // top-level directory of the work tree: dir or a parent of it
	prefix string // path of dir relative to top, with slashes and a trailing slash; empty at the top
	common string // git directory that all worktrees share
	config string // settings, as needed returns them
}

// discover finds the repository that contains dir. It returns errNoGit or errNoRepository if
// there is no usable repository.
func discover(ctx context.Context, dir string) (*repository, error) {
	if !mayBeRepository(dir) {
		return nil, errNoRepository
	}
	dir, err := filepath.Abs(dir)
	if err == nil {
		dir, err = filepath.EvalSymlinks(dir) // the top is found by going up
	}
	if err != nil {
		return nil, err
	}
	if err := waiting(dir); err != nil {
		return nil, err
	}
	out, err := git(ctx, dir, "rev-parse", "--is-inside-work-tree", "--show-cdup", "--git-common-dir")
	if err != nil {
		return nil, err
	}
	// Only the last line is a path, which may contain line feeds.
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

// gitPlace returns dir or its nearest parent with a .git, where git finds a repository. It
// returns "" if there is no such directory, as in a bare repository.
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

// waiting returns an error if git would block on a file of the work tree, such as a named
// pipe, that it reads in every command. Git may still block on other files until the context
// ends.
func waiting(dir string) error {
	if dir = gitPlace(dir); dir == "" {
		return nil
	}
	for _, name := range []string{
		".git", ".gitignore", ".gitattributes", ".gitmodules", ".git/HEAD", ".git/config", ".git/config.worktree",
		".git/commondir", ".git/index",
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

// mayBeRepository reports whether git could find a repository from a directory. Starting git
// costs more than this check. The directory itself may be a bare repository.
func mayBeRepository(dir string) bool {
	dir, err := filepath.Abs(dir)
	if err == nil {
		dir, err = filepath.EvalSymlinks(dir)
	}
	if err != nil || exists(filepath.Join(dir, "HEAD")) {
		return true // git reports the problem
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

// exists reports whether a file or a symlink exists.
func exists(name string) bool {
	_, err := os.Lstat(name)
	return err == nil
}

// all opens the source in mode All.
func (r *repository) all(ctx context.Context) (*Source, error) {
	s := &Source{Dir: r.dir, Mode: All, Extra: r.extra(), Git: r.version(ctx)}
	return s, r.likeClone(ctx, s, 0)
}

// version returns the version of the work tree.
func (r *repository) version(ctx context.Context) *Git {
	// Both commands fail before the first commit, or if HEAD is detached.
	id, _ := git(ctx, r.dir, "rev-parse", "--verify", "--quiet", "HEAD")
	head, _ := git(ctx, r.dir, "symbolic-ref", "--quiet", "HEAD")
	g := &Git{Commit: strings.TrimSpace(id), Branch: branch(head)}
	g.Remote = r.remote(g.Branch)
	if r.prefix != "" {
		g.Top = r.top
	}
	return g
}

// branch returns the name of a branch from its full ref, or "".
func branch(ref string) string {
	name, is := strings.CutPrefix(strings.TrimSpace(ref), "refs/heads/")
	if !is {
		return ""
	}
	return name
}

// extra returns the directories outside the work tree that its .git refers to.
func (r *repository) extra() []Extra {
	info, err := os.Lstat(filepath.Join(r.dir, ".git"))
	if r.prefix != "" || err != nil {
		return nil
	}
	var extra []Extra
	if info.Mode().IsRegular() {
		extra = append(extra, Extra{Host: r.common, Path: r.common})
	}
	const maxSize = 1 << 20 // bytes
	alternates, _ := regular.Read(filepath.Join(r.common, "objects", "info", "alternates"), maxSize)
	for line := range strings.Lines(string(alternates)) {
		if dir := strings.TrimSuffix(line, "\n"); filepath.IsAbs(dir) && isObjectStore(dir) {
			dir = filepath.Clean(dir)
			extra = append(extra, Extra{Host: dir, Path: dir})
		}
	}
	return extra
}

// isObjectStore reports whether a directory holds the objects of a git repository. The file
// that names it may have been part of a downloaded source, and the build gets access to the
// directory, so nothing else is accepted.
func isObjectStore(dir string) bool {
	dir, err := filepath.EvalSymlinks(dir)
	if err != nil || filepath.Base(dir) != "objects" {
		return false
	}
	head, err := os.Lstat(filepath.Join(filepath.Dir(dir), "HEAD"))
	refs, refsErr := os.Lstat(filepath.Join(filepath.Dir(dir), "refs"))
	return err == nil && refsErr == nil && !head.IsDir() && refs.IsDir()
}

// remote returns the URL of the remote origin, or else of the branch's remote, or else of the
// only remote, without credentials.
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
