package build

import (
	"github.com/buildlocal/buildlocal/runner"
)

// shownPlan is the plan of a build as JSON. Secrets in it are masked.
type shownPlan struct {
	Version   int              `json:"version"`
	Project   string           `json:"projectName"`
	Number    int              `json:"buildNumber"`
	Engine    string           `json:"engine,omitempty"`
	Image     *string          `json:"image"` // null if the build runs without one
	StandIn   string           `json:"standIn,omitempty"`
	Place     string           `json:"place,omitempty"` // description of an environment without an image
	File      string           `json:"buildspec"`
	Shell     string           `json:"shell"`
	Timeout   int64            `json:"timeoutInMilliseconds"`
	Sources   []shownSource    `json:"sources"`
	Variables []shownVariable  `json:"variables"`
	Phases    []shownPhase     `json:"phases"`
	Artifacts []string         `json:"artifacts"` // patterns
	Cache     []string         `json:"cachePaths"`
	Notes     []string         `json:"notes"`
	Partial   *runner.Partial  `json:"partial,omitempty"`
	Restored  *runner.Restored `json:"restored,omitempty"`
}

type shownSource struct {
	ID   string `json:"identifier,omitempty"`
	Host string `json:"directory"`
	Path string `json:"path"` // in the build
	Note string `json:"note,omitempty"`
}

type shownVariable struct {
	Name   string   `json:"name"`
	Value  string   `json:"value"` // of a variable from a store its reference
	Origin string   `json:"origin"`
	Hides  []string `json:"hides,omitempty"` // origins of the replaced definitions, nearest first
}

type shownPhase struct {
	Type     runner.PhaseType `json:"phaseType"`
	Omitted  runner.Status    `json:"omitted,omitempty"` // LEFT_OUT or RESTORED
	RunAs    string           `json:"runAs,omitempty"`
	Commands []shownCommand   `json:"commands"`
	Finally  []shownCommand   `json:"finally"`
}

type shownCommand struct {
	Line int    `json:"line"`
	Text string `json:"command"`
}

// planJSON returns the plan for programs.
func planJSON(p *runner.Plan) shownPlan {
	s := shownPlan{Version: 1, Partial: p.Partial, Restored: p.Restored,
		Project: p.Identity.Project, Number: p.Identity.Number, Engine: p.Engine,
		StandIn: p.StandIn, Place: p.Place, File: p.File, Shell: p.Shell, Timeout: p.Timeout.Milliseconds(),
		Sources:   []shownSource{},
		Variables: []shownVariable{}, Phases: []shownPhase{}, Artifacts: []string{}, Cache: []string{}, Notes: []string{}}
	if p.Place == "" {
		s.Image = &p.Image
	}
	for _, source := range p.Sources {
		s.Sources = append(s.Sources, shownSource{source.ID, source.Tree.Host, source.Path, source.Note})
	}
	for _, v := range p.Variables {
		s.Variables = append(s.Variables, shownVariable{v.Name, p.MaskText(v.Shown()), v.Origin, v.Hides})
	}
	for _, phase := range p.Phases {
		if !phase.Written {
			continue
		}
		shown := shownPhase{Type: phase.Type, RunAs: phase.RunAs, Commands: []shownCommand{}, Finally: []shownCommand{}}
		switch {
		case p.Restores(phase.Type):
			shown.Omitted = runner.RestoredStatus
		case p.LeavesOutPhase(phase.Type):
			shown.Omitted = runner.LeftOut
		}
		for _, c := range phase.Commands {
			shown.Commands = append(shown.Commands, shownCommand{c.Line, p.MaskText(c.Text)})
		}
		for _, c := range phase.Finally {
			shown.Finally = append(shown.Finally, shownCommand{c.Line, p.MaskText(c.Text)})
		}
		s.Phases = append(s.Phases, shown)
	}
	s.Restored = p.Restored
	if p.Artifacts != nil {
		s.Artifacts = append(s.Artifacts, p.Artifacts.Files...)
	}
	if p.Cache != nil {
		s.Cache = append(s.Cache, p.Cache.Paths...)
	}
	for _, note := range p.Notes {
		s.Notes = append(s.Notes, p.MaskText(note))
	}
	return s
}
