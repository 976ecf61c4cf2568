package lint

import (
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
	{diag.Check{Name: "shell-syntax", Severity: diag.Lint, Summary: "The shell cannot read the command, and the phase will fail there."}, (*checker).shellSyntax},
	{diag.Check{Name: "lost-text", Severity: diag.Lint, Summary: "YAML takes a piece of a command for something else."}, (*checker).lostText},
	{diag.Check{Name: "empty-phase", Severity: diag.Lint, Summary: "A phase runs nothing."}, (*checker).emptyPhase},
	{diag.Check{Name: "bash-syntax", Severity: diag.Lint, Summary: "The command needs bash, and sh runs it."}, (*checker).bashSyntax},
	{diag.Check{Name: "hidden-failure", Severity: diag.Lint, Summary: "A command of several lines ends with the status of its last line, which always succeeds."}, (*checker).hiddenFailure},
	{diag.Check{Name: "hidden-pipe-failure", Severity: diag.Lint, Summary: "A pipeline ends with the status of its last part, which succeeds whatever the first part does."}, (*checker).hiddenPipeFailure},
	{diag.Check{Name: "unknown-shell", Severity: diag.Warning, Summary: "The reference knows bash, /bin/sh, powershell.exe and cmd.exe."}, (*checker).unknownShell},
	{diag.Check{Name: "lost-directory", Severity: diag.Lint, Summary: "In version 0.1 every command begins in the source again."}, (*checker).lostDirectory},
	{diag.Check{Name: "lost-function", Severity: diag.Lint, Summary: "Functions and aliases end with the command that defines them."}, (*checker).lostFunction},
	{diag.Check{Name: "lost-setting", Severity: diag.Lint, Summary: "Options of the shell end with the command that sets them."}, (*checker).lostSetting},
	{diag.Check{Name: "unexpanded-variable", Severity: diag.Lint, Summary: "Values of env are literal: the service expands nothing in them."}, (*checker).unexpandedVariable},
	{diag.Check{Name: "deploy-after-failure", Severity: diag.Lint, Summary: "POST_BUILD runs after a BUILD that failed too, and deploys what it left."}, (*checker).deployAfterFailure},
}

// template is what is filled in before a shell reads it: placeholders, and the
// expressions of Terraform and of template languages.
var template = lazy(`<[A-Za-z][A-Za-z0-9_ -]*>|\{\{|<%|\$\{[A-Za-z_]+\.|%[A-Z_]+%|__[A-Z]+__`)

// shellSyntax tells what no shell of this kind can read. A here-document without
// end is none: shells take it.
func (c *checker) shellSyntax() {
	for _, s := range c.scripts {
		var wrong syntax.ParseError
		if s.err == nil || !errors.As(s.err, &wrong) || strings.Contains(wrong.Text, "here-document") || template().MatchString(s.Text) {
			continue
		}
		c.say(c.at(s, wrong.Pos, syntax.Pos{}), "the shell cannot read this command: "+wrong.Text+c.cure(s, wrong.Text))
	}
}

// cure is the way out of a fault of a command's syntax.
func (c *checker) cure(s *script, message string) string {
	raw := c.Spec.Lines()[max(0, s.Line-1)]
	switch {
	case s.Style == buildspec.Plain && strings.Contains(raw, " #"):
		return "; YAML cuts this item at the #: expected it in quotes"
	case s.Style != buildspec.Literal && c.spans(s) > 1:
		return "; YAML joins the lines of this item into one: expected a | before them, or an item for each"
	case strings.Contains(message, "must end with"), strings.Contains(message, "must be followed by"), strings.Contains(message, "can only be used"):
		return "; expected a whole script in each item, since each is run on its own"
	}
	return ""
}

// spans is how many lines of the file a command takes.
func (c *checker) spans(s *script) int {
	lines := c.Spec.Lines()
	n := 1
	for i := s.Line; i < len(lines) && strings.TrimSpace(lines[i]) != "" && indentOf(lines[i]) >= s.Column-1; i++ {
		n++
	}
	return n
}

func indentOf(line string) int { return len(line) - len(strings.TrimLeft(line, " ")) }

// bashSyntax tells constructs that the sh of Debian and Ubuntu does not have,
// where it is known that this one runs the commands.
func (c *checker) bashSyntax() {
	shell := strings.TrimPrefix(c.Spec.Env.Shell, "/bin/")
	if shell != "" && shell != "sh" || !c.shellIsDash(shell == "sh") {
		return
	}
	for _, s := range c.scripts {
		said := map[string]bool{}
		s.walk(func(n syntax.Node) bool {
			if what := bashOnly(n); what != "" && !said[what] {
				said[what] = true
				c.say(c.node(s, n), what+" is bash, and sh runs the commands, which is dash on Ubuntu and Debian and reads it otherwise or not at all; expected shell: bash in env")
			}
			return true
		})
	}
}

