package source

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// commit is the source of Commit.
func (r *repository) commit(ctx context.Context, o Options) (*Source, error) {
	ref := o.Ref
	if ref == "" {
		ref = "HEAD"
	}
	id, err := r.resolve(ctx, ref)
	if err != nil {
		return nil, err
	}
	full, _ := git(ctx, r.dir, "rev-parse", "--symbolic-full-name", ref) // fails for what has no name
	version := &Git{Commit: id, Branch: branch(full)}
	version.Remote = r.remote(version.Branch)
	top, err := makeTemp(o.Temp)
	if err != nil {
		return nil, fmt.Errorf("check out %s: %w", ref, err)
	}
	dir, err := r.checkout(ctx, top, version, ref)
	if err != nil {
		os.RemoveAll(top)
		return nil, err
	}
	return &Source{Dir: dir, Mode: Commit, Git: version}, nil
}

// resolve returns the full id of the commit that ref names.
func (r *repository) resolve(ctx context.Context, ref string) (string, error) {
	err := fmt.Errorf("%q is an option or a range", ref)
	if !strings.HasPrefix(ref, "-") && !strings.HasPrefix(ref, "^") {
		var id string
		if id, err = git(ctx, r.dir, "rev-parse", "--verify", "--quiet", ref+"^{commit}"); err == nil {
			return strings.TrimSpace(id), nil
		}
	}
	return "", &Error{
		fmt.Sprintf("git knows no commit %q in %s", ref, r.top),
		"Name a branch, tag or commit; `git branch --all` and `git tag` list them, `git fetch` gets new ones.", err,
	}
}

// makeTemp makes a directory that others may read: a build need not be root.
func makeTemp(parent string) (string, error) {
	dir, err := os.MkdirTemp(parent, "source-")
	if err != nil {
		return "", err
	}
	if err := os.Chmod(dir, 0o755); err != nil {
		return "", err
	}
	if dir, err = filepath.Abs(dir); err != nil {
		return "", err
	}
	return filepath.EvalSymlinks(dir)
}

// checkout clones the repository to top, checks out the version, and returns
// the directory in it that r.dir is in the repository.
func (r *repository) checkout(ctx context.Context, top string, version *Git, ref string) (string, error) {
	if err := r.clone(ctx, top); err != nil {
		return "", fmt.Errorf("clone %s: %w", r.top, err)
	}
	// Line ends as in the commit, whatever the host likes; and files written
	// by several workers, which is several times faster.
	_, err := git(ctx, top, "-c", "core.autocrlf=false", "-c", "submodule.recurse=false", "-c", "checkout.workers=0",
		"checkout", "--quiet", "--detach", version.Commit)
	if err != nil {
		return "", fmt.Errorf("check out %s: %w", ref, err)
	}
	origin := []string{"remote", "set-url", "origin", version.Remote}
	if version.Remote == "" {
		origin = []string{"remote", "remove", "origin"}
	}
	if _, err := git(ctx, top, origin...); err != nil {
		return "", fmt.Errorf("check out %s: %w", ref, err)
	}
	dir := filepath.Join(top, filepath.FromSlash(r.prefix))
	if info, err := os.Lstat(dir); err != nil || !info.IsDir() {
		return "", &Error{
			fmt.Sprintf("commit %q of %s has no directory %s", ref, r.top, r.prefix),
			"Name a commit that has it, or another source directory.", err,
		}
	}
	return dir, nil
}

// clone makes a clone that works without the repository. Git links or copies
// its objects, unless it has symlinks among them: then it sends them.
func (r *repository) clone(ctx context.Context, top string) error {
	args := []string{
		"clone", "--quiet", "--no-checkout", "--dissociate", "--no-reject-shallow", "--template=", "--origin=origin",
		// Git hides its settings from this program, which a shell runs.
		"--upload-pack=git -c 'safe.directory=*' upload-pack",
	}
	if _, err := git(ctx, r.top, append(args, r.top, top)...); err == nil || ctx.Err() != nil {
		return err
	}
	_, err := git(ctx, r.top, append(args, "--no-local", r.top, top)...)
	return err
}
