package buildspec

import (
	"errors"
	"fmt"
	"strings"

	"gopkg.in/yaml.v3"

	"github.com/buildlocal/buildlocal/internal/diag"
)

// phases appends the phases in file order. CodeBuild runs them in its own order
// whatever their order in the file.
func (p *parser) phases(v value) {
	for _, f := range v.fields {
		p.phase(f, join("phases", f.key.Value))
	}
}

// phase reads one phase.
func (p *parser) phase(f field, path string) {
	phase := Phase{Name: strings.ToUpper(f.name), Path: path, Line: f.key.Line, RunAs: f.textOf("run-as")}
	if v, written := f.get("on-failure"); written {
		phase.OnFailure = p.onFailure(v.node, v.text, join(path, "on-failure"))
	}
	if v, written := f.get("runtime-versions"); written {
		phase.Runtimes = p.runtimes(v, phase.Name, join(path, "runtime-versions"))
	}
	phase.Commands = p.scripts(f.itemsOf("commands"))
	phase.Finally = p.scripts(f.itemsOf("finally"))
	if v, _ := f.get("finally"); len(v.items) > 0 && !f.has("commands") && needsCommands(f.name) {
		p.fail(FinallyAlone, v.key, join(path, "finally"),
			"finally without commands").Hint = fmt.Sprintf("add commands: to %s for the steps that run first", path)
	}
	p.spec.Phases = append(p.spec.Phases, phase)
}

// needsCommands reports whether finally requires commands in a phase. Documented: it
// does in all phases except install.
func needsCommands(phase string) bool { return phase != "install" }

// onFailure reads on-failure. An invalid one is an error and not the default, because a build would
// go on after a failure that was meant to stop it.
func (p *parser) onFailure(node *yaml.Node, text, path string) OnFailure {
	o, err := ParseOnFailure(text)
	if err != nil {
		problem := p.fail(BadValue, node, path, "%v", err)
		if errors.Is(err, errOnFailure) {
			problem.Hint = onFailureHint
		}
	}
	return o
}

// runtimes reads runtime-versions, which CodeBuild ignores outside of install.
func (p *parser) runtimes(v value, phase, path string) []Variable {
	if phase != "INSTALL" {
		p.warn(IgnoredKey, v.key, path, "runtime-versions has an effect only in install and is ignored here")
		return nil
	}
	return variablesOf(v.fields)
}

// scripts returns the commands of a list. The positions are those of the text, which
// for a block scalar begins below its indicator.
func (p *parser) scripts(items []value) []Command {
	var all []Command
	for _, item := range items {
		all = append(all, Command{
			Text: item.text, Line: commandLine(item.node), Column: p.commandColumn(item.node),
			Style: styleOf(item.node), Path: item.path, Tagged: item.node.Style&yaml.TaggedStyle != 0,
		})
	}
	return all
}

func styleOf(node *yaml.Node) Style {
	switch {
	case node.Style&yaml.LiteralStyle != 0:
		return Literal
	case node.Style&yaml.FoldedStyle != 0:
		return Folded
	case node.Style&(yaml.SingleQuotedStyle|yaml.DoubleQuotedStyle) != 0:
		return Quoted
	}
	return Plain
}

// commandLine returns the line in which a command's text begins: the one after the |
// or > of a block scalar.
func commandLine(node *yaml.Node) int {
	if node.Style&(yaml.LiteralStyle|yaml.FoldedStyle) != 0 {
		return node.Line + 1
	}
	return node.Line
}

// commandColumn returns the column in which a command's text begins in its file line.
// yaml.v3 removes the indentation of a block scalar, so the first line that is not
// blank is compared with the line of the file.
func (p *parser) commandColumn(node *yaml.Node) int {
	if commandLine(node) == node.Line {
		return node.Column
	}
	for i, text := range strings.Split(node.Value, "\n") {
		if strings.TrimSpace(text) != "" {
			return 1 + max(0, indentOf(p.line(node.Line+1+i))-indentOf(text))
		}
	}
	return 1 + indentOf(p.line(node.Line+1))
}

func indentOf(line string) int { return len(line) - len(strings.TrimLeft(line, " ")) }

