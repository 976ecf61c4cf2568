package buildspec

import (
	"cmp"
	"fmt"
	"slices"

	"gopkg.in/yaml.v3"

	"github.com/buildlocal/buildlocal/internal/diag"
)

// upperName matches the usual form of variable names.
var upperName = lazy(`^[A-Z][A-Z0-9_]+$`)

// unknown reports an unknown key. As in CodeBuild it is a warning, except that an unknown
// phase is an error.
func (p *parser) unknown(def *Key, e entry, beside []entry, at where) {
	path := join(at.path, e.name)
	known := def.names(p.spec.Version)
	if def.RejectsOther {
		if p.full(diag.Error) {
			return
		}
		problem := p.fail(UnknownPhase, e.key, path, "unknown phase %q", short(e.name))
		problem.Hint = cmp.Or(diag.Question(e.name, known), sectionHint(e.name, at.path), diag.Choice(e.name, known))
		problem.Service = fmt.Sprintf("Invalid buildspec phase name: %s. "+
			"Expecting: build,install,post_build,pre_build", diag.Printable(e.name))
		problem.Fix = rename(e.key, known, beside)
		return
	}
	p.spec.Unknown = append(p.spec.Unknown, UnknownInSection{Section: sectionOf(at), Key: e.name})
	// Suggestions are expensive, and a document can have tens of thousands of unknown keys.
	if p.full(diag.Warning) {
		return
	}
	place := "in " + at.path
	if at.path == "" {
		place = "at the top level"
	}
	problem := p.warn(UnknownKey, e.key, path, "unknown key %q %s", short(e.name), place)
	problem.Hint = p.keyHint(def, e.name, at)
	problem.Fix = rename(e.key, known, beside)
}

// keyHint suggests a similar key of the section, or the section in which the key is
// known. If there is neither, it lists the keys of the section.
func (p *parser) keyHint(def *Key, name string, at where) string {
	known := def.names(p.spec.Version)
	if question := diag.Question(name, known); question != "" {
		return question
	}
	if env, has := def.Find("env"); has && at.path != "" {
		if _, isEnv := env.Find(name); isEnv {
			return "it belongs in env"
		}
	}
	if _, has := def.Find("variables"); has && upperName().MatchString(name) {
		return "variables belong in variables"
	}
	return cmp.Or(sectionHint(name, at.path), diag.Choice(name, known))
}

// sectionOf returns CodeBuild's name of a section.
func sectionOf(at where) string {
	if at.path == "" {
		return "buildspec"
	}
	return at.section
}

// rename returns a fix that replaces a misspelled key, or nil if the correct key is
// already present. The fix is safe if the two differ only in case, - and _, or if the key is the only
// one that differs by a slip of the pen. Quoted keys and anchors are left to the author.
func rename(key *yaml.Node, known []string, beside []entry) *diag.Fix {
	meant := diag.Suggest(key.Value, known)
	if meant == "" || key.Style != 0 || key.Anchor != "" {
		return nil
	}
	same := 0
	for _, e := range beside {
		if diag.SameLetters(e.name, meant) {
			same++
		}
		if e.name == meant || same > 1 { // the fix would create a duplicate key
			return nil
		}
	}
	safe := diag.SameLetters(key.Value, meant) || onlySlip(key.Value, meant, known, beside)
	return &diag.Fix{Title: fmt.Sprintf("write %q", meant), Safe: safe,
		Edits: []diag.Edit{{Line: key.Line, Column: key.Column, Old: key.Value, Text: meant}}}
}

// maxCompared is the largest number of keys of a section that are compared with each other.
const maxCompared = 100

// onlySlip reports whether a key is a misspelling of meant, and of no other known key, and no key
// beside it is one too.
func onlySlip(name, meant string, known []string, beside []entry) bool {
	if diag.Slip(name, known) != meant || len(beside) > maxCompared {
		return false
	}
	return !slices.ContainsFunc(beside, func(e entry) bool { return e.name != name && diag.Slip(e.name, known) == meant })
}

// sectionHint returns a hint if a key is known in exactly one other section. Sections of
// batch do not count, because their keys repeat those of others.
func sectionHint(name, path string) string {
	var homes []string
	var visit func(k *Key, at string)
	visit = func(k *Key, at string) {
		for i := range k.Keys {
			key := &k.Keys[i]
			if at == "" && key.Name == "batch" || key.Only01 {
				continue
			}
			if key.Name == name && at != "" {
				homes = append(homes, at)
			}
			visit(key, join(at, key.Name))
		}
	}
	visit(reference, "")
	if phase := diag.Suggest(name, phasesKey.names("")); phase != "" && diag.SameLetters(phase, name) && path != "" {
		return "it belongs in phases, as " + phase
	}
	if _, top := reference.Find(name); top && path != "" {
		return "it belongs at the top level"
	}
	if len(homes) != 1 || homes[0] == path {
		return ""
	}
	return "it belongs in " + homes[0]
}
