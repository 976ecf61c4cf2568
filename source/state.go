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

// State is what git has to do with a file.
type State int

// The states of a file.
const (
	Outside     State = iota // of any repository, or git is not here
	IgnoredFile              // git never gets it by itself
	Untracked                // git does not have it, and takes it with git add .
	Tracked                  // git has it
)

// StateOf returns what git has to do with a file that exists.
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

// patience is how long the user's helpers may take to answer.
const patience = time.Minute

// Credentials answers a question of git for the credentials of an https host, in the
// form of git-credential, as git answers it with the user's own helpers. It is asked
// outside the source, whose configuration may have come with it and can name commands.
// Nobody is asked at a terminal or in a window. Only a user's name and password are
// returned. The error says that there are none, and never repeats an answer.
func Credentials(ctx context.Context, question string) (string, error) {
	asked := attributes(question)
	if asked["protocol"] != "https" || asked["host"] == "" || strings.ContainsRune(question, 0) {
		return "", errors.New("git in the build asks for something else than the credentials of an https host")
	}
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	cmd := exec.CommandContext(ctx, "git", "-C", string(filepath.Separator), "credential", "fill")
	cmd.Env = append(environment(cmd.Environ()), "GIT_ASKPASS=false", "SSH_ASKPASS=false", "GCM_INTERACTIVE=never", "GIT_DIR="+os.DevNull)
	cmd.Stdin = strings.NewReader(lines(asked, "protocol", "host", "path", "username") + "\n")
	cmd.WaitDelay = time.Second
	printed, err := cmd.Output()
	answer := attributes(string(printed))
	if err != nil || answer["password"] == "" {
		return "", fmt.Errorf("git on this machine has no credentials for https://%s (git credential fill)", asked["host"])
	}
	return lines(answer, "protocol", "host", "username", "password"), nil
}

// attributes are the lines NAME=VALUE of git-credential; the last of a name counts.
func attributes(text string) map[string]string {
	all := map[string]string{}
	for line := range strings.Lines(text) {
		if name, value, found := strings.Cut(strings.TrimRight(line, "\r\n"), "="); found {
			all[name] = value
		}
	}
	return all
}

// lines are attributes as git-credential has them.
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
	Commit string // short id
	Author string // name
	Time   time.Time
}

// LastChange returns the last commit that changed a file, by the repository's own
// account; nil if there is none, or the file differs from it. No filter is run, and no
// signature checked: the repository's configuration may have come with the source.
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
