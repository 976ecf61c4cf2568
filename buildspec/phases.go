package buildspec

import (
	"fmt"
	"strings"

	"gopkg.in/yaml.v3"

	"github.com/buildlocal/buildlocal/internal/diag"
)

func (p *parser) phases(v value) {
	for _, f := range v.fields {
		p.phase(f, join("phases", f.key.Value))
	}
}

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
		p.fail(FinallyAlone, v.key, join(path, "finally"), "finally without commands: expected commands: beside it in %s, with what is to be done first", path)
	}
	p.spec.Phases = append(p.spec.Phases, phase)
}

// needsCommands reports whether a phase cannot do without commands (documented:
// all but install).
func needsCommands(phase string) bool { return phase != "install" }

func (p *parser) onFailure(node *yaml.Node, text, path string) OnFailure {
	o, err := ParseOnFailure(text)
	if err != nil {
		p.fail(BadValue, node, path, "%v", err)
	}
	return o
}

func (p *parser) runtimes(v value, phase, path string) []Variable {
	if phase != "INSTALL" {
		p.warn(IgnoredKey, v.key, path, "runtime-versions counts only in install and is ignored here")
		return nil
	}
	return variablesOf(v.fields)
}

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

// commandLine is where the text of a command begins: below the | of a block.
func commandLine(node *yaml.Node) int {
	if node.Style&(yaml.LiteralStyle|yaml.FoldedStyle) != 0 {
		return node.Line + 1
	}
	return node.Line
}

// commandColumn is where the text of a command begins in that line.
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

// isCommand reports whether an item of commands or finally is a script, and
// notes what it is instead.
func (p *parser) isCommand(node *yaml.Node, at where) bool {
	switch {
	case node.Kind == yaml.MappingNode:
		p.mappingCommand(node, at)
	case node.Kind == yaml.SequenceNode:
		problem := p.fail(CommandNotText, node, at.path, "%s is a list; expected a command: put it in quotes", at.path)
		if strings.HasPrefix(p.behind(node), "- ") {
			problem.Message = at.path + " is a list, because of its second dash; expected a command behind one"
		}
		problem.Service = fmt.Sprintf("Expected %s to be of string type: found list instead at line %d", serviceItem(at.path), node.Line)
		p.bracketed(problem, node, "[ ", " ]")
	case isNull(node):
		p.fail(EmptyCommand, node, at.path, "%s is empty; expected a command", at.path)
	case strings.ContainsRune(node.Value, 0):
		p.fail(BadValue, node, at.path, "the command holds a NUL byte, which no shell can read")
	default:
		return true
	}
	return false
}

// serviceItem is what the service calls commands[2]: Commands[2].
func serviceItem(path string) string {
	name := path[strings.LastIndex(path, ".")+1:]
	return strings.ToUpper(name[:1]) + name[1:]
}

// mappingCommand explains a command that YAML took for a mapping. The service's
// words are observed; it counts from zero.
func (p *parser) mappingCommand(node *yaml.Node, at where) {
	var problem *diag.Problem
	switch {
	case node.Style&yaml.FlowStyle != 0 && !strings.HasPrefix(p.behind(node), "{"):
		problem = p.fail(CommandNotText, node, at.path, `%s is a mapping, because of the ": " in it; expected a command: put it in quotes`, at.path)
	case node.Style&yaml.FlowStyle != 0:
		problem = p.fail(CommandNotText, node, at.path, "%s is a mapping, because of its braces; expected a command: put it in quotes", at.path)
		p.bracketed(problem, node, "{ ", "; }")
	case oneLine(node) && p.endsThere(node):
		i := quote(p.line(node.Line), node.Column)
		problem = p.fail(CommandNotText, node, at.path, `%s is a mapping, because of the ": " in it; expected a command: put it in quotes, as in - %s`, at.path, i.quoted+foreign(node))
		problem.Width = max(1, len([]rune(i.text)))
		if p.isItem(node, i) {
			problem.Fix = i.fix(node.Line)
			problem.Fix.Safe = strings.ContainsAny(node.Content[0].Value, " \t") // else it may be a step of another service
		}
	case !p.endsThere(node) && len(node.Content) == 2:
		problem = p.fail(CommandNotText, node, at.path, `%s is a mapping, because of a ": " in it; expected a command: put all of it in quotes, or behind a |`, at.path)
	default:
		problem = p.fail(CommandNotText, node, at.path, "%s is a mapping; expected a command, which is text%s", at.path, foreign(node))
	}
	problem.Service = fmt.Sprintf("Expected %s to be of string type: found subkeys instead at line %d, value of the key tag on line %d might be empty", serviceItem(at.path), node.Line, node.Line-1)
}

// behind is the rest of the line where a node begins.
func (p *parser) behind(node *yaml.Node) string {
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

// foreign explains what has the shape of another service's steps.
func foreign(node *yaml.Node) string {
	for i := 0; i+1 < len(node.Content); i += 2 {
		if key := node.Content[i].Value; key == "run" || key == "uses" {
			return "; this is a step as GitHub Actions has them"
		}
	}
	return ""
}

// bracketed shows a test or a group of a shell in quotes, where a whole item is
// one.
func (p *parser) bracketed(problem *diag.Problem, node *yaml.Node, opening, closing string) {
	if len(p.line(node.Line)) > 1000 || !p.endsThere(node) {
		return
	}
	i := quote(p.line(node.Line), node.Column)
	if !strings.HasPrefix(i.text, opening) || !strings.Contains(i.text, closing) || !strings.HasSuffix(strings.TrimRight(string([]rune(p.line(node.Line))[:node.Column-1]), " "), "-") {
		return
	}
	problem.Message += ", as in - " + i.quoted
	problem.Fix = i.fix(node.Line)
}

// oneLine reports whether a mapping is one key and one text in one line.
func oneLine(node *yaml.Node) bool {
	if len(node.Content) != 2 || node.Style&yaml.FlowStyle != 0 {
		return false
	}
	key, value := node.Content[0], node.Content[1]
	return key.Kind == yaml.ScalarNode && value.Kind == yaml.ScalarNode && value.Line == node.Line &&
		value.Style&(yaml.LiteralStyle|yaml.FoldedStyle) == 0 && value.Anchor == "" && key.Anchor == ""
}

// isItem reports whether a node is a whole list item, and whether in quotes it
// would be the text that is written.
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

// endsThere reports whether the text of a mapping goes on in no further line.
func (p *parser) endsThere(node *yaml.Node) bool {
	next := p.line(node.Line + 1)
	return strings.TrimSpace(next) == "" || indentOf(next) < node.Column-1
}

// Problem returns a problem with some characters of a command's text: lines of
// the text and columns count from 1. Where YAML has joined lines or taken quotes
// away, the place is looked for; where it is not found, the whole command is
// meant.
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

// find looks for a piece of a command in its lines.
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

func lineOf(text string, n int) string {
	lines := strings.SplitN(text, "\n", n+1)
	if n > len(lines) {
		return ""
	}
	return lines[n-1]
}

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
