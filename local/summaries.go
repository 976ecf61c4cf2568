package local

import (
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/buildlocal/buildlocal/builds"
	"github.com/buildlocal/buildlocal/page"
	"github.com/buildlocal/buildlocal/reports"
	"github.com/buildlocal/buildlocal/runner"
)

// summariesName is the file with the summaries of all builds, beside the index.
const summariesName = "builds.json"

// maxSummaries limits the file that is read, in bytes: more than ten thousand builds.
const maxSummaries = 16 << 20

// recordHead is the part of a record that a summary needs. A record with thousands of
// commands is decoded several times faster without their other fields.
type recordHead struct {
	Number   int           `json:"buildNumber"`
	Project  string        `json:"projectName"`
	Start    time.Time     `json:"startTime"`
	End      time.Time     `json:"endTime"`
	Status   runner.Status `json:"buildStatus"`
	Resolved string        `json:"resolvedSourceVersion"`

	Environment runner.Environment   `json:"environment"`
	Phases      []runner.PhaseRecord `json:"phases"`
	Commands    []commandHead        `json:"commands"`
	Reports     []reportHead         `json:"reports"`
	Commit      *runner.Commit       `json:"commit"`
	Machine     *runner.Machine      `json:"machine"`
}

// commandHead is the part of a command that a summary needs.
type commandHead struct {
	Text string `json:"command"`
	Exit int    `json:"exitStatus"`
}

// reportHead is the part of a runner.Output that a summary needs.
type reportHead struct {
	Report *reports.Report `json:"report"`
}

// summaryOf returns the summary of a build with its directory's name and its record.
func summaryOf(name string, r *runner.Record) page.Summary {
	head := recordHead{
		Number: r.Number, Project: r.Project, Start: r.Start, End: r.End, Status: r.Status, Resolved: r.ResolvedVersion,
		Environment: r.Environment, Phases: r.Phases, Commit: r.Commit, Machine: r.Machine,
	}
	for _, c := range r.Commands {
		head.Commands = append(head.Commands, commandHead{c.Text, c.Exit})
	}
	for _, o := range r.Reports {
		head.Reports = append(head.Reports, reportHead{o.Report})
	}
	return head.summary(name)
}

func (r *recordHead) summary(name string) page.Summary {
	s := page.Summary{
		Name: name, Number: r.Number, Project: r.Project, Status: r.Status, Start: r.Start,
		Seconds: r.End.Sub(r.Start).Seconds(), Commit: r.Resolved, Where: r.where(), Failed: r.failedIn(),
	}
	if r.Commit != nil {
		s.Commit, s.Subject, s.Branch = r.Commit.ID, r.Commit.Subject, r.Commit.Branch
	}
	r.addReports(&s)
	return s
}

// where returns where a build ran: the engine and the image.
func (r *recordHead) where() string {
	engine := ""
	if r.Machine != nil {
		engine = r.Machine.Engine
	}
	if r.Environment.Place != "" {
		return cmp.Or(engine, "host") + ", no image"
	}
	image := strings.TrimPrefix(cmp.Or(r.Environment.StandIn, r.Environment.Image), "aws/codebuild/")
	return strings.TrimPrefix(engine+", "+image, ", ")
}

// failedIn returns the first line of the first command that failed, or the first phase that
// did not succeed, or "".
func (r *recordHead) failedIn() string {
	if r.Status == runner.Succeeded {
		return ""
	}
	for _, c := range r.Commands {
		if c.Exit != 0 {
			first, _, _ := strings.Cut(strings.TrimSpace(c.Text), "\n")
			return first
		}
	}
	for _, p := range r.Phases {
		if p.Status != "" && p.Status != runner.Succeeded {
			return string(p.Type)
		}
	}
	return ""
}

// addReports sums up all reports of a build. Lines are nil if none of them has coverage.
func (r *recordHead) addReports(s *page.Summary) {
	lines := reports.Counts{}
	for _, o := range r.Reports {
		if o.Report == nil {
			continue
		}
		if t := o.Report.Tests; t != nil {
			s.Passed += t.Counts[reports.CaseSucceeded]
			s.Bad += t.Bad()
			s.Skipped += t.Counts[reports.CaseSkipped] + t.Counts[reports.CaseUnknown]
		}
		if c := o.Report.Changes; c != nil {
			s.Newly += c.NewlyFailing
		}
		if sum := o.Report.Sum; sum != nil {
			lines.Covered += sum.Lines.Covered
			lines.Missed += sum.Lines.Missed
		}
	}
	if lines.Total() > 0 {
		percent := lines.Percent()
		s.Lines = &percent
	}
}

// readSummaries returns the summaries of all builds that have ended, the oldest first. Those
// that were stored are read from one file, and the others from their records: builds of
// earlier versions, and builds that ended at the same moment as another. Builds that cannot
// be read are left out. Known summaries are used as they are.
func readSummaries(s *builds.Store, known ...page.Summary) []page.Summary {
	stored := map[string]page.Summary{}
	if text, err := s.ReadFile(summariesName, maxSummaries); err == nil {
		var list []page.Summary
		if json.Unmarshal(text, &list) == nil {
			for _, one := range list {
				stored[one.Name] = one
			}
		}
	}
	for _, one := range known {
		stored[one.Name] = one
	}
	var all []page.Summary
	for _, b := range s.All() {
		if one, found := stored[b.Name]; found && one.Number == b.Number {
			all = append(all, one)
			continue
		}
		var r recordHead
		if b.ReadRecord(&r) == nil {
			all = append(all, r.summary(b.Name))
		}
	}
	slices.SortStableFunc(all, func(a, b page.Summary) int { return a.Number - b.Number })
	return all
}

// writeIndex writes the page of all builds, and the summaries that it is made of.
func (s *Session) writeIndex(record *runner.Record) error {
	all := readSummaries(s.inputs.Builds, summaryOf(s.Dir.Name, record))
	text, err := json.MarshalIndent(all, "", " ")
	if err != nil {
		return err
	}
	var out bytes.Buffer
	if err := page.WriteIndex(&out, page.Index{Builds: all, Latest: s.reports}); err != nil {
		return fmt.Errorf("write the index of builds: %w", err)
	}
	for _, file := range []struct {
		name string
		text []byte
	}{{summariesName, append(text, '\n')}, {page.IndexName, out.Bytes()}} {
		if err := s.inputs.Builds.WriteFile(file.name, file.text); err != nil {
			return fmt.Errorf("write the index of builds: %w", err)
		}
	}
	return nil
}
