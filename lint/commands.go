package lint

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"mvdan.cc/sh/v3/syntax"

	"github.com/buildlocal/buildlocal/internal/diag"
)

var commandChecks = []check{
	{diag.Check{Name: "shell-syntax", Severity: diag.Lint, Summary: "The shell cannot read the command, and the phase will fail there."}, (*checker).shellSyntax},
	{diag.Check{Name: "bash-syntax", Severity: diag.Lint, Summary: "The command needs bash, and sh runs it."}, (*checker).bashSyntax},
	{diag.Check{Name: "hidden-failure", Severity: diag.Lint, Summary: "A command of several lines ends with the status of its last line, which always succeeds."}, (*checker).hiddenFailure},
	{diag.Check{Name: "hidden-pipe-failure", Severity: diag.Lint, Summary: "A pipeline ends with the status of its last part, which succeeds whatever the first part does."}, (*checker).hiddenPipeFailure},
	{diag.Check{Name: "lost-directory", Severity: diag.Lint, Summary: "In version 0.1 every command begins in the source again."}, (*checker).lostDirectory},
	{diag.Check{Name: "lost-function", Severity: diag.Lint, Summary: "Functions and aliases end with the command that defines them."}, (*checker).lostFunction},
	{diag.Check{Name: "lost-setting", Severity: diag.Lint, Summary: "Options of the shell end with the command that sets them."}, (*checker).lostSetting},
	{diag.Check{Name: "unexpanded-variable", Severity: diag.Lint, Summary: "Values of env are literal: the service expands nothing in them."}, (*checker).unexpandedVariable},
	{diag.Check{Name: "deploy-after-failure", Severity: diag.Lint, Summary: "POST_BUILD runs after a BUILD that failed too, and deploys what it left."}, (*checker).deployAfterFailure},
}

// shellSyntax tells what no shell of this kind can read. A here-document without
// end is none: shells take it.
func (c *checker) shellSyntax() {
	for _, s := range c.scripts {
		var wrong syntax.ParseError
		if s.err == nil || !errors.As(s.err, &wrong) || strings.Contains(wrong.Text, "here-document") {
			continue
		}
		c.say(c.at(s, wrong.Pos, syntax.Pos{}), "the shell cannot read this command: "+wrong.Text+"; expected a whole script in each item, since each is run on its own")
	}
}

// bashSyntax tells constructs that the sh of Debian, Ubuntu and Alpine does not
// have. Where it is not known which sh runs the commands, only what dash cannot
// even read is told, once.
func (c *checker) bashSyntax() {
	shell := strings.TrimPrefix(c.Spec.Env.Shell, "/bin/")
	if shell != "" && shell != "sh" {
		return
	}
	sure, isBash := c.shell(shell == "sh")
	if isBash {
		return
	}
	for _, s := range c.scripts {
		said := map[string]bool{}
		s.walk(func(n syntax.Node) bool {
			what := bashOnly(n)
			if what == "" || said[what] || !sure && !unreadable[what] {
				return true
			}
			said[what] = true
			c.say(c.node(s, n), what+" is bash, and sh runs the commands: on Ubuntu and Debian images, where sh is dash, it fails; expected shell: bash in env")
			return true
		})
		if len(said) > 0 && !sure {
			return
		}
	}
}

// unreadable is what dash stops at before it runs anything.
var unreadable = map[string]bool{"[[ ]]": true, "(( ))": true, "an array": true, "<( )": true, "the word function": true, "for (( ))": true}

// Programs that tell a Debian or an Ubuntu from the systems on which sh is bash,
// and images that are such systems.
var (
	debian   = lazy(`\b(apt-get|apt|dpkg) `)
	redHat   = lazy(`\b(yum|dnf|microdnf|rpm|amazon-linux-extras) `)
	bashIsSh = lazy(`amazonlinux|corretto|fedora|centos|rocky|alma|ubi\d|redhat`)
)

