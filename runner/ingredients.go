package runner

import (
	"cmp"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/buildlocal/buildlocal/buildspec"
)

// Ingredient is one of the things on which the results of a phase depend. Phases with equal
// ingredients have equal results, as far as they depend on nothing else than them and the source.
type Ingredient struct {
	// Phase is the first phase that depends on it; empty for all.
	Phase PhaseType `json:"phase,omitempty"`
	Key   string    `json:"key"`  // identifies it among those of the phase
	Hash  string    `json:"hash"` // of its value, keyed
	// Label describes it for the user, such as "buildspec.yml:9 (INSTALL)".
	Label string `json:"label"`
}

// ingredientsVersion changes when old ingredients must not be compared with new ones.
const ingredientsVersion = "1"

// Ingredients returns everything on which the phases with commands depend, in their order. The hash is
// a keyed one, so that values cannot be guessed from it.
func (p *Plan) Ingredients(hash func(text string) string) []Ingredient {
	var all []Ingredient
	add := func(phase PhaseType, key, label string, value any) {
		text, _ := json.Marshal(value) // strings, numbers and lists of them
		all = append(all, Ingredient{phase, key, hash(key + "=" + string(text)), label})
	}
	add("", "version", "the version of buildlocal", ingredientsVersion)
	add("", "image", "the image", []string{p.Image, p.StandIn, p.Digest, p.Platform, p.Place})
	add("", "compute", "the compute type", []any{p.ComputeType, p.EnvironmentType, p.Limits})
	add("", "privileged", "privileged mode", []bool{p.Privileged, p.Socket, p.Metadata})
	add("", "shell", "env.shell", []any{p.Shell, p.Keep})
	add("", "network", "the network", []any{p.Network.Name, p.Network.Hosts, p.Binds})
	add("", "certificates", "the CA bundle", string(p.Certificates))
	add("", "sources", "the secondary sources", p.secondarySources())
	for _, v := range p.Runtimes {
		add("", "runtime "+v.Name, fmt.Sprintf("%s:%d (runtime-versions)", p.File, v.Line), v.Value)
	}
	p.variableIngredients(add)
	for _, phase := range p.Phases {
		if phase.Type == PostBuild || len(phase.Commands)+len(phase.Finally) == 0 {
			continue
		}
		label := fmt.Sprintf("%s (%s)", p.File, phase.Type)
		add(phase.Type, "settings", label, []any{phase.user(), onFailure(phase.OnFailure)})
		for _, finally := range []bool{false, true} {
			for i, c := range phase.list(finally) {
				at := CommandPlace(phase.Type, i+1, finally)
				add(phase.Type, at, fmt.Sprintf("%s:%d (%s)", p.File, c.Line, phase.Type), c.Text)
			}
		}
	}
	return all
}

func onFailure(o buildspec.OnFailure) string {
	text := fmt.Sprint(o.Action, o.Retries)
	if o.Match != nil {
		text += o.Match.String()
	}
	return text
}

// secondarySources returns the versions of the secondary sources. Their files are compared elsewhere.
func (p *Plan) secondarySources() []string {
	var all []string
	for _, s := range p.Sources[1:] {
		all = append(all, s.ID, s.URL, s.Version, s.Resolved)
	}
	return all
}

// variableIngredients adds the variables that do not belong to one build, and the region. A variable from
// a store counts with its reference.
func (p *Plan) variableIngredients(add func(phase PhaseType, key, label string, value any)) {
	variables := slices.Clone(p.Variables)
	slices.SortFunc(variables, func(a, b Variable) int { return cmp.Compare(a.Name, b.Name) })
	for _, v := range variables {
		if isVolatile(v.Name) || v.Origin == ServiceOrigin && v.Name != "AWS_REGION" {
			continue
		}
		value := v.Value.Reveal()
		if v.Stored != nil {
			value = string(v.Stored.Kind) + " " + v.Stored.Ref
		}
		add("", "variable "+v.Name, fmt.Sprintf("variable %s (%s)", v.Name, v.Origin), value)
	}
}

// UpTo returns the ingredients on which the results of a phase and of those before it depend.
func UpTo(all []Ingredient, phase PhaseType) []Ingredient {
	last := phaseOrder(phase)
	later := func(i Ingredient) bool { return i.Phase != "" && phaseOrder(i.Phase) > last }
	return slices.DeleteFunc(slices.Clone(all), later)
}

// phaseOrder returns the place of a phase in the order of a build.
func phaseOrder(t PhaseType) int {
	return slices.IndexFunc(rows, func(r row) bool { return r.phase == t })
}

// Difference describes the first ingredient that differs, or returns "". The old ones are those of
// UpTo for the same phase.
func Difference(old, now []Ingredient) string {
	key := func(i Ingredient) string { return string(i.Phase) + " " + i.Key }
	was := map[string]string{}
	for _, i := range old {
		was[key(i)] = i.Hash
	}
	for _, i := range now {
		hash, had := was[key(i)]
		switch delete(was, key(i)); {
		case !had:
			return i.Label + " is new"
		case hash != i.Hash:
			return i.Label + " changed"
		}
	}
	for _, i := range old {
		if _, left := was[key(i)]; !left {
			continue
		}
		if i.Phase != "" {
			return "a command of " + string(i.Phase) + " was removed"
		}
		return strings.TrimSpace(i.Label) + " was removed"
	}
	return ""
}

// Before returns the last phase with commands of which a snapshot can be taken before another phase, or
// "" without one.
func (p *Plan) Before(t PhaseType) PhaseType {
	last := PhaseType("")
	for _, phase := range p.Phases {
		if phaseOrder(phase.Type) < phaseOrder(t) && p.hasCheckpoint(phase.Type) {
			last = phase.Type
		}
	}
	return last
}

// PhasesUpTo returns the phases with commands up to one of them.
func (p *Plan) PhasesUpTo(t PhaseType) []PhaseType {
	var all []PhaseType
	for _, phase := range p.Phases {
		if phaseOrder(phase.Type) <= phaseOrder(t) && p.hasCheckpoint(phase.Type) {
			all = append(all, phase.Type)
		}
	}
	return all
}
