package settings

import (
	"fmt"
	"slices"
	"strings"

	"github.com/buildlocal/buildlocal/cmd/cli"
	"github.com/buildlocal/buildlocal/internal/diag"
	"github.com/buildlocal/buildlocal/local"
)

// hasRunFormat reports whether the command prints builds, whose formats have no levels.
func (f *Flags) hasRunFormat() bool {
	return slices.Contains(f.formats, "service") && len(f.formats) == 3
}

// warnUnknown warns of variables that look like settings and are not, such as BUILDLOCAL_ENGIN.
func (f *Flags) warnUnknown(a *cli.App) {
	var ours []string
	for _, name := range a.EnvNames() {
		isTest := slices.ContainsFunc(forTests, func(prefix string) bool { return strings.HasPrefix(name, prefix) })
		if strings.HasPrefix(name, VariablePrefix) && !isTest {
			ours = append(ours, name)
		}
	}
	if len(ours) == 0 {
		return // the usual case, without the names of all settings
	}
	known := []string{variableOf("no-config"), variableOf("source")}
	for _, key := range Keys() {
		known = append(known, variableOf(key))
	}
	for _, name := range ours {
		if !slices.Contains(known, name) {
			fmt.Fprintf(a.Stderr, "warning: %s is not a setting%s\n", name, diag.DidYouMean(name, known))
		}
	}
}

// forTests begin the names of variables for the tests of this program.
var forTests = []string{"BUILDLOCAL_REQUIRE_ENGINE", "BUILDLOCAL_TEST_", "BUILDLOCAL_SEEDS"}

// Origin returns the place that the value of a flag comes from: its kind, and its name for
// messages.
func (f *Flags) Origin(flag string) (kind local.Origin, text string) {
	return f.origins[flag].kind, f.origins[flag].text
}
