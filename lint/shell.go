package lint

import (
	"regexp"
	"strings"
	"sync"

	"mvdan.cc/sh/v3/syntax"

	"github.com/buildlocal/buildlocal/buildspec"
	"github.com/buildlocal/buildlocal/internal/diag"
)

// script is one command of a phase, parsed.
type script struct {
	buildspec.Command
	phase string       // INSTALL, PRE_BUILD, BUILD or POST_BUILD
	file  *syntax.File // nil where it could not be parsed
	err   error
}

// prepare parses the commands as the shell would that runs them.
func (c *checker) prepare() {
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
	budget := mostText
	for i, s := range c.scripts {
		budget -= len(s.Text)
		if tooLong(s.Text) || i >= mostScripts || budget < 0 {
			continue
		}
		s.file, s.err = parser.Parse(strings.NewReader(s.Text), "")
		if s.err != nil {
			s.file = nil
		}
	}
}

// How many commands, and how much of them, is read as a shell would: bytes. The
// largest public buildspec has 40 commands in 10 KB.
const (
	mostScripts = 1000
	mostText    = 128 << 10
)

// tooLong reports whether a command is no longer one that people write. Such
// commands are not looked at: the parser calls itself for each bracket.
func tooLong(text string) bool {
	const longest, brackets = 32 << 10, 1000
	return len(text) > longest || strings.Count(text, "(")+strings.Count(text, "{")+strings.Count(text, "[")+strings.Count(text, "`") > brackets
}

// lazy compiles an expression when it is first used: most runs need few of them.
func lazy(expr string) func() *regexp.Regexp {
	return sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(expr) })
}

// powershell is what only PowerShell or cmd can mean: assignments, cmdlets where
// a command begins, blocks in braces, calls by &, paths with backslashes.
var powershell = lazy(`(?mi)^\s*& [a-z]|^\s*\$[a-z_]\w*\s*=|\$env:[a-z_]\w*\s*\+?=|^\s*(Get|Set|New|Remove|Invoke|Write|Import|Install|Copy|Start|Stop|Test|Add|Out|Expand|Compress|Push|Pop|Move|Rename)-[a-z]+\b|\|\s*(Where|ForEach|Select|Sort|Out|Measure)-[a-z]+\b|^\s*&\s*["'$.]|^\s*\.?\.\\|^\s*(if|foreach|while) ?\([^()]*\)? ?.*\{\s*$|^\s*(if|foreach|while) ?\(.*\) ?\{|^\s*if (not )?exist |^\s*for %%|^\s*(choco|Install-Package) `)

// isWindows: what is written for PowerShell or cmd is told by the shell, the
// project or the image, or else by its looks.
func (c *checker) isWindows() bool {
	shell := strings.ToLower(c.Spec.Env.Shell)
	switch {
	case strings.HasPrefix(shell, "powershell"), strings.HasPrefix(shell, "pwsh"), strings.HasPrefix(shell, "cmd"):
		return true
	case shell != "":
		return false
	case c.Project != nil && strings.HasPrefix(c.Project.Environment.Type, "WINDOWS"), strings.Contains(c.Image, "windows"):
		return true
	}
	for _, s := range c.scripts {
		if powershell().MatchString(s.Text) {
			return true
		}
	}
	return false
}

// at returns a problem with a piece of a script.
func (c *checker) at(s *script, from, to syntax.Pos) diag.Problem {
	line, column := int(from.Line()), int(from.Col())
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

func (c *checker) node(s *script, n syntax.Node) diag.Problem { return c.at(s, n.Pos(), n.End()) }

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

// walk visits every node of a script that was parsed.
func (s *script) walk(visit func(syntax.Node) bool) {
	if s.file != nil {
		syntax.Walk(s.file, func(n syntax.Node) bool { return n != nil && visit(n) })
	}
}

// calls visits every simple command with its words; words that the shell expands
// are "".
func (s *script) calls(visit func(call *syntax.CallExpr, words []string)) {
	s.walk(func(n syntax.Node) bool {
		if call, ok := n.(*syntax.CallExpr); ok && len(call.Args) > 0 {
			visit(call, wordsOf(call))
		}
		return true
	})
}

func wordsOf(call *syntax.CallExpr) []string {
	words := make([]string, len(call.Args))
	for i, arg := range call.Args {
		words[i] = literal(arg)
	}
	return words
}

// literal is a word as the shell hands it on, or "" where it expands something.
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

// name returns the program a statement runs, without its directory, or "" for
// what is no simple command; words come without sudo, env and the like.
func name(stmt *syntax.Stmt) (program string, words []string) {
	call, ok := stmt.Cmd.(*syntax.CallExpr)
	if !ok || len(call.Args) == 0 {
		return "", nil
	}
	words = unwrapped(wordsOf(call))
	if len(words) == 0 {
		return "", nil
	}
	return words[0][strings.LastIndex(words[0], "/")+1:], words
}

// unwrapped drops programs that only run another one.
func unwrapped(words []string) []string {
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

// wrappers are programs that only run another one.
var wrappers = words("sudo env time nohup exec command timeout nice")

// sets reports whether a script changes an option of its shell, such as errexit.
func (s *script) sets(letter byte, option string) bool {
	found := false
	s.calls(func(_ *syntax.CallExpr, words []string) {
		found = found || sets(words, letter, option)
	})
	return found
}

func sets(words []string, letter byte, option string) bool {
	if len(words) < 2 || words[0] != "set" && words[0] != "shopt" {
		return false
	}
	for _, w := range words[1:] {
		if w == option || strings.HasPrefix(w, "-") && !strings.HasPrefix(w, "--") && strings.IndexByte(w, letter) > 0 {
			return true
		}
	}
	return false
}
