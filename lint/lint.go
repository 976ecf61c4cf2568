// Package lint reports constructs that CodeBuild accepts silently but that are probably
// mistakes, and conflicts of a buildspec with the project, the image and the source.
//
// Check runs all checks of the package on a buildspec that package buildspec has parsed.
// Each check is a method of checker in a table with its name, severity and summary, which
// docs/checks.md documents with an example. A check reports a problem only if it is likely
// to be a mistake: a false positive costs a user more than a missed mistake. For the same
// reason, a check whose input is unknown (no project, no image, no source) reports nothing.
//
// The package runs no commands and needs no engine or network.
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

// Input is a buildspec and the facts to check it against. Unknown facts have their zero
// value, and nothing is checked against them.
type Input struct {
	Spec *buildspec.Buildspec

	Project     *project.Project // nil without a project document
	ProjectFile string           // name of the document, for messages
	Privileged  bool             // the build runs in privileged mode
	Variables   []string         // names that the project's overrides set: -e and --env-file

	Image        string         // image of the build, as configured
	Runtimes     runtimes.Table // runtimes of the image; empty if unknown
	RuntimesFrom string         // source of that knowledge, for messages
	NoRuntimes   bool           // the image is available and is known to have no runtimes
	Exact        bool           // Runtimes was read from the image rather than from a built-in table

	// ImageVariables returns the names of the variables that the image sets. It is called at most
	// once, and only if that matters. nil means that they are unknown.
	ImageVariables func() []string

	Source   fs.FS // source directory; nil if unknown
	ExecBits bool  // the file modes in Source are reliable, unlike on Windows
}

// check is a check with the method that runs it. The method reports with checker.say. A method
// rather than a function of the input, because most checks need the parsed scripts and the list of
// problems.
type check struct {
	diag.Check
	run func(*checker)
}

// checks returns all checks, in the order of docs/checks.md.
func checks() []check {
	return slices.Concat(batchChecks, secretChecks, projectChecks, imageChecks, commandChecks, sourceChecks)
}

// Checks describes the checks of this package.
func Checks() []diag.Check {
	var all []diag.Check
	for _, c := range checks() {
		all = append(all, c.Check)
	}
	return append(all, ignoreCheck)
}

// All describes all checks of a buildspec: those of the parser and those of this package.
func All() []diag.Check { return append(slices.Clone(buildspec.Checks), Checks()...) }

// Check runs all checks. It returns found, the problems of the parser, together with its
// own, sorted by position, without those that the author ignores in a comment or by a name
// in ignore. Credentials are masked in all texts of the result.
func Check(in Input, found diag.List, ignore []string) diag.List {
	c := &checker{Input: in, found: found}
	c.prepare()
	for _, check := range checks() {
		// say takes the name and severity from here, so that a check cannot report under another name.
		c.check = check.Check
		check.run(c)
	}
	if c.suppressed > 0 {
		c.problems = append(c.problems, diag.Problem{
			Severity: diag.Warning, Name: buildspec.TooLarge, File: in.Spec.File, Line: len(in.Spec.Lines()),
			Message: fmt.Sprintf("%d more problems are not shown", c.suppressed),
		})
	}
	// Ignoring and masking apply to the problems of the parser too, so they come last.
	all := append(slices.Clone(found), c.problems...)
	all.Sort()
	return c.masked(c.ignored(all, ignore))
}

// fixing are the checks whose problems have fixes. They need nothing but the buildspec.
var fixing = []string{unknownShell}

// CheckText returns the problems of the parser and those of this package that have fixes, without
// those that the author ignores. It is fast, because a fix is followed by another check.
func CheckText(spec *buildspec.Buildspec, found diag.List, ignore []string) diag.List {
	c := &checker{Input: Input{Spec: spec}, found: found}
	for _, check := range checks() {
		if slices.Contains(fixing, check.Name) {
			c.check = check.Check
			check.run(c)
		}
	}
	all := append(slices.Clone(found), c.problems...)
	all.Sort()
	return Kept(spec, all, ignore)
}

// checker is the state of one call of Check.
type checker struct {
	Input
	check      diag.Check // the check that is running
	scripts    []*script  // all commands, in file order
	windows    bool       // the commands are not for a POSIX shell
	found      diag.List  // problems of the parser
	suppressed int        // number of problems beyond maxProblems
	secrets    []string   // credentials in the buildspec, to be masked
	problems   diag.List
	demanded   bool // unsetUses includes expansions that fail on purpose
}

// maxProblems limits the problems that are reported for one file. A generated buildspec can repeat
// one mistake in each of its thousands of commands.
const maxProblems = 500

// say reports a problem of the running check. The caller may change the returned problem,
// for example its hint or its severity.
func (c *checker) say(p diag.Problem, message string) *diag.Problem {
	if len(c.problems) >= maxProblems {
		c.suppressed++
		return &diag.Problem{}
	}
	p.Name, p.Severity, p.Message = c.check.Name, c.check.Severity, message
	c.problems = append(c.problems, p)
	return &c.problems[len(c.problems)-1]
}

// sayOnce is say, unless the check has reported a problem at the same position. Two commands in one
// line of YAML have the same position.
func (c *checker) sayOnce(p diag.Problem, message, hint string) {
	if !slices.ContainsFunc(c.problems, func(old diag.Problem) bool {
		return old.Name == c.check.Name && old.Line == p.Line && old.Column == p.Column
	}) {
		c.say(p, message).Hint = hint
	}
}
