package source

import (
	"context"
	"path/filepath"
	"strings"
)

// nothing is an empty environment variable, for settings whose names have a "=".
const nothing = "BUILDLOCAL_NOTHING"

// needed returns the settings of a repository that matter here, as NAME, a line feed,
// VALUE and a zero byte.
func needed(ctx context.Context, dir string) string {
	// It fails if there is no such setting.
	out, _ := git(ctx, dir, "config", "-z", "--get-regexp", `^(remote\..*\.url|branch\..*\.remote|filter\..*)$`)
	return out
}

// harmless returns options, before and after the name of the command, that keep git
// status from running commands of the repository's configuration, which may have come
// with the source.
func (r *repository) harmless(ctx context.Context) (before, after []string) {
	filters := filtersOf(r.config)
	if !exists(filepath.Join(r.top, ".gitmodules")) {
		return withoutFilters(filters), []string{"--ignore-submodules=dirty"} // git status runs in those it looks into
	}
	for _, dir := range r.submodules(ctx, r.top, 0) {
		filters = append(filters, filtersOf(needed(ctx, dir))...)
	}
	return withoutFilters(filters), nil
}

// maxDepth is how deep submodules of submodules are looked for.
const maxDepth = 8

// submodules returns the directories of a repository's submodules, and of theirs.
func (r *repository) submodules(ctx context.Context, top string, depth int) []string {
	out, err := git(ctx, top, "ls-files", "-z", "--stage")
	if err != nil || depth == maxDepth {
		return nil
	}
	var all []string
	for entry := range strings.SplitSeq(out, "\x00") {
		about, name, _ := strings.Cut(entry, "\t")
		if dir := filepath.Join(top, filepath.FromSlash(name)); strings.HasPrefix(about, "160000 ") && exists(filepath.Join(dir, ".git")) {
			all = append(append(all, dir), r.submodules(ctx, dir, depth+1)...)
		}
	}
	return all
}

// filtersOf returns the names of the filters in settings.
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

// withoutFilters returns options that leave no command to filters.
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
