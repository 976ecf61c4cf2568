package lint

import (
	"cmp"
	"errors"
	"fmt"
	"path"
	"slices"
	"strings"

	"mvdan.cc/sh/v3/syntax"

	"github.com/buildlocal/buildlocal/buildspec"
	"github.com/buildlocal/buildlocal/internal/diag"
)

var commandChecks = []check{
	{diag.Check{Name: diag.ShellSyntax, Severity: diag.Lint,
		Summary: "The shell cannot parse the command, so the phase will fail there."}, (*checker).shellSyntax},
	{diag.Check{Name: diag.LostText, Severity: diag.Lint,
		Summary: "YAML does not read part of a command as text."}, (*checker).lostText},
	{diag.Check{Name: "empty-phase", Severity: diag.Lint, Summary: "A phase has no commands."}, (*checker).emptyPhase},
	{diag.Check{Name: diag.BashSyntax, Severity: diag.Lint,
		Summary: "The command requires bash, but sh runs it."}, (*checker).bashSyntax},
	{diag.Check{Name: "hidden-failure", Severity: diag.Lint,
		Summary: "A failure is not noticed: a later line of the command, or export, always succeeds."},
		(*checker).hiddenFailure},
	{diag.Check{Name: "hidden-pipe-failure", Severity: diag.Lint,
		Summary: "A pipeline has the exit status of its last command, even if an earlier one fails."},
		(*checker).hiddenPipeFailure},
	{diag.Check{Name: unknownShell, Severity: diag.Warning,
		Summary: "The documented shells are bash, /bin/sh, powershell.exe and cmd.exe."}, (*checker).unknownShell},
	{diag.Check{Name: diag.LostDirectory, Severity: diag.Lint,
		Summary: "In version 0.1 each command starts in the source directory."}, (*checker).lostDirectory},
	{diag.Check{Name: diag.LostFunction, Severity: diag.Lint,
		Summary: "Functions and aliases last only until the end of their command."}, (*checker).lostFunction},
	{diag.Check{Name: "lost-setting", Severity: diag.Lint,
		Summary: "Shell options last only until the end of their command."}, (*checker).lostSetting},
	{diag.Check{Name: diag.UnexpandedVariable, Severity: diag.Lint,
		Summary: "Values in env are literal. CodeBuild does not expand variables in them."},
		(*checker).unexpandedVariable},
	{diag.Check{Name: UnsetVariable, Severity: diag.Lint,
		Summary: "A command, or another text that the shell expands, uses a variable that nothing sets."},
		(*checker).unsetVariables},
	{diag.Check{Name: "deploy-after-failure", Severity: diag.Lint,
		Summary: "POST_BUILD also runs after a failed BUILD, and deploys its output."}, (*checker).deployAfterFailure},
}

// template matches placeholders that are filled in before a shell reads the command, and
// expressions of Terraform and of template languages.
var template = lazy(`<[A-Za-z][A-Za-z0-9_ -]*>|\{\{|<%|\$\{[A-Za-z_]+\.|%[A-Z_]+%|__[A-Z]+__`)

// shellSyntax reports commands that bash cannot parse. A here-document without an end is
// not an error: shells accept it.
func (c *checker) shellSyntax() {
	for _, s := range c.scripts {
		var wrong syntax.ParseError
		// A template is not a command yet: its placeholders are filled in by another tool, and often are
		// not valid shell.
		if s.err == nil || !errors.As(s.err, &wrong) || strings.Contains(wrong.Text, "here-document") ||
			template().MatchString(s.Text) {
			continue
		}
		c.say(c.at(s, wrong.Pos, syntax.Pos{}), "shell syntax error: "+wrong.Text).Hint = c.cure(s, wrong.Text)
	}
}

// cure returns a hint for a shell syntax error. The usual cause is YAML: it removed or
// joined part of the command before the shell could see it.
func (c *checker) cure(s *script, message string) string {
	// The line of the file shows what YAML removed; the text of the command does not have it any more.
	raw := c.Spec.Lines()[max(0, s.Line-1)]
	switch {
	case s.Style == buildspec.Plain && strings.Contains(raw, " #"):
		return "YAML cuts this item at the #: put it in quotes"
	case s.Style != buildspec.Literal && c.spans(s) > 1:
		return "YAML joins the lines of this item: write | before them, or make each line an item"
	case strings.Contains(message, "must end with"), strings.Contains(message, "must be followed by"),
		strings.Contains(message, "can only be used"):
		return "each item runs on its own: write a complete script in each item"
	}
	return ""
}

