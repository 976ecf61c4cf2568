package results

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/buildlocal/buildlocal/builds"
	"github.com/buildlocal/buildlocal/cmd/cli"
	"github.com/buildlocal/buildlocal/cmd/help"
	"github.com/buildlocal/buildlocal/cmd/settings"
	"github.com/buildlocal/buildlocal/console"
	"github.com/buildlocal/buildlocal/internal/human"
	"github.com/buildlocal/buildlocal/local"
	"github.com/buildlocal/buildlocal/reports"
	"github.com/buildlocal/buildlocal/runner"
)

// BuildsOptions are the flags of builds.
type BuildsOptions struct {
	settings.Flags // those of run that lead to the output directory
}

// NewBuilds returns the command builds.
func NewBuilds(a *cli.App, runF cli.RunF[BuildsOptions]) *cobra.Command {
	o := &BuildsOptions{}
	c := &cobra.Command{
		Use: "builds", Short: "List the builds of this source", Args: cli.NoArgs,
		Long: "List the builds whose results are in the output directory, the newest first, with\n" +
			"their status, start, duration, commit and the place at which they failed. The last\n" +
			"line shows their durations, the oldest at the left.",
		Annotations: help.Notes("Exit codes: 0 success, even if builds failed, 2 usage error."),
		Example:     "  buildlocal builds\n  buildlocal builds -C ../service\n  buildlocal builds --format json",
	}
	c.Flags().SortFlags = false
	o.AddSome(c, "source", "output", "color")
	cli.ReadsOutput(c)
	c.Flags().StringVar(&o.Format, "format", "text", "print builds as `FORMAT`: text or json")
	o.SetFormats([]string{"text", "json"})
	do := func(c *cobra.Command, _ []string) error {
		if err := o.Settle(c.Context(), a, c); err != nil {
			return err
		}
		return runF.Or(a, listBuilds)(c.Context(), o)
	}
	c.RunE = do
	cli.AddList(c)
	return c
}

// The states of builds without a record.
const (
	stateRunning runner.Status = "RUNNING"
	stateKilled  runner.Status = "KILLED" // the process ended without writing a record
)

// pastBuild is a build of the list. Fields that are not known, or do not apply, are left out of
// the JSON.
type pastBuild struct {
	Number    int           `json:"buildNumber"`
	Name      string        `json:"name"`
	Directory string        `json:"directory"`
	Status    runner.Status `json:"buildStatus"`
	Project   string        `json:"projectName,omitempty"`
	Start     time.Time     `json:"startTime,omitzero"`
	Duration  *int64        `json:"durationInMilliseconds,omitempty"`
	Commit    string        `json:"commit,omitempty"`
	Changed   int           `json:"changedFiles,omitempty"` // that differ from the commit
	Branch    string        `json:"branch,omitempty"`
	Subject   string        `json:"subject,omitempty"`
	Phase     string        `json:"failedPhase,omitempty"`
	Command   string        `json:"failedCommand,omitempty"` // such as build:2
	Exit      int           `json:"exitStatus,omitempty"`
	Image     *string       `json:"image"` // null without one
	Place     string        `json:"place,omitempty"`
	Tests     *pastTests    `json:"tests,omitempty"`

	message string // of the phase that failed
}

type pastTests struct {
	Total  int `json:"total"`
	Passed int `json:"passed"`
}

// pastRecord is the part of a record that the list shows.
type pastRecord struct {
	runner.Record
	Commit struct {
		ID      string `json:"id"`
		Branch  string `json:"branch"`
		Subject string `json:"subject"`
		Changed int    `json:"changedFiles"`
	} `json:"commit"`
}

// listBuilds lists the builds in the output directory.
func listBuilds(ctx context.Context, a *cli.App, o *BuildsOptions) error {
	s, err := local.OpenBuilds(ctx, &o.Request)
	if err != nil {
		return err
	}
	all := []pastBuild{} // not null in JSON
	for _, b := range s.All() {
		all = append(all, readPast(s, b))
	}
	if o.Format == "json" {
		return a.WriteJSON(map[string]any{"version": 1, "builds": all})
	}
	screen := a.Screen()
	if len(all) == 0 {
		screen.Printf("no builds in %s", local.ShownPath(s.Dir()))
		return screen.Err()
	}
	screen.Table(buildsTable(all, a.Now()))
	if err := screen.Err(); err != nil {
		return err
	}
	footer := a.Footer()
	footer.Printf("%s", strings.TrimSpace(footer.Sparkline(durations(all))+"  "+tally(all)))
	return footer.Err()
}

