package running

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/buildlocal/buildlocal/builds"
	"github.com/buildlocal/buildlocal/cmd/cli"
	"github.com/buildlocal/buildlocal/internal/human"
	"github.com/buildlocal/buildlocal/local"
)

// candidate is a build that a command can act on.
type candidate struct {
	name   string // such as 12-1a2b3c4d
	source string // its directory, for the user
}

// names are the builds that a user has named.
type names struct {
	typed   []string
	known   []candidate
	here    []builds.Build          // of the source in the current directory
	unknown func(name string) error // the error for a name that is not known
	nothing string                  // says that nothing was done, such as "nothing removed"
	command string                  // without the names, for the user
}

// buildsHere returns the builds of the source in the current directory.
func buildsHere(ctx context.Context) []builds.Build {
	store, err := local.OpenBuilds(ctx, local.New("."))
	if err != nil {
		return nil // there is no output directory
	}
	return store.All()
}

// full returns the full names. A wrong name is an error, because the others may be a mistake too.
// All mistakes are reported at once, with the command for the names that are right.
func (n names) full() ([]string, error) {
	var full, right []string
	var errs []error
	for _, typed := range n.typed {
		name, err := n.one(typed)
		if err != nil {
			errs = append(errs, err)
			continue
		}
		full, right = append(full, name), append(right, typed)
	}
	if len(errs) == 0 {
		return full, nil
	}
	switch {
	case len(right) > 0:
		for i, name := range right {
			right[i] = human.ShellWord(name)
		}
		errs = append(errs, cli.Usagef("%s\nwithout the wrong names: %s %s", n.nothing, n.command, strings.Join(right, " ")))
	case len(errs) > 1:
		errs = append(errs, cli.Usagef("%s", n.nothing))
	}
	return nil, cli.JoinErrors(errs)
}

// one returns the full name of the build that is meant by a name or a number. Every source counts
// its builds from 1, so a number is that of a build in the current directory. In a directory without
// builds, it can be that of any source.
func (n names) one(typed string) (string, error) {
	number, err := strconv.Atoi(strings.TrimPrefix(typed, "#"))
	if isNumber := err == nil; isNumber && len(n.here) > 0 {
		at := slices.IndexFunc(n.here, func(b builds.Build) bool { return b.Number == number })
		if at < 0 {
			return "", n.elsewhere(number)
		}
		typed = n.here[at].Name
	}
	found := n.named(typed)
	switch len(found) {
	case 0:
		return "", n.unknown(typed)
	case 1:
		return found[0].name, nil
	}
	return "", cli.Usagef("%d builds have the number %s:%s\nuse one of these names", len(found),
		strings.TrimPrefix(typed, "#"), rows(found))
}

// elsewhere returns the error for a number that the source in the current directory does not have.
func (n names) elsewhere(number int) error {
	text := fmt.Sprintf("this source has no build %d", number)
	if found := n.named(strconv.Itoa(number)); len(found) > 0 {
		return cli.Usagef("%s; others have:%s\nuse the name of a build of another source", text, rows(found))
	}
	return cli.Usagef("%s\nname a build of another source as buildlocal ps lists it", text)
}

// named returns the known builds with a name or a number.
func (n names) named(name string) []candidate {
	var found []candidate
	for _, c := range n.known {
		isKnown := slices.ContainsFunc(found, func(f candidate) bool { return f.name == c.name })
		if isNamed([]string{name}, c.name) && !isKnown {
			found = append(found, c)
		}
	}
	slices.SortFunc(found, func(a, b candidate) int { return strings.Compare(a.name, b.name) })
	return found
}

// rows returns a line for each build, with its source.
func rows(found []candidate) string {
	widest := 0
	for _, c := range found {
		widest = max(widest, len(c.name))
	}
	var b strings.Builder
	for _, c := range found {
		fmt.Fprintf(&b, "\n  %-*s   %s", widest, c.name, c.source)
	}
	return b.String()
}

// isNamed reports whether one of the names is that of a build, such as 12-1a2b3c4d, or its
// number.
func isNamed(names []string, build string) bool {
	number, _, _ := strings.Cut(build, "-")
	return slices.ContainsFunc(names, func(name string) bool {
		return name == build || strings.TrimPrefix(name, "#") == number
	})
}
