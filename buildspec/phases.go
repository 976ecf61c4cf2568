package buildspec

import (
	"fmt"
	"slices"
	"strings"

	"gopkg.in/yaml.v3"

	"github.com/buildlocal/buildlocal/internal/diag"
)

func (p *parser) phases(node *yaml.Node) {
	entries := p.entries(node, "phases")
	for _, e := range entries {
		if !slices.Contains(phaseNames, strings.ToLower(e.name)) {
			p.fail(e.key, "phases."+e.name, "unknown phase %q%s (expected %s)", e.name, diag.DidYouMean(e.name, phaseNames), strings.Join(phaseNames, ", ")).
				Service = fmt.Sprintf("Invalid buildspec phase name: %s. Expecting: build,install,post_build,pre_build", e.name)
			continue
		}
		p.phase(e)
	}
}

func (p *parser) phase(e entry) {
	path := "phases." + e.name
	phase := Phase{Name: strings.ToUpper(e.name), Line: e.key.Line}
	for _, field := range p.entries(e.value, path) {
		name := join(path, field.name)
		p.warnNewer(field, path, newPhaseKeys)
		switch field.name {
		case "run-as":
			phase.RunAs = p.text(field.value, name)
		case "on-failure":
			phase.OnFailure = p.onFailure(field.value, name)
		case "runtime-versions":
			phase.Runtimes = p.runtimes(field, phase.Name, name)
		case "commands":
			phase.Commands = p.commands(field.value, name, "Commands")
		case "finally":
			phase.Finally = p.commands(field.value, name, "Finally")
		case "steps":
			p.warn(field.key, name, "steps, the syntax of GitHub Actions, was withdrawn by the service and is ignored; write commands")
		default:
			p.unknown(field, phase.Name, path, phaseKeys)
		}
	}
	p.spec.Phases = append(p.spec.Phases, phase)
}

func (p *parser) onFailure(node *yaml.Node, path string) OnFailure {
	o, err := ParseOnFailure(p.text(node, path))
	if err != nil {
		p.fail(node, path, "%v", err)
	}
	return o
}

func (p *parser) runtimes(e entry, phase, path string) []Variable {
	all := p.variables(e.value, path)
	if phase != "INSTALL" {
		p.warn(e.key, path, "runtime-versions counts only in install and is ignored here")
		return nil
	}
	return all
}

// commands reads a list of scripts; one script alone is a list of one.
func (p *parser) commands(node *yaml.Node, path, section string) []Command {
	var all []Command
	for i, item := range p.items(node) {
		where := fmt.Sprintf("%s[%d]", path, i)
		if item.Kind != yaml.ScalarNode {
			p.notText(item, where, fmt.Sprintf("%s[%d]", section, i))
			continue
		}
		if isNull(item) && item.Value == "" {
			p.fail(item, where, "%s is empty; expected a command", where)
			continue
		}
		if strings.ContainsRune(item.Value, 0) {
			p.fail(item, where, "the command holds a NUL byte, which no shell can read")
			continue
		}
		block := item.Style&yaml.LiteralStyle != 0
		all = append(all, Command{Text: item.Value, Line: commandLine(item), Column: p.commandColumn(item), Block: block})
	}
	return all
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
	line := p.line(commandLine(node))
	if commandLine(node) == node.Line {
		return node.Column
	}
	return 1 + len(line) - len(strings.TrimLeft(line, " "))
}

// notText explains a command that YAML took for something else. The service's
// words are observed; it counts from zero.
func (p *parser) notText(node *yaml.Node, path, service string) {
	if node.Kind == yaml.SequenceNode {
		p.fail(node, path, "%s is a list; expected a command: put it in quotes", path).
			Service = fmt.Sprintf("Expected %s to be of string type: found list instead at line %d", service, node.Line)
		return
	}
	quoted := "'" + strings.ReplaceAll(strings.TrimPrefix(strings.TrimSpace(p.line(node.Line)), "- "), "'", "''") + "'"
	problem := p.fail(node, path, `%s is a mapping, because of the ": " in it; expected a command: put it in quotes, as in - %s`, path, quoted)
	problem.Width = max(1, len([]rune(problem.Excerpt))-node.Column+1)
	problem.Service = fmt.Sprintf("Expected %s to be of string type: found subkeys instead at line %d, value of the key tag on line %d might be empty", service, node.Line, node.Line-1)
}

func (p *parser) line(n int) string {
	if n < 1 || n > len(p.spec.lines) {
		return ""
	}
	return p.spec.lines[n-1]
}
