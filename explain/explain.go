// Package explain says why a build failed, or where the time of a successful one went, from the
// records of builds alone.
//
// New is a function of its arguments: it has rules and no state, reads no files and asks no service,
// so that one build always has the same explanation. A [Report] never contains the value of a
// variable, because people paste it into tickets.
package explain

import (
	"iter"
	"slices"
	"strings"
	"time"

	"github.com/buildlocal/buildlocal/internal/human"
	"github.com/buildlocal/buildlocal/runner"
)

// Report explains a build. As JSON it has the shape of schema.json.
type Report struct {
	Version int      `json:"version"` // of this format: 1
	Build   Build    `json:"build"`
	Failure *Failure `json:"failure,omitempty"` // nil after success
	Since   *Since   `json:"since,omitempty"`   // nil without a green build before, and after success
	Flaky   *Flaky   `json:"flaky,omitempty"`   // nil if the same files were not green before
	Slow    *Slow    `json:"slow,omitempty"`    // nil unless the build succeeded

	Next []runner.NextStep `json:"nextSteps"`
}

// Build is the verdict of a build.
type Build struct {
	Number       int            `json:"number"`
	Project      string         `json:"project"`
	Status       runner.Status  `json:"status"`
	Milliseconds int64          `json:"durationInMilliseconds"`
	Commit       *runner.Commit `json:"commit,omitempty"` // nil outside of a git repository
	ByHand       bool           `json:"byHand,omitempty"` // the user changed the build at a stop
}

// Took returns the duration of the build.
func (b Build) Took() time.Duration { return time.Duration(b.Milliseconds) * time.Millisecond }

// Version describes the source, such as "main 1a2b3c4 + 2 files"; "" outside of a git repository.
func (b Build) Version() string {
	c := b.Commit
	if c == nil || c.ID == "" {
		return ""
	}
	text := strings.TrimSpace(c.Branch + " " + human.ShortCommit(c.ID))
	if c.Changed > 0 {
		text += " + " + human.Count(c.Changed, "file")
	}
	return text
}

// Failure is the first command, or else the first phase, that failed.
type Failure struct {
	At      string           `json:"at,omitempty"` // place of the command, see runner.Event.At; "" for a phase
	Phase   runner.PhaseType `json:"phase"`
	Command string           `json:"command,omitempty"`
	Exit    int              `json:"exitStatus,omitempty"`
	Meaning string           `json:"meaning,omitempty"` // of the exit status
	runner.Explanation
	Output []string `json:"output,omitempty"` // the lines that explain the failure
}

// maxOutput is the number of lines of output in a report.
const maxOutput = 20

// maxEarlier is how many earlier builds are looked at.
const maxEarlier = 50

// New explains a build. earlier are the records of other builds with lower numbers, the newest
// first.
func New(r *runner.Record, earlier iter.Seq[*runner.Record]) *Report {
	report := &Report{Version: 1, Build: buildOf(r)}
	same := sameProject(r, earlier)
	if r.Status == runner.Succeeded {
		report.Slow = slow(r, same)
	} else {
		report.Failure = failureOf(r)
		report.Since = since(r, lastGreen(r, same))
		report.Flaky = flaky(r, same)
	}
	report.Next = nextSteps(report)
	return report
}

func buildOf(r *runner.Record) Build {
	return Build{
		Number: r.Number, Project: r.Project, Status: r.Status, Milliseconds: r.End.Sub(r.Start).Milliseconds(),
		Commit: r.Commit, ByHand: len(r.ByHand) > 0,
	}
}

// sameProject returns the earlier builds of the same project, of which a limited number is looked
// at.
func sameProject(r *runner.Record, earlier iter.Seq[*runner.Record]) []*runner.Record {
	var all []*runner.Record
	looked := 0
	for other := range earlier {
		if other.Project == r.Project && other.Number < r.Number {
			all = append(all, other)
		}
		if looked++; looked == maxEarlier {
			break
		}
	}
	return all
}

// failureOf returns the first failure of a build; nil if no phase failed.
func failureOf(r *runner.Record) *Failure {
	if len(r.Failures) > 0 && r.Failures[0].Command < len(r.Commands) {
		first := r.Failures[0]
		c := r.Commands[first.Command]
		f := &Failure{At: c.At, Phase: c.Phase, Command: c.Text, Exit: c.Exit, Explanation: first.Explanation}
		f.Meaning = runner.ExitMeaning(c.Exit)
		for _, line := range first.Output[max(0, len(first.Output)-maxOutput):] {
			f.Output = append(f.Output, line.Text)
		}
		return f
	}
	for _, p := range r.Phases {
		if p.Status == "" || p.Status == runner.Succeeded {
			continue
		}
		f := &Failure{Phase: p.Type}
		if p.Failure != nil {
			f.Explanation = *p.Failure
		}
		for _, c := range p.Contexts {
			if f.Message == "" {
				f.Message = strings.TrimPrefix(c.StatusCode+": "+c.Message, ": ")
			}
		}
		return f
	}
	return nil
}

// Named returns the files that the output of the first failed command names: by their path, or by
// the name alone if it is no common word.
func Named(files []string, r *runner.Record) []string {
	if len(r.Failures) == 0 {
		return nil
	}
	var text strings.Builder
	for _, line := range r.Failures[0].Output {
		text.WriteString(line.Text + "\n")
	}
	var named []string
	for _, file := range files {
		base := file[strings.LastIndexByte(file, '/')+1:]
		if containsWord(text.String(), file) || strings.Contains(base, ".") && containsWord(text.String(), base) {
			named = append(named, file)
		}
	}
	return named[:min(len(named), maxNamed)]
}

// maxNamed is how many files that the output names are listed.
const maxNamed = 10

// containsWord reports whether a text has a name that is not a part of a longer one.
func containsWord(text, name string) bool {
	for {
		at := strings.Index(text, name)
		if at < 0 {
			return false
		}
		end := at + len(name)
		if (at == 0 || !inName(text[at-1])) && (end == len(text) || !inName(text[end])) {
			return true
		}
		text = text[end:]
	}
}

// inName reports whether a byte continues the name of a file.
func inName(c byte) bool {
	return c == '_' || c == '-' || c >= '0' && c <= '9' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= 0x80
}

// nextSteps returns the commands that lead on.
func nextSteps(r *Report) []runner.NextStep {
	if r.Build.Status == runner.Succeeded {
		return []runner.NextStep{}
	}
	steps := []runner.NextStep{}
	if f := r.Failure; f != nil {
		if f.At != "" {
			steps = append(steps, runner.NextStep{Command: "buildlocal debug", Purpose: "stop at the failing command"})
			steps = append(steps, runner.NextStep{
				Command: "buildlocal logs " + itoa(r.Build.Number) + " " + f.At, Purpose: "read all of its output"})
		} else {
			steps = append(steps, runner.NextStep{
				Command: "buildlocal logs " + itoa(r.Build.Number), Purpose: "read the output"})
		}
		if slices.ContainsFunc(f.Hints, func(h string) bool { return strings.HasPrefix(h, "lint: ") }) {
			steps = append(steps, runner.NextStep{
				Command: "buildlocal validate", Purpose: "show the problems of the failing lines"})
		}
	}
	if r.Build.Status == runner.Fault {
		steps = append(steps, runner.NextStep{Command: "buildlocal doctor", Purpose: "check this host"})
	}
	return steps
}

// Status returns how the command ended.
func (f *Failure) Status() string { return "command failed with exit status " + itoa(f.Exit) }