// isCommand reports whether an item of commands or finally is a script. If not, it
// adds a problem that says why YAML does not read it as text.
func (p *parser) isCommand(node *yaml.Node, at where) bool {
	switch {
	case node.Kind == yaml.MappingNode:
		p.mappingCommand(node, at)
	case node.Kind == yaml.SequenceNode:
		problem := p.fail(CommandNotText, node, at.path, "%s must be a command, not a list", at.path)
		problem.Hint = "put it in quotes"
		// - - make is a list in a list.
		if strings.HasPrefix(p.restOfLine(node), "- ") {
			problem.Hint = "remove the second dash"
		}
		problem.Service = fmt.Sprintf("Expected %s to be of string type: found list instead at line %d",
			serviceItem(at.path), node.Line)
		p.suggestQuotes(problem, node, "[ ", " ]")
	case isNull(node):
		p.fail(EmptyCommand, node, at.path, "%s is empty", at.path).Hint = "write a command, or remove the item"
	case strings.ContainsRune(node.Value, 0):
		p.fail(BadValue, node, at.path, "the command contains a NUL byte, which a shell cannot read")
	default:
		return true
	}
	return false
}

// serviceItem returns the name that CodeBuild's messages use for an item: Commands[2]
// for commands[2].
func serviceItem(path string) string {
	name := path[strings.LastIndex(path, ".")+1:]
	return strings.ToUpper(name[:1]) + name[1:]
}

// mappingCommand reports a command that YAML reads as a mapping, with the reason and,
// if the item is a single line, with a fix. The wording of CodeBuild's message is
// observed. CodeBuild reports the line of the tag, which is the one above.
func (p *parser) mappingCommand(node *yaml.Node, at where) {
	var problem *diag.Problem
	switch {
	case node.Style&yaml.FlowStyle != 0 && !strings.HasPrefix(p.restOfLine(node), "{"):
		problem = p.fail(CommandNotText, node, at.path, `the ": " makes %s a mapping`, at.path)
		problem.Hint = "put the command in quotes"
	case node.Style&yaml.FlowStyle != 0:
		problem = p.fail(CommandNotText, node, at.path, "the braces make %s a mapping", at.path)
		problem.Hint = "put the command in quotes"
		p.suggestQuotes(problem, node, "{ ", "; }")
	case oneLine(node) && p.endsInLine(node):
		i := quote(p.line(node.Line), node.Column)
		problem = p.fail(CommandNotText, node, at.path, `the ": " makes %s a mapping`, at.path)
		problem.Hint = "quote the command: - " + i.quoted
		if isGitHubStep(node) {
			problem.Hint += "; " + githubStep
		}
		problem.Width = max(1, len([]rune(i.text)))
		if p.isItem(node, i) {
			problem.Fix = i.fix(node.Line)
			// A key without white space may be a step of another CI system, such as
			// `run: make`: quotes would only hide the mistake.
			problem.Fix.Safe = strings.ContainsAny(node.Content[0].Value, " \t")
		}
	case !p.endsInLine(node) && len(node.Content) == 2:
		problem = p.fail(CommandNotText, node, at.path, `a ": " makes %s a mapping`, at.path)
		problem.Hint = "quote the whole command, or write it as a block after |"
	default:
		problem = p.fail(CommandNotText, node, at.path, "%s must be a command, not a mapping", at.path)
		if isGitHubStep(node) {
			problem.Hint = githubStep
		}
	}
	problem.Service = fmt.Sprintf("Expected %s to be of string type: found subkeys instead at line %d, "+
		"value of the key tag on line %d might be empty", serviceItem(at.path), node.Line, node.Line-1)
}

// restOfLine returns the rest of a node's first line, from the node's column on.
func (p *parser) restOfLine(node *yaml.Node) string {
	line := p.line(node.Line)
	n := 1
	for i := range line {
		if n == node.Column {
			return line[i:]
		}
		n++
	}
	return ""
}

const githubStep = "this looks like a GitHub Actions step"

// isGitHubStep reports whether a mapping looks like a step of GitHub Actions, whose workflows are
// a common origin of buildspecs.
func isGitHubStep(node *yaml.Node) bool {
	for i := 0; i+1 < len(node.Content); i += 2 {
		if key := node.Content[i].Value; key == "run" || key == "uses" {
			return true
		}
	}
	return false
}

