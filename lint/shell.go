package lint

import (
	"regexp"
	"strings"
	"sync"

	"mvdan.cc/sh/v3/syntax"

	"github.com/buildlocal/buildlocal/buildspec"
	"github.com/buildlocal/buildlocal/internal/diag"
)

// script is one command of a phase with its syntax tree.
type script struct {
	buildspec.Command
	phase string       // INSTALL, PRE_BUILD, BUILD or POST_BUILD
	file  *syntax.File // nil if it could not be parsed or is too long
	err   error
}

// prepare parses the commands in the grammar of bash, a superset of that of sh. Commands
// for Windows shells are not parsed.
func (c *checker) prepare() {
	// The order is that of the file. Commands of finally run after all commands of the phase.
	for _, phase := range c.Spec.Phases {
		for _, command := range append(append([]buildspec.Command{}, phase.Commands...), phase.Finally...) {
			c.scripts = append(c.scripts, &script{Command: command, phase: phase.Name})
		}
	}
	c.windows = c.isWindows()
	if c.windows {
		return
	}
	parser := syntax.NewParser(syntax.Variant(syntax.LangBash))
	budget := maxText
	for i, s := range c.scripts {
		budget -= len(s.Text)
		// A script that is not parsed is not checked, and its effects count as unknown.
		if tooLong(s.Text) || i >= maxScripts || budget < 0 {
			continue
		}
		s.file, s.err = parser.Parse(strings.NewReader(s.Text), "")
		if s.err != nil {
			s.file = nil
		}
	}
}

// The limits of the commands that are parsed. The largest public buildspec has 40 commands
// in 10 KB.
const (
	maxScripts = 1000
	maxText    = 128 << 10 // bytes, all commands together
)

// tooLong reports whether a command is too long to be parsed. The parser is recursive, so
// the number of brackets bounds the depth of its stack.
func tooLong(text string) bool {
	const maxLength, maxBrackets = 32 << 10, 1000
	brackets := 0
	for _, b := range []string{"(", "{", "[", "`"} {
		brackets += strings.Count(text, b)
	}
	return len(text) > maxLength || brackets > maxBrackets
}

// lazy compiles an expression when it is first used. Most runs need few of them.
func lazy(expr string) func() *regexp.Regexp {
	return sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(expr) })
}

// powershell matches commands that only PowerShell or cmd can run: assignments, cmdlets,
// blocks in braces, calls with &, and paths with backslashes. Each alternative is a construct that
// no POSIX script has, or hardly ever: a false positive turns all checks of commands off.
var powershell = lazy(`(?mi)^\s*& [a-z]|^\s*\$[a-z_]\w*\s*=|\$env:[a-z_]\w*\s*\+?=|` +
	`^\s*(Get|Set|New|Remove|Invoke|Write|Import|Install|Copy|Start|Stop|Test|Add|Out|Expand|Compress|Push|Pop|` +
	`Move|Rename)-[a-z]+\b|\|\s*(Where|ForEach|Select|Sort|Out|Measure)-[a-z]+\b|^\s*&\s*["'$.]|^\s*\.?\.\\|` +
	`^\s*(if|foreach|while) ?\([^()]*\)? ?.*\{\s*$|^\s*(if|foreach|while) ?\(.*\) ?\{|^\s*if (not )?exist |` +
	`^\s*for %%|^\s*(choco|Install-Package) `)

// isWindows reports whether the commands are for PowerShell or cmd. The shell, the project
// or the image decide; otherwise the commands themselves do.
func (c *checker) isWindows() bool {
	shell := strings.ToLower(c.Spec.Env.Shell)
	switch {
	case strings.HasPrefix(shell, "powershell"), strings.HasPrefix(shell, "pwsh"), strings.HasPrefix(shell, "cmd"):
		return true
	case shell != "":
		return false
	case c.Project != nil && strings.HasPrefix(c.Project.Environment.Type, "WINDOWS"),
		strings.Contains(c.Image, "windows"):
		return true
	}
	for _, s := range c.scripts {
		if powershell().MatchString(s.Text) {
			return true
		}
	}
	return false
}

