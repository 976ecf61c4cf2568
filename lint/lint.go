// Package lint finds what the service takes without a word and what is almost
// surely not meant, and what the project, the image and the source say against a
// buildspec.
package lint

import (
	"fmt"
	"io/fs"
	"slices"

	"github.com/buildlocal/buildlocal/buildspec"
	"github.com/buildlocal/buildlocal/internal/diag"
	"github.com/buildlocal/buildlocal/project"
	"github.com/buildlocal/buildlocal/runtimes"
)

// Input is what is checked, and against what. What is not known is left zero,
// and nothing is checked against it.
type Input struct {
	Spec *buildspec.Buildspec

	Project     *project.Project // nil where no project document is given
	ProjectFile string
	Privileged  bool // the build runs in privileged mode
	Run         bool // the build is to be run here, so that what is not said is known

	Image        string         // as configured
	Runtimes     runtimes.Table // what the image offers
	RuntimesFrom string         // where that is known from, for a message
	NoRuntimes   bool           // the image is here, and offers no runtimes
	Exact        bool           // Runtimes is the image's own table

	Source   fs.FS // the source's root
	ExecBits bool  // files of Source tell whether they can be executed
}

// check is one check and what carries it out.
type check struct {
	diag.Check
	run func(*checker)
}

// checks are all checks, in the order of the documentation.
func checks() []check {
	return slices.Concat(batchChecks, secretChecks, projectChecks, imageChecks, commandChecks, sourceChecks)
}

// Checks describes what Check finds.
func Checks() []diag.Check {
	var all []diag.Check
	for _, c := range checks() {
		all = append(all, c.Check)
	}
	return append(all, ignoreCheck)
}

// All describes all that can be found in a buildspec: what its reader finds, and
// what Check finds.
func All() []diag.Check { return append(slices.Clone(buildspec.Checks), Checks()...) }

// Check returns what is found in a buildspec that was read, sorted, and what its
// author ignores left out. Found is what the reader found.
func Check(in Input, found diag.List, ignore []string) diag.List {
	c := &checker{Input: in, found: found}
	c.prepare()
	for _, check := range checks() {
		c.check = check.Check
		check.run(c)
	}
	if c.untold > 0 {
		c.problems = append(c.problems, diag.Problem{
			Severity: diag.Warning, Name: buildspec.TooLarge, File: in.Spec.File, Line: len(in.Spec.Lines()), Message: fmt.Sprintf("%d more problems are not shown", c.untold),
		})
	}
	all := append(slices.Clone(found), c.problems...)
	all.Sort()
	return c.masked(c.ignored(all, ignore))
}

// checker carries out the checks.
type checker struct {
	Input
	check    diag.Check
	scripts  []*script
	windows  bool      // the commands are not for a POSIX shell
	found    diag.List // what the reader found
	untold   int       // problems beyond most
	secrets  []string  // credentials that stand in the buildspec
	problems diag.List
}

// most is how many problems are told of one file.
const most = 500

// say notes a problem, in the name and with the severity of the running check.
func (c *checker) say(p diag.Problem, message string) *diag.Problem {
	if len(c.problems) >= most {
		c.untold++
		return &diag.Problem{}
	}
	p.Name, p.Severity, p.Message = c.check.Name, c.check.Severity, message
	c.problems = append(c.problems, p)
	return &c.problems[len(c.problems)-1]
}

// sayOnce is say, unless the same was said of that place.
func (c *checker) sayOnce(p diag.Problem, message string) {
	if !slices.ContainsFunc(c.problems, func(old diag.Problem) bool {
		return old.Name == c.check.Name && old.Line == p.Line && old.Column == p.Column
	}) {
		c.say(p, message)
	}
}
