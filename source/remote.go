package source

import (
	"regexp"
	"strings"
	"sync"
)

// RepoPath returns the path of a git remote below GOPATH/src, such as "github.com/org/repo". It
// returns "" for a remote without one: a local path, or a URL with components that are not
// valid in a path.
func RepoPath(remote string) string {
	host, name := split(remote)
	if host == "" {
		return ""
	}
	parts := []string{host}
	for part := range strings.SplitSeq(strings.TrimSuffix(strings.TrimRight(name, "/"), ".git"), "/") {
		if part != "" {
			parts = append(parts, part)
		}
	}
	for _, part := range parts {
		if !pathPart().MatchString(part) || part == "." || strings.Contains(part, "..") {
			return ""
		}
	}
	if len(parts) < 2 {
		return ""
	}
	return strings.Join(parts, "/")
}

// pathPart matches a component of a Go module path that cannot be mistaken for an option.
var pathPart = sync.OnceValue(func() *regexp.Regexp {
	return regexp.MustCompile(`^[A-Za-z0-9_~.][A-Za-z0-9_~.-]*$`)
})

var schemes = map[string]bool{
	"https": true, "http": true, "ssh": true, "git": true,
	"git+ssh": true, "ssh+git": true, "git+https": true, "git+http": true,
}

// HTTPS returns the URL by which CodeBuild clones a repository: scripts cut it at "https://".
// A remote without a host, such as a local path, is returned as it is.
func HTTPS(remote string) string {
	scheme, _, isURL := strings.Cut(remote, "://")
	if isURL && strings.EqualFold(scheme, "https") {
		return remote
	}
	host, name := split(remote)
	name = strings.TrimLeft(name, "/")
	if host == "" || name == "" {
		return remote
	}
	return "https://" + host + "/" + name
}

// split returns the host of a remote, in lower case and without user and port, and the path of
// the repository on it. Both are empty if there is no host.
func split(remote string) (host, name string) {
	scheme, rest, isURL := strings.Cut(remote, "://")
	region, ofHelper := strings.CutPrefix(scheme, "codecommit::")
	switch {
	case isURL && ofHelper: // git-remote-codecommit: region, profile and repository
		name = rest[strings.LastIndex(rest, "@")+1:]
		if name == "" {
			return "", ""
		}
		return "git-codecommit." + region + ".amazonaws.com", "v1/repos/" + name
	case isURL && schemes[strings.ToLower(scheme)]:
		host, name, _ = strings.Cut(rest, "/")
		host = host[strings.LastIndex(host, "@")+1:]
		host, _, _ = strings.Cut(host, ":")
	case !isURL: // scp-like syntax: user@host:path
		host, name, _ = strings.Cut(remote, ":")
		host = host[strings.LastIndex(host, "@")+1:]
		if len(host) == 1 { // a Windows path, C:\repo
			return "", ""
		}
	}
	return strings.ToLower(host), name
}

// withoutCredentials removes the user and the password from a URL. In an ssh URL the user is
// part of the address, and only the password is removed.
func withoutCredentials(remote string) string {
	scheme, rest, isURL := strings.Cut(remote, "://")
	if !isURL {
		return remote
	}
	end := strings.IndexAny(rest, "/?#")
	if end < 0 {
		end = len(rest)
	}
	at := strings.LastIndex(rest[:end], "@")
	if at < 0 {
		return remote
	}
	user, _, _ := strings.Cut(rest[:at], ":")
	if strings.Contains(strings.ToLower(scheme), "ssh") && user != "" {
		return scheme + "://" + user + rest[at:]
	}
	return scheme + "://" + rest[at+1:]
}
