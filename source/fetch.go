package source

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strings"
)

// FindCommit returns the top of the repository that contains dir, if it has a commit. The error is
// for a directory without a repository.
func FindCommit(ctx context.Context, dir, commit string) (top string, found bool, err error) {
	r, err := discover(ctx, dir)
	if err != nil {
		return "", false, err
	}
	if !commitID().MatchString(commit) {
		return r.top, false, nil
	}
	_, err = git(ctx, r.top, "cat-file", "-e", commit+"^{commit}")
	return r.top, err == nil, nil
}

// RemoteFor returns the name of the remote of the repository that contains dir with a URL, whatever
// its user and spelling; "" without one.
func RemoteFor(ctx context.Context, dir, url string) string {
	r, err := discover(ctx, dir)
	want := strings.ToLower(RepoPath(url))
	if err != nil || want == "" {
		return ""
	}
	for setting := range strings.SplitSeq(r.config, "\x00") {
		key, value, _ := strings.Cut(setting, "\n")
		name, isRemote := strings.CutPrefix(key, "remote.")
		name, isURL := strings.CutSuffix(name, ".url")
		if isRemote && isURL && strings.ToLower(RepoPath(value)) == want {
			return name
		}
	}
	return ""
}

// Fetch fetches a commit with its history into a repository of this program, which it creates. It
// accesses the network with the user's own configuration and credentials, and never prompts. The
// repository around a source is not used, because its configuration can name commands.
func Fetch(ctx context.Context, dir, url, commit string) error {
	if !commitID().MatchString(commit) {
		return fmt.Errorf("%q is not the ID of a commit", commit)
	}
	if RepoPath(url) == "" || strings.HasPrefix(url, "-") {
		return fmt.Errorf("%q is not the URL of a repository", url)
	}
	const mine = 0o700
	if err := os.MkdirAll(dir, mine); err != nil {
		return err
	}
	if err := online(ctx, dir, "init", "--quiet", "--template="); err != nil {
		return err
	}
	if _, err := git(ctx, dir, "cat-file", "-e", commit+"^{commit}"); err == nil {
		return nil // of an earlier fetch
	}
	fetch := []string{"fetch", "--quiet", "--no-tags", "--no-write-fetch-head", url}
	err := online(ctx, dir, append(fetch, "+"+commit+":refs/commits/"+commit)...)
	if err == nil || ctx.Err() != nil {
		return err
	}
	// Not all servers give commits by their ID; then a branch has to lead to it.
	if all := online(ctx, dir, append(fetch, "+refs/*:refs/remotes/origin/*")...); all != nil {
		return all
	}
	if _, missing := git(ctx, dir, "cat-file", "-e", commit+"^{commit}"); missing != nil {
		return errors.New("the repository no longer has this commit")
	}
	return nil
}

// online runs a git command that may access the network.
func online(ctx context.Context, dir string, args ...string) error {
	ctx, cancel := context.WithTimeoutCause(ctx, gitTime, errSlow)
	defer cancel()
	cmd := command(ctx, dir, args)
	cmd.Env = slices.DeleteFunc(cmd.Env, func(v string) bool { return strings.HasPrefix(v, "GIT_ALLOW_PROTOCOL=") })
	// A file is only reached by a rule of the user's own configuration: url.<base>.insteadOf.
	cmd.Env = append(cmd.Env, "GIT_ALLOW_PROTOCOL=https:http:ssh:git:file", "GIT_SSH_COMMAND=ssh -oBatchMode=yes")
	_, err := cmd.Output()
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		return gitError(ctx, err, string(exit.Stderr))
	}
	if err != nil {
		return gitError(ctx, err, "")
	}
	return nil
}
