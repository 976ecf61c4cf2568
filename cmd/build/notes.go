package build

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/buildlocal/buildlocal/buildspec"
	"github.com/buildlocal/buildlocal/cmd/cli"
	"github.com/buildlocal/buildlocal/cmd/settings"
	"github.com/buildlocal/buildlocal/internal/diag"
	"github.com/buildlocal/buildlocal/internal/human"
	"github.com/buildlocal/buildlocal/local"
)

// warn prints problems that do not keep the build from running. Lints are only counted, because
// they would be the same in every run. With --quiet nothing is printed.
func warn(a *cli.App, o *Options, in *local.Inputs) {
	if o.Quiet {
		return
	}
	shown := in.Problems // Load has returned errors, so these are warnings and lints
	lints := diag.List{}
	if !o.Verbose {
		isLint := func(p diag.Problem) bool { return p.Severity == diag.Lint }
		shown = slices.DeleteFunc(slices.Clone(shown), isLint)
		lints = slices.DeleteFunc(slices.Clone(in.Problems), func(p diag.Problem) bool { return !isLint(p) })
	}
	screen := a.Messages()
	for _, p := range shown {
		screen.Problem(p)
	}
	if len(lints) > 0 {
		screen.Message(fmt.Sprintf("note: %s: %s", countLints(lints), o.validateCommand(in.Spec)))
	}
	if n := builds(in.Spec.Batch); n > 0 {
		screen.Message(fmt.Sprintf("note: batch: its %s not run, only the phases", areCounted(n)))
	}
}

// countLints counts lints by name, the first one first: 3 lints (2 unset-variable, not-privileged).
func countLints(lints diag.List) string {
	counts := map[string]int{}
	var names []string
	for _, p := range lints {
		if counts[p.Name]++; counts[p.Name] == 1 {
			names = append(names, p.Name)
		}
	}
	for i, name := range names {
		if n := counts[name]; n > 1 {
			names[i] = fmt.Sprintf("%d %s", n, name)
		}
	}
	return fmt.Sprintf("%s (%s)", human.Count(len(lints), "lint"), strings.Join(names, ", "))
}

// validateCommand returns the command that shows the lints of a build: it has the flags on which
// they depend, without variables that the buildspec does not use. Settings from variables and files
// apply to it anyway.
func (o *Options) validateCommand(spec *buildspec.Buildspec) string {
	used := func(variable string) bool {
		return slices.ContainsFunc(spec.Lines(), func(line string) bool { return strings.Contains(line, variable) })
	}
	command := []string{"buildlocal", "validate"}
	for _, name := range append(settings.CheckSettings(), "no-config") {
		if flag := o.Given(name); flag != nil {
			command = append(command, cli.FlagWords(flag, func(value string) (string, bool) {
				if name != "env" {
					return value, true
				}
				// The value may be secret, and no check depends on it.
				variable, _, _ := strings.Cut(value, "=")
				return variable + "=", used(variable)
			})...)
		}
	}
	return strings.Join(command, " ")
}

// builds returns the number of builds in a batch.
func builds(b *buildspec.Batch) int {
	switch {
	case b == nil:
		return 0
	case b.Matrix != nil:
		return b.Matrix.Size()
	case b.Fanout != nil:
		return b.Fanout.Parallelism
	}
	return cmp.Or(len(b.List), len(b.Graph))
}

// areCounted returns "1 build is" or "2 builds are".
func areCounted(n int) string {
	if n == 1 {
		return "1 build is"
	}
	return human.Count(n, "build") + " are"
}
