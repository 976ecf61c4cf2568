package page

import (
	"cmp"
	"slices"
	"strings"
	"time"

	"github.com/buildlocal/buildlocal/internal/diag"
	"github.com/buildlocal/buildlocal/internal/human"
	"github.com/buildlocal/buildlocal/reports"
	"github.com/buildlocal/buildlocal/runner"
)

// Summary is one build in the index and in the trend of a page. It is stored beside the
// builds, so its fields are only ever added.
type Summary struct {
	Name    string        `json:"name"` // of the build's directory
	Number  int           `json:"number"`
	Project string        `json:"project"`
	Status  runner.Status `json:"status"`
	Start   time.Time     `json:"start"`
	Seconds float64       `json:"seconds"` // duration of the build
	Commit  string        `json:"commit,omitempty"`
	Subject string        `json:"subject,omitempty"`
	Branch  string        `json:"branch,omitempty"`
	Where   string        `json:"where"`              // engine and image, for people
	Failed  string        `json:"failedIn,omitempty"` // the first command, or the phase, that failed
	Passed  int           `json:"passed"`             // test cases
	Bad     int           `json:"bad"`                // failed or with an error
	Newly   int           `json:"newlyFailing,omitempty"`
	Skipped int           `json:"skipped"`
	Lines   *float64      `json:"coveredLines,omitempty"` // percent; nil for no coverage
}

// phaseNames are the phases in words.
var phaseNames = map[runner.PhaseType]string{
	runner.Submitted: "Submitted", runner.Queued: "Queued", runner.Provisioning: "Provisioning",
	runner.DownloadSource: "Download source", runner.Install: "Install", runner.PreBuild: "Pre-build",
	runner.Build: "Build", runner.PostBuild: "Post-build", runner.UploadArtifacts: "Upload artifacts",
	runner.Finalizing: "Finalizing",
}

// buildTable is the data of the overview and of the views Artifacts and Environment.
type buildTable struct {
	Project   string             `json:"project"`
	Number    int                `json:"number"`
	Status    runner.Status      `json:"status"`
	Seconds   float64            `json:"seconds"`
	Phases    []phase            `json:"phases"`
	Commands  []command          `json:"commands"`
	Failures  []runner.Failure   `json:"failures"`
	Changes   *runner.Changes    `json:"changes"`
	Usage     *runner.Series     `json:"usage"`
	Machine   *runner.Machine    `json:"machine"`
	Cache     *runner.CacheUse   `json:"cache"`
	Next      []runner.NextStep  `json:"next"`
	Groups    []group            `json:"groups"`
	Artifacts []artifact         `json:"artifacts"`
	Variables []variable         `json:"variables"`
	Exported  []runner.NameValue `json:"exported"`
	Facts     [][2]string        `json:"facts"` // name, value
	Trend     []Summary          `json:"trend"`
	Apart     bool               `json:"apart"`
}

// phase is a phase that ran. Times are in seconds.
type phase struct {
	Type    runner.PhaseType `json:"type"`
	Name    string           `json:"name"`
	Status  runner.Status    `json:"status"`
	Start   float64          `json:"start"` // from the beginning of the build
	Seconds float64          `json:"seconds"`
	Message string           `json:"message,omitempty"` // of a failure
	// Failure explains a failure without a command; nil if the message says everything.
	Failure *runner.Explanation `json:"failure,omitempty"`
}

// command is a command that ran. Times are in seconds.
type command struct {
	Phase   runner.PhaseType `json:"phase"`
	Text    string           `json:"text"`
	Line    int              `json:"line"`
	Exit    int              `json:"exit"`
	Note    string           `json:"note,omitempty"`  // such as attempt 2
	Start   *float64         `json:"start,omitempty"` // nil for builds that did not record it
	Seconds float64          `json:"seconds"`
	Memory  int64            `json:"memory,omitempty"` // highest, in bytes
	CPU     *float64         `json:"cpu,omitempty"`    // nil if it was not measured
}

// variable is a variable of the build's environment.
type variable struct {
	Name   string `json:"name"`
	Value  string `json:"value"`
	Type   string `json:"type"`
	Origin string `json:"origin"`
}

// artifact is one file of an artifact.
type artifact struct {
	Set   string `json:"set"` // "" for the primary artifact
	Path  string `json:"path"`
	Size  int64  `json:"size"`           // bytes
	Hash  string `json:"hash"`           // SHA-256
	Link  string `json:"link,omitempty"` // target of a symbolic link
	Local string `json:"local"`          // path from the page's directory; "" if it cannot be linked to
}

// buildData returns the data of a build. Secrets in it are masked already. Lists are never
// nil, because the scripts cannot use null.
func buildData(b Build) buildTable {
	t := buildTable{
		Phases: []phase{}, Commands: []command{}, Failures: []runner.Failure{}, Next: []runner.NextStep{},
		Groups: groups(b.Reports), Artifacts: []artifact{}, Variables: []variable{}, Exported: []runner.NameValue{},
		Facts: [][2]string{}, Trend: append([]Summary{}, b.Trend...), Apart: b.Apart,
	}
	for _, set := range b.Artifacts.Artifacts {
		for _, e := range set.Entries {
			t.Artifacts = append(t.Artifacts, artifact{
				Set: set.Identifier, Path: e.Path, Size: e.Size, Hash: e.SHA256, Link: e.Link,
				Local: local(b, set.Dir, e.Path),
			})
		}
	}
	r := b.Record
	if r == nil {
		return t
	}
	t.Project, t.Number, t.Status, t.Seconds = r.Project, r.Number, r.Status, since(r.Start, r.End)
	t.Changes, t.Usage, t.Machine, t.Cache = r.Changes, r.Usage, r.Machine, r.Cache
	t.Failures, t.Next = append(t.Failures, b.failures()...), append(t.Next, r.Next...)
	t.Exported = append(t.Exported, r.Exported...)
	for _, p := range r.Phases {
		if p.Status.IsOmitted() {
			continue // the phase did not run, or is COMPLETED
		}
		t.Phases = append(t.Phases, phase{
			Type: p.Type, Name: cmp.Or(phaseNames[p.Type], string(p.Type)), Status: p.Status, Start: since(r.Start, p.Start),
			Seconds: since(p.Start, p.End), Message: reasons(p.Contexts), Failure: p.Failure,
		})
	}
	for _, c := range r.Commands {
		t.Commands = append(t.Commands, commandOf(r, c))
	}
	for _, v := range r.Environment.Variables {
		t.Variables = append(t.Variables, variable{v.Name, v.Value, v.Type, v.Origin})
	}
	t.Facts = append(t.Facts, factsOf(r)...)
	return t
}