// spans returns the number of lines of a command in the file. The lines of a plain or quoted item
// are those below it with at least its indentation.
func (c *checker) spans(s *script) int {
	lines := c.Spec.Lines()
	n := 1
	for i := s.Line; i < len(lines) && strings.TrimSpace(lines[i]) != "" && indentOf(lines[i]) >= s.Column-1; i++ {
		n++
	}
	return n
}

// indentOf returns the indentation of a line, in spaces.
func indentOf(line string) int { return len(line) - len(strings.TrimLeft(line, " ")) }

// bashSyntax reports constructs that dash, the sh of Debian and Ubuntu, does not support.
// It checks only builds that are known to run in such an image.
func (c *checker) bashSyntax() {
	// Without env.shell the commands run in sh.
	shell := strings.TrimPrefix(c.Spec.Env.Shell, "/bin/")
	if shell != "" && shell != "sh" || !c.shellIsDash(shell == "sh") {
		return
	}
	for _, s := range c.scripts {
		// Each construct is reported once for a script; repetitions would hide the other problems.
		seen := map[string]bool{}
		s.walk(func(n syntax.Node) bool {
			if construct := bashOnly(n); construct != "" && !seen[construct] {
				seen[construct] = true
				c.say(c.node(s, n), construct+" requires bash, but the commands run in sh, which is dash on Ubuntu and Debian").
					Hint = "set shell: bash in env"
			}
			return true
		})
	}
}

// dashImage matches images whose sh is dash: CodeBuild's images on Ubuntu and the official
// images on Debian. noDash matches variants of them with another sh. debian matches
// commands that exist on Debian and Ubuntu only.
var (
	dashImage = lazy(`^aws/codebuild/standard:|(^|/)(ubuntu|debian|buildpack-deps|node|python|golang|` +
		`ruby|rust|php|perl|openjdk|eclipse-temurin|maven|gradle)(:|@|$)`)
	noDash = lazy(`alpine|windows`)
	debian = lazy(`(?m)^\s*(sudo )?(apt-get|apt|dpkg) `)
)

// shellIsDash reports whether the commands are known to run in dash. Without an image the
// commands themselves are evidence. One that begins with source proves that sh is bash:
// it would fail in dash, and the author would have noticed.
func (c *checker) shellIsDash(written bool) bool {
	if c.Image != "" {
		return dashImage().MatchString(c.Image) && !noDash().MatchString(c.Image)
	}
	isDebian, isBash := written, false
	for _, s := range c.scripts {
		isDebian = isDebian || debian().MatchString(s.Text)
		isBash = isBash || strings.HasPrefix(s.Text, "source ")
	}
	return isDebian && !isBash
}

// bashOnly returns the name of a construct that dash does not support, or "".
func bashOnly(n syntax.Node) string {
	switch n := n.(type) {
	case *syntax.TestClause:
		return "[[ ]]"
	case *syntax.ArithmCmd:
		return "(( ))"
	case *syntax.ArrayExpr:
		return "an array"
	case *syntax.ProcSubst:
		return "<( )"
	case *syntax.LetClause:
		return "let"
	case *syntax.FuncDecl:
		if n.RsrvWord {
			return "the keyword function"
		}
	// &> and >& with a word are valid in dash too, but mean something else: a background process, or a
	// syntax error.
	case *syntax.Redirect:
		return bashRedirect(n)
	case *syntax.ForClause:
		if _, c := n.Loop.(*syntax.CStyleLoop); c {
			return "for (( ))"
		}
		if n.Select {
			return "select"
		}
	case *syntax.BinaryCmd:
		if n.Op == syntax.PipeAll {
			return "|&"
		}
	case *syntax.Assign:
		if n.Append {
			return "+="
		}
	case *syntax.ParamExp:
		return bashExpansion(n)
	case *syntax.CallExpr:
		return bashCommand(n)
	case *syntax.DeclClause:
		if n.Variant.Value == "declare" || n.Variant.Value == "typeset" {
			return n.Variant.Value
		}
	}
	return ""
}

// bashRedirect is bashOnly for redirections.
func bashRedirect(r *syntax.Redirect) string {
	switch r.Op {
	case syntax.WordHdoc:
		return "<<<"
	case syntax.RdrAll, syntax.AppAll:
		return r.Op.String()
	}
	return ""
}

// bashExpansion is bashOnly for parameter expansions.
func bashExpansion(e *syntax.ParamExp) string {
	switch {
	case e.Excl:
		return "${!...}"
	case e.Slice != nil:
		return "${...:from:length}"
	case e.Repl != nil:
		return "${.../.../...}"
	case e.Index != nil:
		return "an array"
	case e.Exp != nil && strings.ContainsAny(e.Exp.Op.String(), "^,"):
		return "${...^^} and ${...,,}"
	}
	return ""
}