// at returns a problem with a range of a script. The parser counts columns in bytes,
// problems count them in characters.
func (c *checker) at(s *script, from, to syntax.Pos) diag.Problem {
	line, column := int(from.Line()), int(from.Col())
	// The width is limited to the first line of the range.
	text := lineOf(s.Text, line)
	width := 1
	if to.IsValid() {
		end := len(text)
		if int(to.Line()) == line {
			end = min(end, int(to.Col())-1)
		}
		if start := min(column-1, len(text)); end > start {
			width = len([]rune(text[start:end]))
		}
	}
	column = len([]rune(text[:min(max(0, column-1), len(text))])) + 1
	return c.Spec.Problem(s.Command, line, column, width)
}

// node returns a problem with a node of a script.
func (c *checker) node(s *script, n syntax.Node) diag.Problem { return c.at(s, n.Pos(), n.End()) }

// lineOf returns the line of a text with a number, or "" if there is no such line.
func lineOf(text string, n int) string {
	for range n - 1 {
		_, rest, found := strings.Cut(text, "\n")
		if !found {
			return ""
		}
		text = rest
	}
	line, _, _ := strings.Cut(text, "\n")
	return line
}

// walk visits every node of a script, or none if it could not be parsed.
func (s *script) walk(visit func(syntax.Node) bool) {
	if s.file != nil {
		syntax.Walk(s.file, func(n syntax.Node) bool { return n != nil && visit(n) })
	}
}

// calls visits every simple command with its words. A word that the shell expands is "".
func (s *script) calls(visit func(call *syntax.CallExpr, words []string)) {
	s.walk(func(n syntax.Node) bool {
		if call, ok := n.(*syntax.CallExpr); ok && len(call.Args) > 0 {
			visit(call, wordsOf(call))
		}
		return true
	})
}

// wordsOf returns the words of a command; see literal.
func wordsOf(call *syntax.CallExpr) []string {
	words := make([]string, len(call.Args))
	for i, arg := range call.Args {
		words[i] = literal(arg)
	}
	return words
}

// literal returns the value of a word, or "" if the shell expands part of it. Programs and file
// names are only evaluated if their text is certain.
func literal(word *syntax.Word) string {
	var text strings.Builder
	for _, part := range word.Parts {
		switch part := part.(type) {
		case *syntax.Lit:
			text.WriteString(part.Value)
		case *syntax.SglQuoted:
			text.WriteString(part.Value)
		case *syntax.DblQuoted:
			inner := literal(&syntax.Word{Parts: part.Parts})
			if inner == "" {
				return ""
			}
			text.WriteString(inner)
		default:
			return ""
		}
	}
	return text.String()
}

// name returns the program that a statement runs, without its directory, and the words of
// the command without sudo, env and similar wrappers. Both are empty if the statement is
// not a simple command.
func name(stmt *syntax.Stmt) (program string, words []string) {
	call, ok := stmt.Cmd.(*syntax.CallExpr)
	if !ok || len(call.Args) == 0 {
		return "", nil
	}
	words = unwrapped(wordsOf(call))
	if len(words) == 0 {
		return "", nil
	}
	// The directory is removed so that ./gradlew and /usr/bin/make are recognized.
	return words[0][strings.LastIndex(words[0], "/")+1:], words
}

// unwrapped removes wrappers with their options, assignments and, for timeout, the duration.
func unwrapped(words []string) []string {
	// Wrappers can be nested: sudo env A=b timeout 60 make.
	for len(words) > 1 && wrappers[words[0]] {
		limited := words[0] == "timeout"
		words = words[1:]
		for len(words) > 1 && (strings.HasPrefix(words[0], "-") || strings.Contains(words[0], "=")) {
			words = words[1:]
		}
		if limited && len(words) > 1 {
			words = words[1:]
		}
	}
	return words
}

// wrappers are programs that run another program.
var wrappers = words("sudo env time nohup exec command timeout nice")

// sets reports whether a script changes an option of its shell, such as errexit.
func (s *script) sets(letter byte, option string) bool {
	found := false
	s.calls(func(_ *syntax.CallExpr, words []string) {
		found = found || sets(words, letter, option)
	})
	return found
}

// sets reports whether a command turns an option of the shell on.
func sets(words []string, letter byte, option string) bool {
	if len(words) < 2 || words[0] != "set" && words[0] != "shopt" {
		return false
	}
	for _, w := range words[1:] {
		// Letters can be combined, as in set -euo pipefail.
		if w == option || strings.HasPrefix(w, "-") && !strings.HasPrefix(w, "--") && strings.IndexByte(w, letter) > 0 {
			return true
		}
	}
	return false
}
