package cli

import (
	"crypto/rand"
	"path/filepath"
	"strings"

	"github.com/buildlocal/buildlocal/console"
	"github.com/buildlocal/buildlocal/internal/terminal"
)

// CIModes returns the values of --ci.
func CIModes() []string {
	return []string{terminal.Auto, terminal.Off, string(console.CIGitHub), string(console.CIGitLab)}
}

// ciKind returns the CI system whose commands can be written. The program act sets the variables
// of GitHub and shows the log on a terminal, so there it is text.
func (a *App) ciKind() console.CIKind {
	switch {
	case a.CIMode != "" && a.CIMode != terminal.Auto && a.CIMode != terminal.Off:
		return console.CIKind(a.CIMode)
	case a.CIMode == terminal.Off:
		return console.CINone
	case a.Env("GITHUB_ACTIONS") == "true" && a.Env("ACT") == "":
		return console.CIGitHub
	case a.Env("GITLAB_CI") == "true":
		return console.CIGitLab
	}
	return console.CINone
}

// InCI reports whether this is a CI system, where no person waits for a question.
func (a *App) InCI() bool { return a.terminal().InCI() }

// CI returns the options of a build's output in a CI job. In every CI system the last line of a
// build is on the standard error.
func (a *App) CI() console.CI {
	if !a.terminal().InCI() {
		return console.CI{}
	}
	kind := a.ciKind()
	c := console.CI{Kind: kind, Verdict: a.Raw.Err, Path: a.pathInJob}
	if kind == console.CIGitHub {
		c.Token = strings.ToLower(rand.Text())
	}
	return c
}

// GuardStderr keeps messages on the standard error from being commands of GitHub.
func (a *App) GuardStderr() {
	if a.ciKind() == console.CIGitHub {
		a.Stderr, a.Raw.Err = console.GuardGitHub(a.Stderr), console.GuardGitHub(a.Raw.Err)
	}
}

// pathInJob returns a file's path in the repository that the job has checked out, with slashes, or
// "" for a file outside of it.
func (a *App) pathInJob(file string) string {
	file, err := filepath.Abs(file)
	if err != nil {
		return ""
	}
	if root := a.Env("GITHUB_WORKSPACE"); root != "" {
		if file, err = filepath.Rel(root, file); err != nil || !filepath.IsLocal(file) {
			return ""
		}
	}
	return filepath.ToSlash(file)
}