// bashCommand is bashOnly for simple commands: builtins of bash, and options that only
// bash knows.
func bashCommand(call *syntax.CallExpr) string {
	words := wordsOf(call)
	switch {
	case len(words) == 0:
	// These are only names: a function or program of the same name in the build makes them valid,
	// which is rare enough.
	case words[0] == "source", words[0] == "pushd", words[0] == "popd", words[0] == "shopt", words[0] == "mapfile",
		words[0] == "readarray":
		return words[0]
	case words[0] == "read" && slices.Contains(words, "-a"), words[0] == "trap" && slices.Contains(words, "ERR"):
		return words[0] + " " + words[len(words)-1]
	// dash fails with "unexpected operator", which an if takes for false. The build succeeds and skips
	// a branch.
	case (words[0] == "[" || words[0] == "test") && slices.Contains(words, "=="):
		return "== in [ ]"
	case words[0] == "set" && slices.Contains(words, "pipefail"):
		return "set -o pipefail"
	}
	return ""
}

// unknownShell reports a shell that the reference does not list. CodeBuild's behavior is
// not known; buildlocal runs the commands with it if the image has it.
func (c *checker) unknownShell() {
	shell := c.Spec.Env.Shell
	known := func(name string) bool { return strings.EqualFold(name, path.Base(shell)) }
	if shell == "" || expands().MatchString(shell) || slices.ContainsFunc(knownShells, known) {
		return
	}
	p := c.say(c.Spec.ProblemAt("env.shell", false, ""), fmt.Sprintf("unknown shell %q", shell))
	if near := diag.Suggest(shell, fixedShells); near != "" {
		p.Hint, p.Fix = fmt.Sprintf("did you mean %q?", near), c.shellFix(shell, near)
		return
	}
	p.Hint = cmp.Or(diag.Question(shell, knownShells),
		"use bash or /bin/sh on Linux, powershell.exe or cmd.exe on Windows")
}

// fixedShells are the documented shells that a misspelt name can be near to. A name near to sh could
// be that of several shells.
var fixedShells = []string{"bash", "powershell.exe", "cmd.exe"}

// shellFix returns a fix that writes another shell, or nil if the name is quoted in the file.
func (c *checker) shellFix(old, shell string) *diag.Fix {
	spot := c.Spec.Place("env.shell").Value
	if !spot.Plain {
		return nil
	}
	return &diag.Fix{Title: fmt.Sprintf("write %q", shell), Safe: true,
		Edits: []diag.Edit{{Line: spot.Line, Column: spot.Column, Old: old, Text: shell}}}
}

// unknownShell is the name of a check whose problems have fixes.
const unknownShell = "unknown-shell"

// knownShells are the shells of the reference and other common ones. CodeBuild documents four
// values. Others may exist in a custom image, so they are not reported.
var knownShells = []string{"bash", "sh", "powershell.exe", "cmd.exe", "powershell", "pwsh", "pwsh.exe", "cmd", "dash",
	"ash", "zsh", "ksh", "rbash"}

const lostHint = "use version: 0.2, or append the next command with &&"

// lostDirectory reports directory changes and variables that a later command does not see.
// In version 0.1 each command has its own shell (documented).
func (c *checker) lostDirectory() {
	if c.Spec.Version != "0.1" {
		return
	}
	for i, s := range c.scripts {
		if s.file == nil || len(s.file.Stmts) != 1 || i+1 == len(c.scripts) {
			continue
		}
		program, _ := name(s.file.Stmts[0])
		// A cd alone in its command has no other purpose than to affect the next ones.
		if program == "cd" || program == "pushd" {
			c.say(c.node(s, s.file.Stmts[0]), "the directory change has no effect on later commands in version 0.1").
				Hint = lostHint
		}
		if declares(s.file.Stmts[0]) {
			c.say(c.node(s, s.file.Stmts[0]), "the variable is not visible to later commands in version 0.1").
				Hint = lostHint
		}
	}
}

// declares reports whether a statement sets variables and does nothing else.
func declares(stmt *syntax.Stmt) bool {
	call, ok := stmt.Cmd.(*syntax.CallExpr)
	if ok {
		return len(call.Args) == 0 && len(call.Assigns) > 0
	}
	_, ok = stmt.Cmd.(*syntax.DeclClause)
	return ok
}