// suggestQuotes adds a quoted form and a fix to a problem with a list or a mapping that is
// really a shell test, `[ -f x ]`, or a shell group, `{ a; }`. It needs the whole item
// in one line.
func (p *parser) suggestQuotes(problem *diag.Problem, node *yaml.Node, opening, closing string) {
	const maxLine = 1000 // bytes; longer lines are not worth the time
	if len(p.line(node.Line)) > maxLine || !p.endsInLine(node) {
		return
	}
	i := quote(p.line(node.Line), node.Column)
	before := string([]rune(p.line(node.Line))[:node.Column-1])
	if !strings.HasPrefix(i.text, opening) || !strings.Contains(i.text, closing) ||
		!strings.HasSuffix(strings.TrimRight(before, " "), "-") {
		return
	}
	problem.Hint += ": - " + i.quoted
	problem.Fix = i.fix(node.Line)
}

// oneLine reports whether a mapping is a single key with a scalar value in one line,
// without anchors, so that quoting the line keeps its meaning.
func oneLine(node *yaml.Node) bool {
	if len(node.Content) != 2 || node.Style&yaml.FlowStyle != 0 {
		return false
	}
	key, value := node.Content[0], node.Content[1]
	return key.Kind == yaml.ScalarNode && value.Kind == yaml.ScalarNode && value.Line == node.Line &&
		value.Style&(yaml.LiteralStyle|yaml.FoldedStyle) == 0 && value.Anchor == "" && key.Anchor == ""
}

// isItem reports whether i is a complete list item that YAML reads back as the
// original text once it is quoted.
func (p *parser) isItem(node *yaml.Node, i item) bool {
	line := p.line(node.Line)
	before := string([]rune(line)[:node.Column-1])
	if !strings.HasSuffix(strings.TrimRight(before, " "), "-") {
		return false
	}
	var list []string
	err := yaml.Unmarshal([]byte("- "+i.quoted), &list)
	rest := strings.TrimSpace(string([]rune(line)[node.Column-1+len([]rune(i.text)):]))
	return err == nil && len(list) == 1 && list[0] == i.text && (rest == "" || strings.HasPrefix(rest, "#"))
}

// endsInLine reports whether a node ends in its first line.
func (p *parser) endsInLine(node *yaml.Node) bool {
	next := p.line(node.Line + 1)
	return strings.TrimSpace(next) == "" || indentOf(next) < node.Column-1
}

// Problem returns a problem with part of a command's text. line and column count from
// 1 and refer to c.Text, whose lines differ from those of the file if YAML folded the
// text or removed quotes. In that case Problem searches the file for the text, and for
// shorter and shorter beginnings of it. If that fails, the problem covers the first
// line of the command.
func (b *Buildspec) Problem(c Command, line, column, width int) diag.Problem {
	if c.Style == Literal {
		text := b.lineAt(c.Line + line - 1)
		if strings.TrimSpace(text) != "" {
			return b.at(c, c.Line+line-1, min(column-1+c.Column, len([]rune(text))), width)
		}
	}
	runes := []rune(lineOf(c.Text, line))
	from := min(column-1, len(runes))
	piece := string(runes[from:min(len(runes), from+max(1, width))])
	for piece != "" {
		if p, found := b.find(c, piece); found {
			return p
		}
		piece = piece[:max(0, strings.LastIndexByte(piece, ' '))]
	}
	return b.at(c, c.Line, c.Column, max(1, len([]rune(strings.TrimLeft(b.lineAt(c.Line), " ")))))
}

// find searches the lines of a command for a piece of its text. The command ends at the
// first line that is indented less.
func (b *Buildspec) find(c Command, piece string) (diag.Problem, bool) {
	for n := c.Line; n <= len(b.lines); n++ {
		text := b.lineAt(n)
		if n > c.Line && strings.TrimSpace(text) != "" && indentOf(text) < c.Column-1 {
			return diag.Problem{}, false
		}
		start := 0
		if n == c.Line {
			start = len(string([]rune(text)[:min(c.Column-1, len([]rune(text)))]))
		}
		if at := strings.Index(text[start:], piece); at >= 0 {
			return b.at(c, n, len([]rune(text[:start+at]))+1, len([]rune(piece))), true
		}
	}
	return diag.Problem{}, false
}

// lineOf returns the line of a text with a number, or "" if there is no such line.
func lineOf(text string, n int) string {
	lines := strings.SplitN(text, "\n", n+1)
	if n > len(lines) {
		return ""
	}
	return lines[n-1]
}

// at returns a problem in a command, without a message.
func (b *Buildspec) at(c Command, line, column, width int) diag.Problem {
	p := b.At(line, column, width, "")
	p.Path = c.Path
	return p
}

func (b *Buildspec) lineAt(n int) string {
	if n < 1 || n > len(b.lines) {
		return ""
	}
	return b.lines[n-1]
}
