package runner

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// LeftOut is the status of a phase that the user has left out. The service has no such status.
const LeftOut Status = "LEFT_OUT"

// Parts selects parts of a build. The zero value is all of it.
type Parts struct {
	Only  []Where // phases whose commands run; empty for all
	Skip  []Where // phases and commands that do not run
	Until *Where  // the last command, phase or step; nil for the end

	NoArtifacts, NoReports, NoCache bool // steps that are left out
}

// Partial lists the parts of a build that are left out.
type Partial struct {
	LeftOut []string `json:"leftOut"` // places of commands (see Event.At), artifacts, reports and cache
}

// Choose leaves out all other parts of the plan. It must be called before the plan runs, at most
// once. The errors are one for each Where that does not fit, by its text; with the key "" there is
// nothing left to run.
func (p *Plan) Choose(parts Parts) map[string]error {
	errs := map[string]error{}
	places := p.Places()
	left := map[string]bool{}
	leave := func(which func(i int, c Place) bool) {
		for i, c := range places {
			left[c.At] = left[c.At] || which(i, c)
		}
	}
	if len(parts.Only) > 0 {
		only := map[PhaseType]bool{}
		for _, w := range parts.Only {
			only[w.Phase] = true
			errs[w.Text] = checkPart(p, w, false)
		}
		leave(func(_ int, c Place) bool { return !only[c.Phase] })
	}
	for _, w := range parts.Skip {
		if errs[w.Text] = checkPart(p, w, true); errs[w.Text] == nil {
			leave(func(_ int, c Place) bool { return w.names(c) })
		}
	}
	if w := parts.Until; w != nil && w.Phase != UploadArtifacts {
		parts.NoArtifacts, parts.NoReports, parts.NoCache = true, true, true
		if errs[w.Text] = checkPart(p, *w, true); errs[w.Text] == nil {
			last := lastOf(places, *w)
			leave(func(i int, _ Place) bool { return i > last })
		}
	}
	p.leave(places, left, parts)
	if len(places) > 0 && len(left) > 0 && !slices.ContainsFunc(places, func(c Place) bool { return !left[c.At] }) {
		errs[""] = fmt.Errorf("nothing is left to run; %s", p.listPlaces())
	}
	for text, err := range errs {
		if err == nil {
			delete(errs, text)
		}
	}
	return errs
}

// checkPart returns an error for a Where that is not a phase with commands or, if that is allowed, a
// command.
func checkPart(p *Plan, w Where, commands bool) error {
	if w.Phase == "" || w.Phase == DownloadSource || w.End || w.Event != "" || !commands && w.Index > 0 {
		expected := "a phase (install, pre_build, build or post_build)"
		if commands {
			expected += " or a command (build:2)"
		}
		return fmt.Errorf("expected %s", expected)
	}
	if w.Phase == UploadArtifacts {
		return fmt.Errorf("expected a phase with commands; --skip artifacts,reports leaves these out")
	}
	_, err := p.resolvePhase(w)
	return err
}

// names reports whether a Where names a command, or the phase that has it.
func (w Where) names(c Place) bool {
	return w.Phase == c.Phase && (w.Index == 0 || w.Index == c.Index && w.Finally == c.Finally)
}

// lastOf returns the index of the last command that a Where names.
func lastOf(places []Place, w Where) int {
	last := -1
	for i, c := range places {
		if w.names(c) {
			last = i
		}
	}
	return last
}

// leave records the parts that are left out.
func (p *Plan) leave(places []Place, left map[string]bool, parts Parts) {
	var names []string
	for _, c := range places {
		if left[c.At] {
			names = append(names, c.At)
		}
	}
	if parts.NoArtifacts && p.Artifacts != nil {
		names, p.Artifacts = append(names, "artifacts"), nil
	}
	if parts.NoReports && len(p.Reports) > 0 {
		names, p.Reports = append(names, "reports"), nil
	}
	if parts.NoCache && p.Cache != nil {
		names, p.Cache = append(names, "cache"), nil
	}
	if len(names) > 0 {
		p.Partial = &Partial{LeftOut: names}
	}
}

// LeavesOut reports whether a command does not run.
func (p *Plan) LeavesOut(at string) bool {
	return p.Partial != nil && slices.Contains(p.Partial.LeftOut, at)
}

// LeavesOutPhase reports whether no command of a phase with commands runs.
func (p *Plan) LeavesOutPhase(t PhaseType) bool {
	phase := p.phase(t)
	if p.Partial == nil || len(phase.Commands)+len(phase.Finally) == 0 {
		return false
	}
	name := strings.ToLower(string(t)) + ":"
	n := 0
	for _, at := range p.Partial.LeftOut {
		if strings.HasPrefix(at, name) {
			n++
		}
	}
	return n == len(phase.Commands)+len(phase.Finally)
}

// leaveOut records a phase that does not run. The log, which has the form of the service's, does not
// mention it.
func (rec *recorder) leaveOut(t PhaseType) {
	now := rec.now()
	rec.update(func(r *Record) {
		r.Phases = append(r.Phases, PhaseRecord{Type: t, Status: LeftOut, Start: now, End: now, Duration: time.Duration(0)})
	})
}
