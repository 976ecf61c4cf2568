package lint

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"mvdan.cc/sh/v3/syntax"

	"github.com/buildlocal/buildlocal/buildspec"
	"github.com/buildlocal/buildlocal/internal/diag"
)

// UnsetVariable is the name of the check for variables that nothing sets.
const UnsetVariable = "unset-variable"

// UnsetHint is the next step for a variable that nothing sets.
const UnsetHint = "-e NAME=VALUE, --env-file or --project"

// unsetUse is the use of a variable that nothing has set before.
type unsetUse struct {
	name    string
	problem diag.Problem // the position of the use
	command *script      // nil for a text that is not a command
	strict  bool         // set -u makes it an error
}

// unsetVariables reports the first use of each variable that nothing sets.
func (c *checker) unsetVariables() {
	uses, setAt := c.unsetUses()
	reported := map[string]bool{}
	for _, use := range uses {
		if reported[use.name] {
			continue
		}
		reported[use.name] = true
		message, hint := use.name+" is not set", UnsetHint
		if use.strict {
			message += ", and set -u makes that an error"
		}
		if line := setAt[use.name]; line > 0 {
			message, hint = use.name+" is not set yet", fmt.Sprintf("set it earlier: line %d does, after this command", line)
		}
		c.say(use.problem, message).Hint = hint
	}
}

// Unset returns the variables that each command uses although nothing sets them, in the order of
// their uses. The key is the first line of the command. Unlike the check, it includes expansions
// such as ${NAME:?} that fail on purpose.
func Unset(in Input) map[int][]string {
	c := &checker{Input: in}
	c.prepare()
	c.demanded = true
	uses, _ := c.unsetUses()
	all := map[int][]string{}
	for _, use := range uses {
		if use.command != nil && !slices.Contains(all[use.command.Line], use.name) {
			all[use.command.Line] = append(all[use.command.Line], use.name)
		}
	}
	return all
}

// unsetUses returns all uses of variables that nothing has set before, in the order in which the
// build reaches them, and the lines of commands that set some of them later. It returns none as
// soon as a command may have set any variable.
func (c *checker) unsetUses() (uses []unsetUse, setAt map[string]int) {
	if c.windows {
		return nil, nil
	}
	env := newEnvironment(c)
	uses = c.unsetIn(env, c.initialTexts())
	setAt = map[string]int{}
	for _, s := range inOrderOfPhases(c.scripts) {
		e := effectsOf(c, s)
		for name := range e.sets {
			if !env.set[name] && setAt[name] == 0 {
				setAt[name] = s.Line
			}
		}
		env.add(e)
		uses = append(uses, c.unsetInScript(env, s, e)...)
	}
	uses = append(uses, c.unsetIn(env, c.finalTexts())...)
	return c.withoutImageVariables(uses), setAt
}

// inOrderOfPhases returns the commands in the order in which they run.
func inOrderOfPhases(scripts []*script) []*script {
	order := []string{"INSTALL", "PRE_BUILD", "BUILD", "POST_BUILD"}
	all := slices.Clone(scripts)
	slices.SortStableFunc(all, func(a, b *script) int {
		return slices.Index(order, a.phase) - slices.Index(order, b.phase)
	})
	return all
}

// unsetInScript returns the uses in a command of variables that are not set.
func (c *checker) unsetInScript(env *environment, s *script, e effects) []unsetUse {
	if env.unknown || s.file == nil {
		return nil
	}
	strict := s.sets('u', "nounset")
	var uses []unsetUse
	c.expansions(s.file, func(exp *syntax.ParamExp) {
		name := exp.Param.Value
		// A test such as [ -n "$NAME" ] shows that the author expects an unset variable; with set -u
		// even the test fails.
		if env.has(name) || env.tested[name] && !strict {
			return
		}
		uses = append(uses, unsetUse{name: name, problem: c.node(s, exp), command: s, strict: strict})
	})
	return uses
}

// expandedText is a text of the buildspec outside of commands that the build's shell expands.
type expandedText struct{ path, text string }

// initialTexts returns the texts that are expanded before the first command.
func (c *checker) initialTexts() []expandedText {
	install, _ := c.Spec.Phase("INSTALL")
	var all []expandedText
	for _, v := range install.Runtimes {
		all = append(all, expandedText{install.Path + ".runtime-versions." + v.Name, v.Value})
	}
	return all
}

// finalTexts returns the texts that are expanded after the last command. Cache keys are
// expanded before the first one, but are rarely wrong in that way.
func (c *checker) finalTexts() []expandedText {
	var all []expandedText
	c.eachSelection(func(section string, a buildspec.Artifacts) {
		all = append(all, expandedText{section + ".base-directory", a.BaseDirectory}, expandedText{section + ".name", a.Name})
		for i, pattern := range a.Files {
			all = append(all, expandedText{itemPath(section, i), pattern})
		}
		for i, pattern := range a.ExcludePaths {
			all = append(all, expandedText{fmt.Sprintf("%s.exclude-paths[%d]", section, i), pattern})
		}
	})
	if c.Spec.Cache != nil {
		all = append(all, expandedText{"cache.key", c.Spec.Cache.Key})
	}
	return all
}

