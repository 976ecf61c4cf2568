package buildspec

import (
	"fmt"
	"strings"

	"gopkg.in/yaml.v3"

	"github.com/buildlocal/buildlocal/internal/diag"
)

// upperName is how variables are named.
var upperName = lazy(`^[A-Z][A-Z0-9_]+$`)

// unknown notes a key nobody knows: a warning, as in the service, but for the
// name of a phase, which is an error.
func (p *parser) unknown(def *Key, e entry, beside []entry, at where) {
	path := join(at.path, e.name)
	known := def.names(p.spec.Version)
	if def.Closed {
		if p.full(diag.Error) {
			return
		}
		way := diag.DidYouMean(e.name, known)
		if way == "" {
			way = belongs(e.name, at.path)
		}
		problem := p.fail(UnknownPhase, e.key, path, "unknown phase %q%s (expected %s)", short(e.name), way, strings.Join(known, ", "))
		problem.Service = fmt.Sprintf("Invalid buildspec phase name: %s. Expecting: build,install,post_build,pre_build", diag.Printable(e.name))
		problem.Fix = rename(e.key, known, beside)
		return
	}
	p.spec.Unknown = append(p.spec.Unknown, UnknownInSection{Section: sectionOf(at), Key: e.name})
	if p.full(diag.Warning) {
		return
	}
	place := "in " + at.path
	if at.path == "" {
		place = "at the top"
	}
	way := diag.DidYouMean(e.name, known)
	if env, has := def.Find("env"); has && way == "" && at.path != "" {
		if _, belongs := env.Find(e.name); belongs {
			way = "; it belongs in env"
		}
	}
	if _, holds := def.Find("variables"); holds && way == "" && upperName().MatchString(e.name) {
		way = "; a variable belongs in variables"
	}
	if way == "" {
		way = belongs(e.name, at.path)
	}
	problem := p.warn(UnknownKey, e.key, path, "unknown key %q %s%s (expected %s)", short(e.name), place, way, strings.Join(known, ", "))
	problem.Fix = rename(e.key, known, beside)
}

// sectionOf is what the service calls the section of a place.
func sectionOf(at where) string {
	if at.path == "" {
		return "buildspec"
	}
	return at.section
}

// rename returns a fix that writes the key that is meant, unless that one is
// there already. It is safe where only case, - and _ differ.
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
		if e.name == meant || same > 1 { // two keys would become one
			return nil
		}
	}
	return &diag.Fix{Title: fmt.Sprintf("write %q", meant), Safe: diag.SameLetters(key.Value, meant),
		Edits: []diag.Edit{{Line: key.Line, Column: key.Column, Old: key.Value, Text: meant}}}
}

// belongs says where a key that stands in the wrong section belongs, if there is
// one place only outside batch.
func belongs(name, path string) string {
	var homes []string
	var visit func(k *Key, at string)
	visit = func(k *Key, at string) {
		for i := range k.Keys {
			key := &k.Keys[i]
			if at == "" && key.Name == "batch" || key.Old {
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
		return "; it belongs in phases, as " + phase
	}
	if _, top := reference.Find(name); top && path != "" {
		return "; it belongs at the top"
	}
	if len(homes) != 1 || homes[0] == path {
		return ""
	}
	return "; it belongs in " + homes[0]
}
