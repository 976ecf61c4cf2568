package lint

import (
	"fmt"
	"strings"

	"mvdan.cc/sh/v3/syntax"
)

// succeeds are programs that print something at the end of a script and practically never
// fail. exit 0 is matched separately. true is missing, because it is usually written on purpose to
// ignore a failure.
var succeeds = words("echo printf date")

// hiddenFailure reports commands whose failure does not fail the script that runs them.
func (c *checker) hiddenFailure() {
	for _, s := range c.scripts {
		c.hiddenByLastCommand(s)
		c.hiddenByDeclaration(s)
	}
}

// hiddenByLastCommand reports scripts of several lines that do part of the build's work, end with
// a command that always succeeds, and do not handle failures themselves.
func (c *checker) hiddenByLastCommand(s *script) {
	// A script of one statement cannot hide anything in this way.
	if s.file == nil || len(s.file.Stmts) < 2 || looksAfterFailures(s) {
		return
	}
	last := s.file.Stmts[len(s.file.Stmts)-1]
	program, said := name(last)
	_, declares := last.Cmd.(*syntax.DeclClause)
	// A final assignment or export of a variable succeeds too, but its value is often that of a
	// command, as in export X=$(...).
	if exit := program == "exit" && len(said) == 2 && said[1] == "0"; !declares && !succeeds[program] && !exit {
		return
	}
	for _, stmt := range s.file.Stmts[:len(s.file.Stmts)-1] {
		work := workOf(stmt)
		// A negated statement is a test, and a background process is not expected to have finished.
		if work == nil || stmt.Negated || stmt.Background {
			continue
		}
		program, _ := name(work)
		c.say(c.node(s, work), fmt.Sprintf("a failure of %s is hidden: a script has the exit status of its last command, "+
			"which always succeeds", program)).Hint = "begin the script with set -e, or make each command a list item"
		return
	}
}

// workOf returns the part of a statement that does work of the build, or nil. For a && b it
// returns the last such part, because a failure of a already skips b.
func workOf(stmt *syntax.Stmt) *syntax.Stmt {
	if both, ok := stmt.Cmd.(*syntax.BinaryCmd); ok && both.Op == syntax.AndStmt {
		if work := workOf(both.Y); work != nil {
			return work
		}
		return workOf(both.X)
	}
	if _, words := name(stmt); isWork(words) {
		return stmt
	}
	return nil
}

// handled matches scripts that handle failures themselves.
var handled = lazy(`\$\?|(^|[;&|]|\s)exit\s+[$1-9]|(^|[;&|]|\s)(trap|wait) |PIPESTATUS|set [+]e`)

// looksAfterFailures reports whether the author has thought about failures. Then the script is not
// reported, even if the way is unusual.
func looksAfterFailures(s *script) bool {
	return s.sets('e', "errexit") || handled().MatchString(s.Text)
}

// hiddenPipeFailure reports pipelines from a program that does work of the build into tee.
func (c *checker) hiddenPipeFailure() {
	for _, s := range c.scripts {
		// An option of an earlier command has no effect here; each command has its own shell.
		if s.file == nil || strings.Contains(s.Text, "pipefail") || strings.Contains(s.Text, "PIPESTATUS") {
			continue
		}
		s.walk(func(n syntax.Node) bool {
			pipe, ok := n.(*syntax.BinaryCmd)
			if !ok || pipe.Op != syntax.Pipe && pipe.Op != syntax.PipeAll {
				return true
			}
			first := pipe.X
			// A pipeline a | b | tee is parsed as (a | b) | tee.
			for inner, more := first.Cmd.(*syntax.BinaryCmd); more &&
				(inner.Op == syntax.Pipe || inner.Op == syntax.PipeAll); inner, more = first.Cmd.(*syntax.BinaryCmd) {
				first = inner.X
			}
			from, words := name(first)
			// Only tee is reported. With grep, head or jq at the end, the status of the last command is
			// often the one that is meant.
			if to, _ := name(pipe.Y); to == "tee" && isWork(words) {
				c.say(c.node(s, first), fmt.Sprintf("a failure of %s is hidden: a pipeline has the exit status of its last "+
					"command, %s", from, to)).Hint = "set shell: bash in env, and run set -o pipefail first"
			}
			return false
		})
	}
}

// looksUp are programs whose output is assigned to variables, and that can fail. Others, such as date
// or cut, practically never fail, so that a failure of them is not worth a report.
var looksUp = words("aws curl wget cat ssh gh vault jq yq node git terraform kubectl helm docker python python3")