// programs are names of common programs. A function or an alias of that name is a
// convenience: the commands work without it. Their aliases usually add an option or a default, as
// for kubectl.
var programs = words("python pip docker kubectl aws npm node make sed grep awk ls cp mv rm cd tar git yarn helm " +
	"terraform")

// lostFunction reports calls of functions and aliases that an earlier command defines.
// CodeBuild runs each command in a shell process that does not inherit them.
func (c *checker) lostFunction() {
	defined := map[string]*script{}
	for _, s := range c.scripts {
		// A script that defines the function again does not depend on the earlier definition.
		own := s.defines()
		s.calls(func(call *syntax.CallExpr, words []string) {
			from, found := defined[words[0]]
			if words[0] != "" && found && from != s && !own[words[0]] && !programs[words[0]] {
				c.say(c.node(s, call.Args[0]), fmt.Sprintf("%s is not defined here: the definition in line %d ends with its "+
					"command", words[0], from.Line)).Hint = "move it to a script in the source, or put both in one item"
			}
		})
		for name := range own {
			defined[name] = s
		}
	}
}

// defines returns the functions and aliases that a script defines, except exported
// functions, which later shells inherit. export -f is how bash passes a function to child
// processes, in a variable BASH_FUNC_name%%.
func (s *script) defines() map[string]bool {
	names := map[string]bool{}
	s.walk(func(n syntax.Node) bool {
		if f, ok := n.(*syntax.FuncDecl); ok && f.Name != nil && !strings.Contains(s.Text, "export -f "+f.Name.Value) {
			names[f.Name.Value] = true
		}
		return true
	})
	s.calls(func(call *syntax.CallExpr, _ []string) {
		for _, arg := range call.Args[1:] {
			text, isText := arg.Parts[0].(*syntax.Lit)
			if call.Args[0].Lit() == "alias" && isText && strings.Contains(text.Value, "=") {
				name, _, _ := strings.Cut(text.Value, "=")
				names[name] = true
			}
		}
	})
	return names
}

// lostSetting reports commands that only set shell options. Tracing (-x, -v) is exempt,
// because its effect is visible immediately.
func (c *checker) lostSetting() {
	for i, s := range c.scripts {
		if s.file == nil || len(s.file.Stmts) != 1 || i+1 == len(c.scripts) {
			continue
		}
		program, words := name(s.file.Stmts[0])
		if program != "set" && program != "shopt" || len(words) < 2 {
			continue
		}
		// set with arguments changes the positional parameters, which is another mistake, and rare.
		if !strings.ContainsAny(words[1][:min(1, len(words[1]))], "-+") || strings.Trim(words[1], "-+xv") == "" {
			continue
		}
		message := "%s has no effect on later commands, which are separate scripts"
		hint := "put it in the first line of those that need it"
		// set -e at the start of a phase is the most common form: it comes from scripts, where it is
		// needed.
		if sets(words, 'e', "errexit") && !slices.Contains(words, "pipefail") {
			message = "%s has no effect on later commands, and a failed command ends the phase anyway"
			hint = "put it in the first line of commands with several lines"
		}
		c.say(c.node(s, s.file.Stmts[0]), fmt.Sprintf(message, strings.Join(words, " "))).Hint = hint
	}
}

// expands matches a value that a shell would expand.
var expands = lazy(`\$(\{[A-Za-z_]|[A-Za-z_]|\()|` + "`")

// meant matches a value whose author expects an expansion: a variable in capital letters,
// or a command substitution. A lower-case $name is often part of a password or of a regular
// expression.
var meant = lazy(`\$([A-Z][A-Z0-9_]+\b|\{[A-Z][A-Z0-9_]+\}|\([a-z])`)

// unexpandedVariable reports values in env that look as if they were to be expanded,
// unless a command expands them with envsubst or eval.
func (c *checker) unexpandedVariable() {
	for _, s := range c.scripts {
		if strings.Contains(s.Text, "envsubst") || strings.Contains(s.Text, "eval ") {
			return
		}
	}
	for _, v := range c.variables() {
		// PS1 and PS4 are expanded by the shell each time it prints them.
		if c.windows || strings.HasPrefix(v.Name, "PS") || !meant().MatchString(v.Value) {
			continue
		}
		c.say(c.Spec.ProblemAt(v.path, false, ""), fmt.Sprintf("%s is literally %q, because values in env are not expanded",
			v.Name, shorten(v.Value))).Hint = fmt.Sprintf("run export %s=... in a command before its first use", v.Name)
	}
}

// shorten limits a value for use in a message. Values may be whole documents.
func shorten(text string) string {
	if runes := []rune(text); len(runes) > 50 {
		return string(runes[:50]) + "..."
	}
	return text
}