// Images in which sh is dash: those on Ubuntu of the service, and the official
// ones on Debian; and what only a Debian runs.
var (
	dashImage = lazy(`^aws/codebuild/standard:|(^|/)(ubuntu|debian|buildpack-deps|node|python|golang|ruby|rust|php|perl|openjdk|eclipse-temurin|maven|gradle)(:|@|$)`)
	noDash    = lazy(`alpine|windows`)
	debian    = lazy(`(?m)^\s*(sudo )?(apt-get|apt|dpkg) `)
)

// shellIsDash: where no image is named, commands may tell it. A command that
// says source shows that sh is bash: it would have failed.
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

// bashOnly names a construct that dash does not have.
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
			return "the word function"
		}
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

func bashRedirect(r *syntax.Redirect) string {
	switch r.Op {
	case syntax.WordHdoc:
		return "<<<"
	case syntax.RdrAll, syntax.AppAll:
		return r.Op.String()
	}
	return ""
}

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

func bashCommand(call *syntax.CallExpr) string {
	words := wordsOf(call)
	switch {
	case len(words) == 0:
	case words[0] == "source", words[0] == "pushd", words[0] == "popd", words[0] == "shopt", words[0] == "mapfile", words[0] == "readarray":
		return words[0]
	case words[0] == "read" && slices.Contains(words, "-a"), words[0] == "trap" && slices.Contains(words, "ERR"):
		return words[0] + " " + words[len(words)-1]
	case (words[0] == "[" || words[0] == "test") && slices.Contains(words, "=="):
		return "== in [ ]"
	case words[0] == "set" && slices.Contains(words, "pipefail"):
		return "set -o pipefail"
	}
	return ""
}

// succeeds are programs that end a script to tell something.
var succeeds = words("echo printf date")

// hiddenFailure looks at commands of several lines that do some work, end with
// one that always succeeds, and do not look after failures themselves.
func (c *checker) hiddenFailure() {
	for _, s := range c.scripts {
		if s.file == nil || len(s.file.Stmts) < 2 || looksAfterFailures(s) {
			continue
		}
		last := s.file.Stmts[len(s.file.Stmts)-1]
		program, said := name(last)
		_, declares := last.Cmd.(*syntax.DeclClause)
		if exit := program == "exit" && len(said) == 2 && said[1] == "0"; !declares && !succeeds[program] && !exit {
			continue
		}
		for _, stmt := range s.file.Stmts[:len(s.file.Stmts)-1] {
			work := workOf(stmt)
			if work == nil || stmt.Negated || stmt.Background {
				continue
			}
			program, _ := name(work)
			c.say(c.node(s, work), fmt.Sprintf("a failure of %s here is not seen: a script ends with the status of its last command, which cannot fail; expected set -e as its first line, or a list item for each command", program))
			break
		}
	}
}

// workOf returns what of a statement does the work of a build, if anything does:
// of a && b the last that does.
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

// handled is how scripts look after failures themselves.
var handled = lazy(`\$\?|(^|[;&|]|\s)exit\s+[$1-9]|(^|[;&|]|\s)(trap|wait) |PIPESTATUS|set [+]e`)

func looksAfterFailures(s *script) bool {
	return s.sets('e', "errexit") || handled().MatchString(s.Text)
}

// hiddenPipeFailure looks at pipelines from the work of a build into tee.
func (c *checker) hiddenPipeFailure() {
	for _, s := range c.scripts {
		if s.file == nil || strings.Contains(s.Text, "pipefail") || strings.Contains(s.Text, "PIPESTATUS") {
			continue
		}
		s.walk(func(n syntax.Node) bool {
			pipe, ok := n.(*syntax.BinaryCmd)
			if !ok || pipe.Op != syntax.Pipe && pipe.Op != syntax.PipeAll {
				return true
			}
			first := pipe.X
			for inner, more := first.Cmd.(*syntax.BinaryCmd); more && (inner.Op == syntax.Pipe || inner.Op == syntax.PipeAll); inner, more = first.Cmd.(*syntax.BinaryCmd) {
				first = inner.X
			}
			from, words := name(first)
			if to, _ := name(pipe.Y); to == "tee" && isWork(words) {
				c.say(c.node(s, first), fmt.Sprintf("a failure of %s is not seen: a pipeline ends with the status of its last part, %s; expected set -o pipefail before it, with shell: bash in env", from, to))
			}
			return false
		})
	}
}