// hiddenByDeclaration reports export X=$(command) and the same with local, readonly and declare: they
// succeed whatever the command does, and the build goes on with an empty value. set -e has no effect
// on that. A plain assignment has the exit status of the command.
func (c *checker) hiddenByDeclaration(s *script) {
	var last *syntax.DeclClause
	for _, h := range hiddenDeclarations(s) {
		if h.clause == last { // one report for a declaration
			continue
		}
		last = h.clause
		c.say(c.node(s, h.assign), fmt.Sprintf("a failure of %s is hidden: %s always succeeds", h.program, h.declaration())).
			Hint = assignFirst(h.declaration(), h.variable())
	}
}

// hiddenDeclaration is an assignment in a declaration that hides the failure of a program.
type hiddenDeclaration struct {
	clause  *syntax.DeclClause
	assign  *syntax.Assign
	program string
}

// declaration returns the command that declares the variable, such as export.
func (h hiddenDeclaration) declaration() string { return h.clause.Variant.Value }

// variable returns the name of the variable.
func (h hiddenDeclaration) variable() string { return h.assign.Name.Value }

// hiddenDeclarations returns all such assignments of a command, except for variables whose empty value
// the command handles itself.
func hiddenDeclarations(s *script) []hiddenDeclaration {
	if s.file == nil {
		return nil
	}
	var all []hiddenDeclaration
	examined := testedBy(s)
	s.walk(func(n syntax.Node) bool {
		d, ok := n.(*syntax.DeclClause)
		if !ok {
			return true
		}
		for _, a := range d.Args {
			program := hiddenIn(a)
			if program == "" || examined[a.Name.Value] || strings.Contains(s.Text, "${"+a.Name.Value+":?") {
				continue
			}
			all = append(all, hiddenDeclaration{d, a, program})
		}
		return true
	})
	return all
}

// HiddenValues returns the variables that each command uses and that may be empty because the command
// that assigned them, the same or an earlier one, hides a failure. The key is the first line of the
// command; the text behind the name of a variable says where and how it was assigned.
func HiddenValues(in Input) map[int]map[string]string {
	c := &checker{Input: in}
	c.prepare()
	c.demanded = true
	all := map[int]map[string]string{}
	assigned := map[string]string{}
	for _, s := range inOrderOfPhases(c.scripts) {
		if s.file == nil { // it may assign anything
			clear(assigned)
			continue
		}
		for name := range effectsOf(c, s).sets {
			delete(assigned, name)
		}
		for _, h := range hiddenDeclarations(s) {
			if h.declaration() != "local" { // which is gone with its function
				assigned[h.variable()] = fmt.Sprintf("%s in line %d hides whether %s failed", h.declaration(),
					c.node(s, h.assign).Line, h.program)
			}
		}
		c.expansions(s.file, func(exp *syntax.ParamExp) {
			text, hidden := assigned[exp.Param.Value]
			if !hidden {
				return
			}
			if all[s.Line] == nil {
				all[s.Line] = map[string]string{}
			}
			all[s.Line][exp.Param.Value] = text
		})
	}
	return all
}

// assignFirst returns the hint for a declaration of a variable.
func assignFirst(declaration, variable string) string {
	if declaration == "export" || declaration == "readonly" {
		return fmt.Sprintf("assign first: %s=$(...) && %s %s", variable, declaration, variable)
	}
	return fmt.Sprintf("declare first: %s %s; %s=$(...)", declaration, variable, variable)
}

// hiddenIn returns the program whose failure an assignment in a declaration hides, or "". Only a
// value that is a single substitution is examined: in other values an empty part may be meant.
func hiddenIn(a *syntax.Assign) string {
	if a.Name == nil || a.Value == nil {
		return ""
	}
	parts := a.Value.Parts
	if len(parts) == 1 {
		if quoted, ok := parts[0].(*syntax.DblQuoted); ok {
			parts = quoted.Parts
		}
	}
	if len(parts) != 1 {
		return ""
	}
	substitution, ok := parts[0].(*syntax.CmdSubst)
	if !ok || len(substitution.Stmts) != 1 {
		return ""
	}
	return canFail(substitution.Stmts[0])
}

// canFail returns the program of a statement whose failure matters, or "". A statement that discards
// its errors, or has an alternative with ||, is expected to fail. In a pipeline only the last command
// decides, so the declaration does not hide the others.
func canFail(stmt *syntax.Stmt) string {
	if len(stmt.Redirs) > 0 {
		return ""
	}
	if both, ok := stmt.Cmd.(*syntax.BinaryCmd); ok && both.Op == syntax.AndStmt {
		return canFail(both.Y)
	}
	program, words := name(stmt)
	if looksUp[program] || isWork(words) {
		return program
	}
	return ""
}
