package cli

import (
	"crypto/rand"
	"path/filepath"
	"slices"
	"strings"

	"github.com/buildlocal/buildlocal/console"
)

// The values of --ci, besides the names of the CI systems that are known.
const (
	CIAuto = "auto"
	CIOff  = "off"
)

// CIModes are the values of --ci.
func CIModes() []string {
	return []string{CIAuto, CIOff, string(console.CIGitHub), string(console.CIGitLab)}
}

// inCI reports whether this is a job of a CI system. Most systems set CI; those that are named
// set a variable of their own, too.
func (a *App) inCI() bool {
	if a.CIMode == CIOff {
		return false
	}
	own := []string{"GITHUB_ACTIONS", "GITLAB_CI", "BUILDKITE", "CIRCLECI", "TF_BUILD"}
	return a.Env("CI") != "" && a.Env("CI") != "false" || a.CIMode != "" && a.CIMode != CIAuto ||
		slices.ContainsFunc(own, func(name string) bool { return a.Env(name) != "" })
}

// ciKind returns the CI system whose commands can be written. The program act sets the variables
// of GitHub and shows the log on a terminal, so there it is text.
func (a *App) ciKind() console.CIKind {
	switch {
	case a.CIMode != "" && a.CIMode != CIAuto && a.CIMode != CIOff:
		return console.CIKind(a.CIMode)
	case a.CIMode == CIOff:
		return console.CINone
	case a.Env("GITHUB_ACTIONS") == "true" && a.Env("ACT") == "":
		return console.CIGitHub
	case a.Env("GITLAB_CI") == "true":
		return console.CIGitLab
	}
	return console.CINone
}

// CI returns the options of a build's output in a CI job. In every CI system the last line of a
// build is on the standard error.
func (a *App) CI() console.CI {
	if !a.inCI() {
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