// unknownShell: what the service does with another shell is not known; here it
// runs the commands, if the image has it.
func (c *checker) unknownShell() {
	shell := c.Spec.Env.Shell
	if shell == "" || expands().MatchString(shell) || slices.ContainsFunc(knownShells, func(known string) bool { return strings.EqualFold(known, path.Base(shell)) }) {
		return
	}
	c.say(c.Spec.ProblemAt("env.shell", false, ""), fmt.Sprintf("unknown shell %q%s (expected bash or /bin/sh on Linux, powershell.exe or cmd.exe on Windows)", shell, diag.DidYouMean(shell, knownShells)))
}

// knownShells are those of the reference, and others that images have.
var knownShells = []string{"bash", "sh", "powershell.exe", "cmd.exe", "powershell", "pwsh", "pwsh.exe", "cmd", "dash", "ash", "zsh", "ksh"}

// lostDirectory: in version 0.1 each command has a shell of its own (documented).
func (c *checker) lostDirectory() {
	if c.Spec.Version != "0.1" {
		return
	}
	for i, s := range c.scripts {
		if s.file == nil || len(s.file.Stmts) != 1 || i+1 == len(c.scripts) {
			continue
		}
		program, _ := name(s.file.Stmts[0])
		if program == "cd" || program == "pushd" {
			c.say(c.node(s, s.file.Stmts[0]), "the directory is lost: in version 0.1 every command begins in the source again; expected version: 0.2, or the next command behind && in the same item")
		}
		if declares(s.file.Stmts[0]) {
			c.say(c.node(s, s.file.Stmts[0]), "the variable is lost: in version 0.1 every command has a shell of its own; expected version: 0.2, or the next command behind && in the same item")
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

// programs are names that mean something without any definition, so that a
// function or an alias of that name is a convenience only.
var programs = words("python pip docker kubectl aws npm node make sed grep awk ls cp mv rm cd tar git yarn helm terraform")

// lostFunction looks for names that one command defines and another one calls.
func (c *checker) lostFunction() {
	defined := map[string]*script{}
	for _, s := range c.scripts {
		own := s.defines()
		s.calls(func(call *syntax.CallExpr, words []string) {
			from, found := defined[words[0]]
			if words[0] != "" && found && from != s && !own[words[0]] && !programs[words[0]] {
				c.say(c.node(s, call.Args[0]), fmt.Sprintf("%s is defined in another command, in line %d, and unknown here: functions and aliases end with the command that defines them; expected a script in the source, or both in one item", words[0], from.Line))
			}
		})
		for name := range own {
			defined[name] = s
		}
	}
}

// defines returns the functions and aliases of a script, but for functions that
// are exported.
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

// lostSetting looks at commands that do nothing but set options; tracing is
// seen where it is set.
func (c *checker) lostSetting() {
	for i, s := range c.scripts {
		if s.file == nil || len(s.file.Stmts) != 1 || i+1 == len(c.scripts) {
			continue
		}
		program, words := name(s.file.Stmts[0])
		if program != "set" && program != "shopt" || len(words) < 2 || !strings.ContainsAny(words[1][:min(1, len(words[1]))], "-+") || strings.Trim(words[1], "-+xv") == "" {
			continue
		}
		message := "%s ends with this command: each command is a script of its own; expected it as the first line of those that need it"
		if sets(words, 'e', "errexit") && !slices.Contains(words, "pipefail") {
			message = "%s ends with this command, and is not needed between commands: the first that fails ends the phase; expected it as the first line of commands of several lines"
		}
		c.say(c.node(s, s.file.Stmts[0]), fmt.Sprintf(message, strings.Join(words, " ")))
	}
}

// expands is a value that a shell would expand.
var expands = lazy(`\$(\{[A-Za-z_]|[A-Za-z_]|\()|` + "`")

// meant is what can only be meant to be expanded: a variable in capital letters,
// and the output of a command.
var meant = lazy(`\$([A-Z][A-Z0-9_]+\b|\{[A-Z][A-Z0-9_]+\}|\([a-z])`)

// unexpandedVariable looks at values that are meant to be expanded, where no
// command does so itself.
func (c *checker) unexpandedVariable() {
	for _, s := range c.scripts {
		if strings.Contains(s.Text, "envsubst") || strings.Contains(s.Text, "eval ") {
			return
		}
	}
	for _, v := range c.variables() {
		if c.windows || strings.HasPrefix(v.Name, "PS") || !meant().MatchString(v.Value) {
			continue
		}
		c.say(c.Spec.ProblemAt(v.path, false, ""), fmt.Sprintf("%s is %q to the letter: nothing in env is expanded; expected an export %s=... among the commands, before it is used", v.Name, shorten(v.Value), v.Name))
	}
}

func shorten(text string) string {
	if runes := []rune(text); len(runes) > 50 {
		return string(runes[:50]) + "..."
	}
	return text
}