// shell tells what is known of the image's sh: on Amazon Linux and its like it
// is bash.
func (c *checker) shell(written bool) (sure, isBash bool) {
	text := ""
	for _, s := range c.scripts {
		text += s.Text + "\n"
	}
	switch {
	case c.Image != "":
		return true, bashIsSh().MatchString(c.Image)
	case redHat().MatchString(text):
		return false, true
	}
	return written || debian().MatchString(text), false
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
	case e.Exp != nil && strings.ContainsAny(e.Exp.Op.String(), "^,"):
		return "${...^^} and ${...,,}"
	}
	return ""
}

func bashCommand(call *syntax.CallExpr) string {
	words := wordsOf(call)
	switch {
	case len(words) == 0:
	case words[0] == "source", words[0] == "pushd", words[0] == "popd", words[0] == "shopt":
		return words[0]
	case words[0] == "[" && slices.Contains(words, "=="):
		return "== in [ ]"
	case words[0] == "set" && slices.Contains(words, "pipefail"):
		return "set -o pipefail"
	}
	return ""
}

// Programs whose status says nothing of the work: they succeed, and those whose
// failure nobody waits for.
var (
	succeeds = words("echo printf true : date export")
	trivial  = words("echo printf true : date export cd set unset mkdir pwd sleep ls cat which touch umask shopt test [ env whoami uname id df free ulimit alias trap head tail wc")
)

func words(text string) map[string]bool {
	all := map[string]bool{}
	for _, w := range strings.Fields(text) {
		all[w] = true
	}
	return all
}

// hiddenFailure looks at commands of several lines that end with one that always
// succeeds, and do not look after failures themselves.
func (c *checker) hiddenFailure() {
	for _, s := range c.scripts {
		if s.file == nil || len(s.file.Stmts) < 2 || looksAfterFailures(s) {
			continue
		}
		last := s.file.Stmts[len(s.file.Stmts)-1]
		if program, _ := name(last); !succeeds[program] {
			continue
		}
		for _, stmt := range s.file.Stmts[:len(s.file.Stmts)-1] {
			program, _ := name(stmt)
			if program == "" || trivial[program] || stmt.Negated || stmt.Background {
				continue
			}
			c.say(c.node(s, stmt), fmt.Sprintf("a failure of %s here is not seen: a command of several lines ends with the status of its last line; expected set -e as its first line, or a list item for each line", program))
			break
		}
	}
}

// handled is how scripts look after failures themselves.
var handled = lazy(`\$\?|\bexit\b|\btrap\b|PIPESTATUS|set [+]e`)

func looksAfterFailures(s *script) bool {
	return s.sets('e', "errexit") || handled().MatchString(s.Text)
}

// hiddenPipeFailure looks at pipelines into tee, and from curl into a shell.
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
			for inner, more := first.Cmd.(*syntax.BinaryCmd); more && inner.Op == syntax.Pipe; inner, more = first.Cmd.(*syntax.BinaryCmd) {
				first = inner.X
			}
			from, _ := name(first)
			to, _ := name(pipe.Y)
			if hides(from, to) {
				c.say(c.node(s, first), fmt.Sprintf("a failure of %s is not seen: a pipeline ends with the status of its last part, %s; expected set -o pipefail before it, with shell: bash in env", from, to))
			}
			return false
		})
	}
}

func hides(from, to string) bool {
	if from == "curl" || from == "wget" {
		return to == "bash" || to == "sh" || to == "tee"
	}
	return to == "tee" && from != "" && !trivial[from]
}

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
		if _, declares := s.file.Stmts[0].Cmd.(*syntax.DeclClause); declares {
			c.say(c.node(s, s.file.Stmts[0]), "the variable is lost: in version 0.1 every command has a shell of its own; expected version: 0.2, or the next command behind && in the same item")
		}
	}
}

