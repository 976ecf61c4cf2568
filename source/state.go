package source

import (
	"context"
	"errors"
	"fmt"
	"os/exec"
	"path/filepath"
	"slices"
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

// Credentials answers a question of git for credentials, in the form of
// git-credential, as git in dir answers it with the user's own helpers. Nobody is
// asked at a terminal. The error says that there are none, and never repeats an
// answer.
func Credentials(ctx context.Context, dir, question string) (string, error) {
	lines := strings.Split(strings.TrimRight(question, "\n"), "\n")
	host := ""
	for _, line := range lines {
		if name, value, _ := strings.Cut(line, "="); name == "host" {
			host = value
		}
	}
	if !slices.Contains(lines, "protocol=https") || host == "" {
		return "", errors.New("git in the build asks for something else than the credentials of an https host")
	}
	cmd := exec.CommandContext(ctx, "git", "-C", dir, "credential", "fill")
	cmd.Env = append(environment(cmd.Environ()), "GIT_ASKPASS=false", "SSH_ASKPASS=false")
	cmd.Stdin = strings.NewReader(strings.Join(lines, "\n") + "\n\n")
	cmd.WaitDelay = time.Second
	answer, err := cmd.Output()
	if err != nil || !strings.Contains(string(answer), "\npassword=") {
		return "", fmt.Errorf("git on this machine has no credentials for https://%s (git credential fill)", host)
	}
	return string(answer), nil
}
