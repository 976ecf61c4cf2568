package source

import (
	"context"
	"errors"
	"os/exec"
	"path/filepath"
	"strings"
)

// nothing is an environment variable with an empty value. Git options can refer to it for
// settings whose names contain "=", which -c cannot set.
const nothing = "BUILDLOCAL_NOTHING"

// needed returns the settings of a repository that this package uses. Each is NAME, a line
// feed, VALUE and a zero byte.
func needed(ctx context.Context, dir string) (string, error) {
	out, err := git(ctx, dir, "config", "-z", "--get-regexp", `^(remote\..*\.url|branch\..*\.remote|filter\..*)$`)
	var exit *exec.ExitError
	if errors.As(err, &exit) && exit.ExitCode() == 1 { // there is no such setting
		return "", nil
	}
	return out, err
}

// harmless returns options, before and after the name of the command, that keep git status
// from running commands of the repository's configuration, which may have been part of a
// downloaded source. Submodules are compared by their commits only: for more, git status would
// start another git in each, with that submodule's configuration.
func (r *repository) harmless() (before, after []string) {
	return withoutFilters(filtersOf(r.config)), []string{"--ignore-submodules=dirty"}
}

// maxDepth limits the nesting of submodules.
const maxDepth = 8

// dirtySubmodule reports whether the files of a submodule differ from its commit. Each
// submodule is examined as a separate repository. Errors count as not dirty.
func (r *repository) dirtySubmodule(ctx context.Context, depth int) bool {
	if depth == maxDepth || !exists(filepath.Join(r.top, ".gitmodules")) {
		return false
	}
	links, err := gitlinks(ctx, r.top)
	if err != nil {
		return false
	}
	for _, link := range links {
		dir := filepath.Join(r.top, filepath.FromSlash(link.name))
		if !exists(filepath.Join(dir, ".git")) {
			continue
		}
		sub, err := discover(ctx, dir)
		if err != nil {
			continue
		}
		if changed, err := sub.changed(ctx, nil); err == nil && changed || sub.dirtySubmodule(ctx, depth+1) {
			return true
		}
	}
	return false
}

// filtersOf returns the names of the filters in the output of needed.
func filtersOf(settings string) []string {
	var names []string
	for setting := range strings.SplitSeq(settings, "\x00") {
		key, _, _ := strings.Cut(setting, "\n")
		rest, found := strings.CutPrefix(key, "filter.")
		if end := strings.LastIndex(rest, "."); found && end >= 0 {
			names = append(names, rest[:end])
		}
	}
	return names
}

// withoutFilters returns options that remove the commands of filters.
func withoutFilters(names []string) []string {
	var options []string
	for _, name := range names {
		for _, key := range []string{"clean", "smudge", "process", "required"} {
			if strings.Contains(name, "=") {
				options = append(options, "--config-env=filter."+name+"."+key+"="+nothing)
				continue
			}
			options = append(options, "-c", "filter."+name+"."+key+"=")
		}
	}
	return options
}