// powershellVariable matches a variable in PowerShell, such as $Env:NAME.
var powershellVariable = lazy(`(?i)\$env:`)

// unsetIn returns the uses in texts of variables that are not set.
func (c *checker) unsetIn(env *environment, texts []expandedText) []unsetUse {
	var uses []unsetUse
	for _, t := range texts {
		if env.unknown || !strings.Contains(t.text, "$") || tooLong(t.text) || powershellVariable().MatchString(t.text) {
			continue
		}
		word, err := syntax.NewParser(syntax.Variant(syntax.LangBash)).Document(strings.NewReader(t.text))
		if err != nil {
			continue
		}
		c.expansions(word, func(exp *syntax.ParamExp) {
			if name := exp.Param.Value; !env.has(name) && !env.tested[name] {
				uses = append(uses, unsetUse{name: name, problem: c.Spec.ProblemAt(t.path, false, "")})
			}
		})
	}
	return uses
}

// withoutImageVariables removes the variables that the image sets. The image is asked only if
// there is a use to remove, because that may take time.
func (c *checker) withoutImageVariables(uses []unsetUse) []unsetUse {
	if len(uses) == 0 || c.ImageVariables == nil {
		return uses
	}
	ofImage := c.ImageVariables()
	return slices.DeleteFunc(uses, func(u unsetUse) bool { return slices.Contains(ofImage, u.name) })
}

// expansions visits the expansions in a node that are empty if their variable is not set. Others
// have a default, such as ${NAME:-x}, or only ask whether it is set.
func (c *checker) expansions(node syntax.Node, visit func(*syntax.ParamExp)) {
	syntax.Walk(node, func(n syntax.Node) bool {
		exp, ok := n.(*syntax.ParamExp)
		if !ok || exp.Param == nil || !isName(exp.Param.Value) || exp.Excl || exp.Names != 0 {
			return true
		}
		if exp.Exp == nil || !handlesUnset(exp.Exp.Op) || c.demanded && demands(exp.Exp.Op) {
			visit(exp)
		}
		return true
	})
}

// handlesUnset reports whether an operator of an expansion says what happens without the variable.
func handlesUnset(op syntax.ParExpOperator) bool {
	switch op {
	case syntax.AlternateUnset, syntax.AlternateUnsetOrNull, syntax.DefaultUnset, syntax.DefaultUnsetOrNull,
		syntax.AssignUnset, syntax.AssignUnsetOrNull:
		return true
	}
	return demands(op)
}

// demands reports whether an operator makes the shell fail without the variable.
func demands(op syntax.ParExpOperator) bool {
	return op == syntax.ErrorUnset || op == syntax.ErrorUnsetOrNull
}

// environment is what is known about the variables of the build's shell at one point.
type environment struct {
	set     map[string]bool // names that are set
	tested  map[string]bool // names that a command tests
	unknown bool            // any other variable may be set too
}

// newEnvironment returns the environment before the first command. A variable of a build in a
// batch counts as set, although the other builds do not have it.
func newEnvironment(c *checker) *environment {
	env := &environment{set: map[string]bool{}, tested: map[string]bool{}}
	set := func(all []buildspec.Variable) {
		for _, v := range all {
			env.set[v.Name] = true
		}
	}
	set(c.Spec.Env.Variables)
	set(c.Spec.Env.ParameterStore)
	set(c.Spec.Env.SecretsManager)
	if b := c.Spec.Batch; b != nil {
		for _, t := range tasks(b) {
			set(t.Env.Variables)
		}
		if b.Matrix != nil {
			set(b.Matrix.Static.Variables)
			for _, axis := range b.Matrix.Variables {
				env.set[axis.Name] = true
			}
		}
	}
	if c.Project != nil {
		for _, v := range c.Project.Environment.Variables {
			env.set[v.Name] = true
		}
	}
	for _, name := range c.Variables {
		env.set[name] = true
	}
	for _, s := range c.scripts { // a test in any command shows what its author expects
		maps.Copy(env.tested, testedBy(s))
	}
	return env
}

// add adds the effects of a command. A variable that is assigned anywhere in a command counts as
// set in all of it, because functions and loops change the order.
func (env *environment) add(e effects) {
	maps.Copy(env.set, e.sets)
	env.unknown = env.unknown || e.unknown
}

// has reports whether a variable may be set.
func (env *environment) has(name string) bool { return env.set[name] || isUsual(name) }
