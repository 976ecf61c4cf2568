package source

import (
	"regexp"
	"strings"
	"sync"
)

// RepoPath returns the path a git remote has below GOPATH/src, such as
// "github.com/org/repo", or "" for a remote that has none: a local path, or
// one with parts that do not belong into a path.
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

// pathPart is what Go allows between the slashes of a module path, unless it
// looks like an option.
var pathPart = sync.OnceValue(func() *regexp.Regexp {
	return regexp.MustCompile(`^[A-Za-z0-9_~.][A-Za-z0-9_~.-]*$`)
})

var schemes = map[string]bool{
	"https": true, "http": true, "ssh": true, "git": true,
	"git+ssh": true, "ssh+git": true, "git+https": true, "git+http": true,
}

// split returns the host of a remote, in lower case and without user and port,
// and the name of the repository there; or nothing when there is no host.
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
	case !isURL: // user@host:name, as scp has it
		host, name, _ = strings.Cut(remote, ":")
		host = host[strings.LastIndex(host, "@")+1:]
		if len(host) == 1 { // C:\repo
			return "", ""
		}
	}
	return strings.ToLower(host), name
}

// withoutCredentials removes user and password from a URL. With ssh the user
// is part of the address, and only a password goes.
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