// readPast returns the facts about a build. A build whose record cannot be read is listed too.
func readPast(s *builds.Store, b builds.Build) pastBuild {
	p := pastBuild{Number: b.Number, Name: b.Name, Directory: b.Path, Status: stateKilled}
	var r pastRecord
	if err := b.ReadRecord(&r); err != nil {
		if s.Running(b) {
			p.Status = stateRunning
		}
		p.addPlan()
		return p
	}
	ms := r.End.Sub(r.Start).Milliseconds()
	p.Status, p.Project, p.Start, p.Duration = r.Status, r.Project, r.Start, &ms
	p.Commit, p.Branch, p.Subject, p.Changed = r.Commit.ID, r.Commit.Branch, r.Commit.Subject, r.Commit.Changed
	if p.Commit == "" {
		p.Commit = r.ResolvedVersion
	}
	if p.Place = r.Environment.Place; p.Place == "" {
		p.Image = &r.Environment.Image
	}
	end := console.EndOf(&r.Record)
	p.Phase, p.Command, p.Exit, p.message = string(end.Phase), end.Command, end.Exit, end.Message
	for _, report := range r.Reports {
		if report.Report == nil || report.Report.Tests == nil {
			continue
		}
		if p.Tests == nil {
			p.Tests = &pastTests{}
		}
		p.Tests.Total += report.Report.Tests.Total
		p.Tests.Passed += report.Report.Tests.Counts[reports.CaseSucceeded]
	}
	return p
}

// addPlan adds the facts about a build without a record: its journal begins with them.
func (p *pastBuild) addPlan() {
	journal, err := builds.Build{Path: p.Directory}.OpenJournal()
	if err != nil {
		return // it has not begun, or is of an earlier version
	}
	defer journal.Close()
	if plan := console.PlanIn(journal); plan != nil {
		p.Project, p.Start, p.Place = plan.Identity.Project, plan.Identity.Start, plan.Place
		if p.Place == "" {
			p.Image = &plan.Image
		}
	}
}

// version returns the commit of a build, and how many files differed from it: "1a2b3c4 + 2".
func (p pastBuild) version() string {
	if p.Changed == 0 || p.Commit == "" {
		return human.ShortCommit(p.Commit)
	}
	return fmt.Sprintf("%s + %d", human.ShortCommit(p.Commit), p.Changed)
}

// buildsTable returns the table of builds. On a narrow terminal it loses columns in the order
// IMAGE, SUBJECT, BRANCH, TESTS, COMMIT.
func buildsTable(all []pastBuild, now time.Time) console.Table {
	t := console.Table{Columns: []console.Column{
		{}, {Title: "BUILD"}, {Title: "STATE"}, {Title: "WHEN"}, {Title: "TOOK"}, {Title: "COMMIT", Drop: 5},
		{Title: "AT", Fit: console.FitText}, {Title: "BRANCH", Drop: 3}, {Title: "SUBJECT", Drop: 2, Fit: console.FitText},
		{Title: "IMAGE", Drop: 1}, {Title: "TESTS", Drop: 4},
	}}
	for _, p := range all {
		sign, state := stateOf(p)
		when, took, tests := "", "", ""
		if !p.Start.IsZero() {
			when = human.When(p.Start, now)
		}
		if p.Duration != nil {
			took = human.Duration(time.Duration(*p.Duration) * time.Millisecond)
		}
		if p.Tests != nil {
			tests = fmt.Sprintf("%d/%d", p.Tests.Passed, p.Tests.Total)
		}
		t.Add(sign, console.Strong(fmt.Sprintf("#%d", p.Number)), state, console.Plain(when), console.Plain(took),
			console.Weak(p.version()), console.Plain(p.at()), console.Weak(p.Branch), console.Plain(p.Subject),
			console.Weak(p.where()), console.Plain(tests))
	}
	t.DropEmpty()
	return t
}

// stateOf returns the sign of a build's state, and its name in the same color.
func stateOf(p pastBuild) (sign, state console.Span) {
	if p.Status == stateRunning {
		return console.SignCurrent, console.Accent(string(p.Status))
	}
	return console.State(p.Status)
}

// at returns the place at which a build ended, and the reason if a command did not fail.
func (p pastBuild) at() string {
	switch {
	case p.Command != "" && p.Exit != 0:
		return fmt.Sprintf("%s, exit %d", p.Command, p.Exit)
	case p.Command != "":
		return p.Command
	case p.Phase != "" && p.message != "":
		cause, _, _ := strings.Cut(p.message, "\n") // hints follow
		return p.Phase + ", " + strings.Join(strings.Fields(cause), " ")
	}
	return p.Phase
}

// where returns the environment of a build in a few words.
func (p pastBuild) where() string {
	if p.Image == nil {
		place, _, _ := strings.Cut(p.Place, ",")
		return place
	}
	return console.ShortImage(*p.Image)
}

// durations returns the durations of the builds that ended, the oldest first.
func durations(all []pastBuild) []int64 {
	var list []int64
	for _, p := range slices.Backward(all) {
		if p.Duration != nil {
			list = append(list, *p.Duration)
		}
	}
	return list
}

// tally counts the builds: "20 builds: 17 green, median 29.9s".
func tally(all []pastBuild) string {
	green, times := 0, durations(all)
	for _, p := range all {
		if p.Status == runner.Succeeded {
			green++
		}
	}
	text := fmt.Sprintf("%s: %d green", human.Count(len(all), "build"), green)
	if len(times) == 0 {
		return text
	}
	slices.Sort(times)
	return text + ", median " + human.Duration(time.Duration(times[len(times)/2])*time.Millisecond)
}
