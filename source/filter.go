package source

import (
	"context"
	"errors"
	"os/exec"
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

// harmless returns options of git that keep it from running commands of the repository's
// configuration, which may have been part of a downloaded source.
func (r *repository) harmless() []string { return withoutFilters(filtersOf(r.config)) }

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
