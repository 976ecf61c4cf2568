package lint

import (
	"fmt"
	"strings"

	"mvdan.cc/sh/v3/syntax"
)

// looksUp are programs whose output is assigned to variables, and that can fail. Others, such as date
// or cut, practically never fail, so that a failure of them is not worth a report.
var looksUp = words("aws curl wget cat ssh gh vault jq yq node git terraform kubectl helm docker python python3")

// hiddenByDeclaration reports export X=$(command) and the same with local, readonly and declare: they
// succeed whatever the command does, and the build goes on with an empty value. set -e has no effect
// on that. A plain assignment has the exit status of the command.
func (c *checker) hiddenByDeclaration(s *script) {
	if s.file == nil {
		return
	}
	examined := testedBy(s)
	s.walk(func(n syntax.Node) bool {
		d, ok := n.(*syntax.DeclClause)
		if !ok {
			return true
		}
		for _, a := range d.Args {
			program := hiddenIn(a)
			// The author handles an empty value in the same command.
			if program == "" || examined[a.Name.Value] || strings.Contains(s.Text, "${"+a.Name.Value+":?") {
				continue
			}
			c.say(c.node(s, a), fmt.Sprintf("a failure of %s is hidden: %s always succeeds", program, d.Variant.Value)).
				Hint = assignFirst(d.Variant.Value, a.Name.Value)
			return true // one report for a declaration
		}
		return true
	})
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
