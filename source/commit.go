package source

import (
	"context"
	"fmt"
	"os"
	"path"
	"path/filepath"
	"strings"
)

// commit opens the source in mode Commit.
func (r *repository) commit(ctx context.Context, o Options) (*Source, error) {
	ref := o.Ref
	if ref == "" {
		ref = "HEAD"
	}
	id, err := r.resolve(ctx, ref)
	if err != nil {
		return nil, err
	}
	full, _ := git(ctx, r.dir, "rev-parse", "--symbolic-full-name", ref) // fails for a commit ID, which has no branch
	version := &Git{Commit: id, Branch: branch(full)}
	version.Remote = r.remote(version.Branch)
	top, err := makeTemp(o.Temp)
	if err != nil {
		return nil, fmt.Errorf("check out %s: %w", ref, err)
	}
	dir, err := r.checkout(ctx, top, version, ref)
	if err == nil && o.Submodules {
		err = r.cloneSubmodules(ctx, top, "", 0)
	}
	if err == nil && o.Depth > 0 && o.Depth <= maxDepthOfClone {
		err = r.cutHistory(ctx, top, id, o.Depth)
	}
	if err != nil {
		os.RemoveAll(top)
		return nil, err
	}
	return &Source{Dir: dir, Mode: Commit, Git: version, compared: true}, nil
}

// resolve returns the full ID of the commit that ref names. A ref that git would parse as an
// option or a range is rejected.
func (r *repository) resolve(ctx context.Context, ref string) (string, error) {
	err := fmt.Errorf("%q is an option or a range", ref)
	if !strings.HasPrefix(ref, "-") && !strings.HasPrefix(ref, "^") {
		var id string
		if id, err = git(ctx, r.dir, "rev-parse", "--verify", "--quiet", ref+"^{commit}"); err == nil {
			return strings.TrimSpace(id), nil
		}
	}
	return "", &Error{
		fmt.Sprintf("no commit %q in %s", ref, r.top),
		"Use a branch, tag or commit ID: `git branch --all` and `git tag` list them, `git fetch` updates them.", err,
	}
}

// makeTemp creates a directory that other users can read, because a build may run as one.
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

// checkout clones the repository to top and checks out the version. It returns the directory
// of the clone that corresponds to r.dir.
func (r *repository) checkout(ctx context.Context, top string, version *Git, ref string) (string, error) {
	if err := r.clone(ctx, top); err != nil {
		return "", fmt.Errorf("clone %s: %w", r.top, err)
	}
	// Line endings are those of the commit, whatever the host's configuration. Several
	// workers make the checkout several times faster.
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
			"Use a commit that has it, or another source directory.", err,
		}
	}
	return dir, nil
}

// clone makes a clone that does not depend on the repository. Git links or copies the objects.
// It refuses to if there are symlinks among them; then they are transferred.
func (r *repository) clone(ctx context.Context, top string) error {
	args := []string{
		"clone", "--quiet", "--no-checkout", "--dissociate", "--no-reject-shallow", "--template=", "--origin=origin",
		// A shell runs this program, without the settings of this process.
		"--upload-pack=git -c 'safe.directory=*' upload-pack",
	}
	if _, err := git(ctx, r.top, append(args, r.top, top)...); err == nil || ctx.Err() != nil {
		return err
	}
	_, err := git(ctx, r.top, append(args, "--no-local", r.top, top)...)
	return err
}

// cutHistory makes a clone shallow.
func (r *repository) cutHistory(ctx context.Context, top, commit string, depth int) error {
	cut, err := r.boundary(ctx, commit, depth)
	if err != nil || len(cut) == 0 {
		return err
	}
	return os.WriteFile(filepath.Join(top, ".git", "shallow"), []byte(strings.Join(cut, "\n")+"\n"), 0o644)
}

// maxDepth limits the nesting of submodules.
const maxDepth = 8

// cloneSubmodules clones the submodules of a clone at top from those that are checked out in this
// repository, and the submodules of these. Their commits are those that the clone names. The prefix is
// the name of this repository in the outermost one.
func (r *repository) cloneSubmodules(ctx context.Context, top, prefix string, depth int) error {
	if depth == maxDepth || !exists(filepath.Join(top, ".gitmodules")) {
		return nil
	}
	links, err := gitlinks(ctx, top)
	if err != nil {
		return err
	}
	var missing []string
	for _, link := range links {
		name := path.Join(prefix, link.name)
		sub, err := discover(ctx, filepath.Join(r.top, filepath.FromSlash(link.name)))
		if err == nil && sub.top != r.top {
			_, err = git(ctx, sub.top, "cat-file", "-e", link.commit+"^{commit}")
		}
		if err != nil || sub.top == r.top {
			missing = append(missing, name)
			continue
		}
		target := filepath.Join(top, filepath.FromSlash(link.name))
		version := &Git{Commit: link.commit, Remote: sub.remote("")}
		if _, err = sub.checkout(ctx, target, version, link.commit); err == nil {
			err = sub.cloneSubmodules(ctx, target, name, depth+1)
		}
		if err != nil {
			return err
		}
	}
	return missingSubmodules(missing)
}