// since returns the seconds between two times. A phase may begin before the build by the
// clock, if that was set while it ran.
func since(from, to time.Time) float64 { return max(0, to.Sub(from).Seconds()) }

func commandOf(r *runner.Record, c runner.CommandRecord) command {
	out := command{
		Phase: c.Phase, Text: strings.TrimRight(c.Text, "\n"), Line: c.Line, Exit: c.Exit,
		Seconds: (time.Duration(c.Milliseconds) * time.Millisecond).Seconds(),
	}
	var notes []string
	if c.Finally {
		notes = append(notes, "finally")
	}
	if c.Attempt > 1 {
		notes = append(notes, "attempt "+itoa(c.Attempt))
	}
	if c.ByHand {
		notes = append(notes, "by hand")
	}
	out.Note = strings.Join(notes, ", ")
	if !c.Start.IsZero() {
		start := since(r.Start, c.Start)
		out.Start = &start
	}
	if c.Used != nil {
		out.Memory, out.CPU = c.Used.PeakMemory, &c.Used.CPU
	}
	return out
}

// factsOf returns facts that the view Environment lists.
func factsOf(r *runner.Record) [][2]string {
	facts := [][2]string{
		{"Build", r.ID}, {"Ran in", r.Environment.Place}, {"Image", imageOf(r)},
		{"Substitute", r.Environment.StandIn}, {"Image digest", r.Environment.ImageDigest},
		{"Platform", r.Environment.ImagePlatform}, {"Environment type", r.Environment.Type},
		{"Source version", r.SourceVersion}, {"Resolved version", r.ResolvedVersion}, {"Initiator", r.Initiator},
	}
	if r.Partial != nil {
		facts = append(facts, [2]string{"Left out", strings.Join(r.Partial.LeftOut, ", ")})
	}
	if r.Restored != nil {
		facts = append(facts, [2]string{"Restored", human.Series(r.Restored.Names()) + " of build " + r.Restored.Build})
	}
	if len(r.ByHand) > 0 {
		facts = append(facts, [2]string{"By hand", runner.ByHandText(r.ByHand)})
	}
	if r.Paused > 0 {
		stopped := time.Duration(r.Paused) * time.Millisecond
		facts = append(facts, [2]string{"Stopped for", human.Duration(stopped)})
	}
	if r.Commit != nil {
		facts = append(facts, [2]string{"Author", r.Commit.Author})
	}
	return slices.DeleteFunc(facts, func(f [2]string) bool { return f[1] == "" })
}

// imageOf returns the image that the build used, or the configured one with the remark that it
// was not used.
func imageOf(r *runner.Record) string {
	if image := unusedImage(r); image != "" {
		return image + " (not used)"
	}
	return r.Environment.Image
}

// unusedImage returns the configured image of a build that ran without it, or "". Records of
// older versions have it as the image.
func unusedImage(r *runner.Record) string {
	if r.Environment.Place == "" {
		return ""
	}
	return cmp.Or(r.Environment.Configured, r.Environment.Image)
}

// reasons returns the messages of the contexts of a phase.
func reasons(all []runner.Context) string {
	var parts []string
	for _, c := range all {
		if c.Message != "" {
			parts = append(parts, c.Message)
		}
	}
	return strings.Join(parts, "; ")
}

// group is one report, in words.
type group struct {
	Name   string         `json:"name"`
	Status reports.Status `json:"status"`
	Text   string         `json:"text"`
}

// groups returns the reports in words. Problems of their files are in the text.
func groups(set *reports.Set) []group {
	all := []group{}
	if set == nil {
		return all
	}
	for _, r := range set.Reports {
		var parts []string
		if r.Tests != nil {
			parts = append(parts, plural(r.Tests.Total, "test"))
			if n := r.Tests.Bad(); n > 0 {
				parts = append(parts, itoa(n)+" failed")
			}
			if r.Truncated {
				parts = append(parts, itoa(len(r.Cases))+" kept, as in CodeBuild")
			}
		}
		if text := r.Changes.String(); text != "" {
			parts = append(parts, text)
		}
		if r.Sum != nil {
			parts = append(parts, percent(r.Sum.Lines)+" of "+plural(r.Sum.Lines.Total(), "line")+" covered")
		}
		for _, p := range r.Problems {
			parts = append(parts, p.Error())
		}
		all = append(all, group{r.Group, r.Status, diag.Printable(strings.Join(parts, "; "))})
	}
	return all
}

// local returns the path of a file from the page, or "" if the page is elsewhere.
func local(b Build, dir, name string) string {
	if b.Apart {
		return ""
	}
	return dir + "/" + name
}
