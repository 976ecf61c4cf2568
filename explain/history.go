package explain

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/buildlocal/buildlocal/runner"
)

// Flaky lists earlier builds of the same files, at least one of which was green.
type Flaky struct {
	Green  []int `json:"green"`  // numbers of builds
	Failed []int `json:"failed"` // numbers of builds, without this one
}

// flaky returns the earlier builds of the same files; nil if none of them was green.
func flaky(r *runner.Record, earlier []*runner.Record) *Flaky {
	f := &Flaky{Green: []int{}, Failed: []int{}}
	for _, e := range earlier {
		switch {
		case !sameTree(e, r) || e.Partial != nil || len(e.ByHand) > 0:
		case e.Status == runner.Succeeded:
			f.Green = append(f.Green, e.Number)
		case e.Status == runner.Failed:
			f.Failed = append(f.Failed, e.Number)
		}
	}
	if len(f.Green) == 0 {
		return nil
	}
	return f
}

// Text describes the meaning of the earlier builds.
func (f *Flaky) Text() string {
	text := "the same files were green in " + numbers(f.Green)
	if len(f.Failed) > 0 {
		text += " and failed in " + numbers(f.Failed)
	}
	return text + ": the failure is flaky, or its cause is outside of the source"
}

// numbers returns the newest builds of a list.
func numbers(all []int) string {
	var parts []string
	for _, n := range all[:min(len(all), maxShown)] {
		parts = append(parts, "#"+itoa(n))
	}
	text := strings.Join(parts, ", ")
	if more := len(all) - maxShown; more > 0 {
		text += fmt.Sprintf(" and %d more", more)
	}
	return text
}

// Slow has the parts of a build that took longest, compared with earlier green builds.
type Slow struct {
	Builds   []int  `json:"comparedWith"` // numbers of builds
	Phases   []Part `json:"phases"`       // in their order
	Commands []Part `json:"commands"`     // the longest first
}

// Part is a phase or a command with its duration.
type Part struct {
	Name         string `json:"name"` // of the phase, or the place of the command
	Command      string `json:"command,omitempty"`
	Milliseconds int64  `json:"durationInMilliseconds"`
	Usual        int64  `json:"usualInMilliseconds"` // median of the builds that had it; 0 if none had
}

const (
	usualBuilds = 5 // builds that are compared
	maxParts    = 5 // commands that are listed
	// minPart is the shortest phase that is listed, and minShare the smallest part of the build.
	minPart, minShare = 100, 20
)

// slow returns the parts of a green build that took longest.
func slow(r *runner.Record, earlier []*runner.Record) *Slow {
	s := &Slow{Builds: []int{}, Phases: []Part{}, Commands: []Part{}}
	phases, commands := map[string][]int64{}, map[string][]int64{}
	for _, e := range earlier {
		if len(s.Builds) == usualBuilds {
			break
		}
		if e.Status != runner.Succeeded || e.Partial != nil || e.Restored != nil || len(e.ByHand) > 0 {
			continue
		}
		s.Builds = append(s.Builds, e.Number)
		for _, p := range e.Phases {
			phases[string(p.Type)] = append(phases[string(p.Type)], durationOf(p))
		}
		for _, c := range e.Commands {
			commands[c.Text] = append(commands[c.Text], c.Milliseconds)
		}
	}
	least := max(minPart, r.End.Sub(r.Start).Milliseconds()/minShare)
	for _, p := range r.Phases {
		if ms := durationOf(p); ms >= least {
			s.Phases = append(s.Phases, Part{string(p.Type), "", ms, median(phases[string(p.Type)])})
		}
	}
	for _, c := range r.Commands {
		s.Commands = append(s.Commands, Part{c.At, c.Text, c.Milliseconds, median(commands[c.Text])})
	}
	slices.SortStableFunc(s.Commands, func(a, b Part) int { return cmp.Compare(b.Milliseconds, a.Milliseconds) })
	s.Commands = s.Commands[:min(len(s.Commands), maxParts)]
	return s
}

// durationOf returns the duration of a phase; 0 for one that has no end.
func durationOf(p runner.PhaseRecord) int64 {
	if p.End.IsZero() {
		return 0
	}
	return p.End.Sub(p.Start).Milliseconds()
}

// median returns the median of durations; 0 without any.
func median(all []int64) int64 {
	if len(all) == 0 {
		return 0
	}
	sorted := slices.Sorted(slices.Values(all))
	return sorted[len(sorted)/2]
}

// Head returns the title of the parts.
func (s *Slow) Head() string {
	if len(s.Builds) == 0 {
		return "time, by phase and command"
	}
	return "time, by phase and command, and the median of " + numbers(s.Builds)
}

// Compared returns the usual duration of a part, and the difference if it is large.
func (p Part) Compared() string {
	const much, least = 20, 100 // percent and milliseconds
	switch change := p.Milliseconds - p.Usual; {
	case p.Usual == 0:
		return "new"
	case max(change, -change) < max(least, p.Usual*much/100):
		return "usually " + took(p.Usual)
	case change > 0:
		return "usually " + took(p.Usual) + ", slower by " + took(change)
	default:
		return "usually " + took(p.Usual) + ", faster by " + took(-change)
	}
}

// Took returns the duration of a part in words.
func (p Part) Took() string { return took(p.Milliseconds) }

// Text returns the first line of the command of a part; "" for a phase.
func (p Part) Text() string {
	first, more, _ := strings.Cut(strings.TrimSpace(p.Command), "\n")
	if more != "" {
		first += " …"
	}
	return first
}
