package source

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// State is the relation of a file to git.
type State int

// The states of a file.
const (
	Outside     State = iota // not in a repository, or git is not installed
	IgnoredFile              // git ignores the file
	Untracked                // not in the repository, but git add . would add it
	Tracked                  // in the repository
)

// StateOf returns the State of an existing file.
func StateOf(ctx context.Context, file string) (State, error) {
	dir, base := filepath.Split(file)
	if dir == "" {
		dir = "."
	}
	_, err := discover(ctx, dir)
	if errors.Is(err, errNoRepository) || errors.Is(err, errNoGit) {
		return Outside, nil
	}
	if err != nil {
		return Outside, err
	}
	tracked, err := git(ctx, dir, "ls-files", "-z", "--", ":(literal)"+base)
	if err != nil || tracked != "" {
		return Tracked, err
	}
	others, err := git(ctx, dir, "ls-files", "-z", "--others", "--exclude-standard", "--", ":(literal)"+base)
	if err != nil || others != "" {
		return Untracked, err
	}
	return IgnoredFile, nil
}

// maxCredentialTime limits the time that the user's credential helpers have for an answer.
const maxCredentialTime = time.Minute

// Credentials answers git's request for the credentials of an https host, in the format of
// git-credential, with the user's own helpers. Git runs outside of the source, whose
// configuration can name commands, and never prompts the user. The answer contains only a user
// name and a password. An error means that there are no credentials; it never contains any.
func Credentials(ctx context.Context, question string) (string, error) {
	asked := attributes(question)
	if asked["protocol"] != "https" || asked["host"] == "" || strings.ContainsRune(question, 0) {
		return "", errors.New("git in the build asked for something other than the credentials of an https host")
	}
	ctx, cancel := context.WithTimeout(ctx, maxCredentialTime)
	defer cancel()
	cmd := exec.CommandContext(ctx, "git", "-C", string(filepath.Separator), "credential", "fill")
	cmd.Env = append(environment(cmd.Environ()), "GIT_ASKPASS=false", "SSH_ASKPASS=false", "GCM_INTERACTIVE=never",
		"GIT_DIR="+os.DevNull)
	cmd.Stdin = strings.NewReader(lines(asked, "protocol", "host", "path", "username") + "\n")
	cmd.WaitDelay = time.Second
	printed, err := cmd.Output()
	answer := attributes(string(printed))
	if err != nil || answer["password"] == "" {
		return "", fmt.Errorf("git on this host has no credentials for https://%s (git credential fill)", asked["host"])
	}
	return lines(answer, "protocol", "host", "username", "password"), nil
}

// attributes parses the NAME=VALUE lines of git-credential. If a name repeats, the last wins.
func attributes(text string) map[string]string {
	all := map[string]string{}
	for line := range strings.Lines(text) {
		if name, value, found := strings.Cut(strings.TrimRight(line, "\r\n"), "="); found {
			all[name] = value
		}
	}
	return all
}

// lines formats the attributes with the given names for git-credential.
func lines(all map[string]string, names ...string) string {
	var b strings.Builder
	for _, name := range names {
		if value, given := all[name]; given {
			b.WriteString(name + "=" + value + "\n")
		}
	}
	return b.String()
}

// Change is the last commit that changed a file.
type Change struct {
	Commit string    // abbreviated ID
	Author string    // name, without the email address
	Time   time.Time // commit time
}

// LastChange returns the last commit that changed a file, according to the repository. It
// returns nil if there is no such commit, or if the file differs from it. It runs no filters and verifies
// no signatures, because the repository's configuration may be part of a downloaded source.
func LastChange(ctx context.Context, file string) *Change {
	dir, base := filepath.Split(file)
	if _, err := discover(ctx, dir); err != nil {
		return nil
	}
	committed, err1 := git(ctx, dir, "rev-parse", "--verify", "--quiet", "HEAD:./"+base)
	current, err2 := git(ctx, dir, "hash-object", "--no-filters", "--", base)
	if err1 != nil || err2 != nil || committed != current {
		return nil
	}
	out, err := git(ctx, dir, "log", "-1", "--no-show-signature", "--format=%h%x00%an%x00%ct", "--", ":(literal)"+base)
	parts := strings.Split(strings.TrimSuffix(out, "\n"), "\x00")
	const fields = 3
	if err != nil || len(parts) != fields {
		return nil
	}
	seconds, err := strconv.ParseInt(parts[2], 10, 64)
	if err != nil {
		return nil
	}
	return &Change{parts[0], parts[1], time.Unix(seconds, 0)}
}
