package source

import (
	"regexp"
	"strings"
	"testing"
)

func TestRepoPath_GoImportPath(t *testing.T) {
	t.Parallel()
	for remote, want := range map[string]string{
		"https://github.com/org/repo.git":                 "github.com/org/repo",
		"https://github.com/org/repo":                     "github.com/org/repo",
		"https://github.com/org/repo/":                    "github.com/org/repo",
		"https://github.com/org/repo.git/":                "github.com/org/repo",
		"https://github.com/org/.github":                  "github.com/org/.github",
		"HTTPS://GitHub.com/Org/Repo.git":                 "github.com/Org/Repo",
		"https://me:secret@github.com/org/repo.git":       "github.com/org/repo",
		"https://me@x:se:cret@example.com:8443/org//repo": "example.com/org/repo",
		"git@github.com:org/repo.git":                     "github.com/org/repo",
		"github.com:org/repo":                             "github.com/org/repo",
		"git@gitlab.com:group/sub/repo.git":               "gitlab.com/group/sub/repo",
		"git@example.com:/srv/repo.git":                   "example.com/srv/repo",
		"ssh://git@host:22/org/repo":                      "host/org/repo",
		"ssh://git@github.com/org/repo.git":               "github.com/org/repo",
		"git+ssh://git@github.com/org/repo.git":           "github.com/org/repo",
		"git://git.example.com/~user/repo.git":            "git.example.com/~user/repo",

		"https://git-codecommit.us-east-1.amazonaws.com/v1/repos/x":    "git-codecommit.us-east-1.amazonaws.com/v1/repos/x",
		"ssh://APKA@git-codecommit.us-east-1.amazonaws.com/v1/repos/r": "git-codecommit.us-east-1.amazonaws.com/v1/repos/r",

		"codecommit::us-east-1://repo":         "git-codecommit.us-east-1.amazonaws.com/v1/repos/repo",
		"codecommit::eu-west-1://profile@repo": "git-codecommit.eu-west-1.amazonaws.com/v1/repos/repo",
	} {
		if got := RepoPath(remote); got != want {
			t.Errorf("%q: got %q, want %q", remote, got, want)
		}
	}
}

func TestRepoPath_NotARemote(t *testing.T) {
	t.Parallel()
	for _, remote := range []string{
		"", ".", "..", "/", ":", "://", "https://", "https:///org/repo", "https://github.com", "https://github.com/",
		"https://github.com/.git",
		"/srv/git/repo.git", "../repo", "./a:b/c", "repo", "dir/repo", "file:///srv/repo.git", "C:\\repo", "C:/repo",
		"https://github.com/../../etc", "https://github.com/org/./repo", "https://github.com/org/re..po", "git@host:../repo",
		"https://github.com/org/my repo", "https://github.com/org/my%20repo", "https://github.com/org/repo?token=x",
		"https://github.com/org/$(id)",
		"https://github.com/-o/repo", "-oProxyCommand:x/y", "ssh://-oProxyCommand/x", "https://[::1]/org/repo",
		"git@[::1]:org/repo",
		"https://github.com/org/r\x00", "https://github.com/örg/repo", "github.com:org\n/repo", "codecommit://repo",
		"codecommit::us-east-1://", "codecommit::a/b://repo",
		"ext::sh -c id", "s3://bucket/repo",
	} {
		if got := RepoPath(remote); got != "" {
			t.Errorf("%q: got %q, want nothing", remote, got)
		}
	}
}

func FuzzRepoPath(f *testing.F) {
	for _, remote := range []string{"https://me:p@host:1/a/b.git", "git@host:a/b", "ssh://h/a/../b",
		"codecommit::r://p@x", "C:\\x", "a:.git", "h:/.git/.git"} {
		f.Add(remote)
	}
	whole := regexp.MustCompile(`^[a-z0-9._~-]+(/[A-Za-z0-9._~-]+)+$`)
	f.Fuzz(func(t *testing.T, remote string) {
		got := RepoPath(remote)
		if got == "" {
			return
		}
		if !whole.MatchString(got) || strings.Contains(got, "..") || strings.Contains(got, "/-") ||
			strings.Contains(got+"/", "/./") {
			t.Errorf("%q: got %q", remote, got)
		}
	})
}

func TestRemote_WithoutCredentials(t *testing.T) {
	t.Parallel()
	for remote, want := range map[string]string{
		"https://me:secret@example.com/org/repo": "https://example.com/org/repo",
		"https://token@example.com/org/repo":     "https://example.com/org/repo",
		"https://a@b:se:cr@et@example.com":       "https://example.com",
		"https://me:%zz@example.com:8443/r":      "https://example.com:8443/r",
		"https://example.com/org/repo@v1":        "https://example.com/org/repo@v1",
		"https://example.com?x=a@b":              "https://example.com?x=a@b",
		"ssh://git@example.com:22/org/repo":      "ssh://git@example.com:22/org/repo",
		"ssh://git:secret@example.com/org/repo":  "ssh://git@example.com/org/repo",
		"ssh://:secret@example.com/org/repo":     "ssh://example.com/org/repo",
		"git+ssh://git:secret@example.com/r":     "git+ssh://git@example.com/r",
		"git@example.com:org/repo":               "git@example.com:org/repo",
		"/srv/git/repo":                          "/srv/git/repo",
		"codecommit::us-east-1://profile@repo":   "codecommit::us-east-1://repo",
		"":                                       "",
	} {
		if got := withoutCredentials(remote); got != want {
			t.Errorf("%q: got %q, want %q", remote, got, want)
		}
	}
}

func TestHTTPS_CloneURL(t *testing.T) {
	t.Parallel()
	const codeCommit = "git-codecommit.eu-west-1.amazonaws.com/v1/repos/repo"
	for remote, want := range map[string]string{
		"git@github.com:org/repo.git":           "https://github.com/org/repo.git",
		"ssh://git@GitHub.com:22/org/repo.git":  "https://github.com/org/repo.git",
		"git://example.com/org/repo":            "https://example.com/org/repo",
		"http://example.com/org/repo.git":       "https://example.com/org/repo.git",
		"https://example.com:8443/org/repo.git": "https://example.com:8443/org/repo.git",
		"gitlab.com:group/sub/repo.git":         "https://gitlab.com/group/sub/repo.git",
		"codecommit::eu-west-1://repo":          "https://" + codeCommit,
		"ssh://" + codeCommit:                   "https://" + codeCommit,
		"/srv/git/repo.git":                     "/srv/git/repo.git",
		"../repo":                               "../repo",
		"":                                      "",
	} {
		if got := HTTPS(remote); got != want {
			t.Errorf("%s: %s, want %s", remote, got, want)
		}
	}
}