// lostFunction looks for names that one command defines and another one calls.
func (c *checker) lostFunction() {
	defined := map[string]*script{}
	for _, s := range c.scripts {
		own := s.defines()
		s.calls(func(call *syntax.CallExpr, words []string) {
			from, found := defined[words[0]]
			if words[0] != "" && found && from != s && !own[words[0]] {
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

// lostSetting looks at commands that do nothing but set options.
func (c *checker) lostSetting() {
	for i, s := range c.scripts {
		if s.file == nil || len(s.file.Stmts) != 1 || i+1 == len(c.scripts) || s.sets('x', "xtrace") {
			continue
		}
		program, words := name(s.file.Stmts[0])
		if program != "set" && program != "shopt" || len(words) < 2 || !strings.HasPrefix(words[1], "-") {
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

// unexpandedVariable looks at values that are meant to be expanded.
func (c *checker) unexpandedVariable() {
	for _, v := range c.Spec.Env.Variables {
		path := "env.variables."
		if c.Spec.Version == "0.1" {
			path = "environment_variables.plaintext."
		}
		c.unexpanded(path+v.Name, v.Name, v.Value)
	}
	for _, v := range c.Spec.Env.ParameterStore {
		c.unexpanded("env.parameter-store."+v.Name, v.Name, v.Value)
	}
	for _, v := range c.Spec.Env.SecretsManager {
		c.unexpanded("env.secrets-manager."+v.Name, v.Name, v.Value)
	}
}

func (c *checker) unexpanded(path, name, value string) {
	found := expands().FindString(value)
	if found == "" || c.windows && found == "`" {
		return
	}
	c.say(c.Spec.ProblemAt(path, false, ""), fmt.Sprintf("%s is %q to the letter: nothing in env is expanded; expected an export %s=... among the commands, before it is used", name, shorten(value), name))
}

func shorten(text string) string {
	if runes := []rune(text); len(runes) > 50 {
		return string(runes[:50]) + "..."
	}
	return text
}

// deploys is what changes something outside the build.
var deploys = lazy(`\baws (cloudformation (deploy|create-stack|update-stack|execute-change-set)|ecs update-service|lambda (update-function-code|publish-version)|deploy (create-deployment|push)|elasticbeanstalk (update-environment|create-application-version)|cloudfront create-invalidation)\b|\baws s3 (sync|cp|mv) [^|;&]*\ss3://|\b(sam|cdk|sls|serverless|eb|copilot|amplify|wrangler|netlify|vercel|firebase|gcloud app) (deploy|publish)\b|\bkubectl (apply|set image|rollout restart|replace)\b|\bhelm (upgrade|install)\b|\bterraform apply\b|\bpulumi up\b|\b(npm|yarn|pnpm) publish\b|\btwine upload\b|\bmvn [^|;&]*\bdeploy\b`)

// deployAfterFailure looks for deployments in POST_BUILD where nothing asks
// whether BUILD succeeded. Only a BUILD with commands can fail before it.
func (c *checker) deployAfterFailure() {
	build, _ := c.Spec.Phase("BUILD")
	if len(build.Commands) == 0 || strings.EqualFold(build.OnFailure.Text, "ABORT") {
		return
	}
	for _, s := range c.scripts {
		if s.phase != "POST_BUILD" {
			continue
		}
		if strings.Contains(s.Text, "CODEBUILD_BUILD_SUCCEEDING") {
			return
		}
		for i, line := range strings.Split(s.Text, "\n") {
			at := deploys().FindStringIndex(line)
			if at == nil || strings.HasPrefix(strings.TrimSpace(line), "#") {
				continue
			}
			c.say(c.Spec.Problem(s.Command, i+1, len([]rune(line[:at[0]]))+1, len([]rune(line[at[0]:at[1]]))),
				"POST_BUILD also runs when BUILD failed, and would deploy what that left; expected it in build, or on-failure: ABORT in build, or a look at CODEBUILD_BUILD_SUCCEEDING before it")
			return
		}
	}
}
