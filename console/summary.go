package console

import (
	"slices"
	"strings"
	"time"

	"github.com/buildlocal/buildlocal/internal/diag"
	"github.com/buildlocal/buildlocal/internal/human"
	"github.com/buildlocal/buildlocal/runner"
)

const (
	// maxSlowest is the number of slowest commands that are shown.
	maxSlowest = 3
	// minShownDuration is the duration from which a command or a phase of buildlocal itself
	// is worth a line.
	minShownDuration = 500 * time.Millisecond
	// maxCommandWidth is the width of a slow command, in characters: with the columns before
	// it, a line fits into 80 columns.
	maxCommandWidth = 50
)

// summary shows how the build ended. The verdict is the last line, where people look first.
func (t *Text) summary(r *runner.Record) {
	if t.reports.Bad() {
		t.line("")
		t.failures(t.reports)
	}
	if !t.o.Quiet {
		t.line("")
		t.phases(r)
		t.slowest(r)
		t.outputs(r)
	}
	// STOPPED and TIMED_OUT are red too: the build did not do what it should.
	verdict := t.styles.green
	if r.Status != runner.Succeeded {
		verdict = t.styles.red
	}
	t.line("%s in %s%s", verdict.Sprint(r.Status), human.Duration(r.End.Sub(r.Start)), reason(r))
}

// phases lists the phases that did something, with the resources that they used.
func (t *Text) phases(r *runner.Record) {
	for _, p := range r.Phases {
		if p.Status == "" || p.Status == runner.Succeeded && isUneventful(p, r) {
			continue
		}
		status := formatted("%s", p.Status)
		if p.Status != runner.Succeeded {
			status = t.styles.red.Sprint(p.Status)
		}
		t.line("  %-17s %8s  %s%s", p.Type, human.Duration(p.Duration), status, t.used(p, r))
	}
}

// used returns the resource usage of a phase with commands. Usage that every shell has is
// left out.
func (t *Text) used(p runner.PhaseRecord, r *runner.Record) styled {
	const minMemory, minCPU = 32 << 20, 0.5 // bytes and seconds
	if p.Used == nil || p.Used.PeakMemory < minMemory && p.Used.CPU < minCPU || !slices.ContainsFunc(r.Commands,
		func(c runner.CommandRecord) bool { return c.Phase == p.Type }) {
		return ""
	}
	spent := human.Duration(time.Duration(p.Used.CPU*float64(time.Second))) + " of CPU"
	if p.Used.PeakMemory == 0 { // not every engine can measure it
		return t.styles.faint.Sprint("  " + spent)
	}
	return t.styles.faint.Sprintf("  %s at most, %s", human.Memory(p.Used.PeakMemory), spent)
}

// isUneventful reports whether a successful phase has nothing to show. PROVISIONING and
// DOWNLOAD_SOURCE are always shown: their time is what users compare with CodeBuild.
func isUneventful(p runner.PhaseRecord, r *runner.Record) bool {
	switch p.Type {
	case runner.Submitted, runner.Queued, runner.Finalizing:
		return p.Duration < minShownDuration
	case runner.UploadArtifacts:
		return len(r.Artifacts)+len(r.Reports) == 0
	case runner.Provisioning, runner.DownloadSource:
		return false
	}
	return !slices.ContainsFunc(r.Commands, func(c runner.CommandRecord) bool { return c.Phase == p.Type })
}

// slowest lists the slowest commands, unless there is only one or all are quick.
func (t *Text) slowest(r *runner.Record) {
	commands := slices.Clone(r.Commands)
	slices.SortStableFunc(commands, func(a, b runner.CommandRecord) int { return int(b.Milliseconds - a.Milliseconds) })
	for i, c := range commands[:min(maxSlowest, len(commands))] {
		took := time.Duration(c.Milliseconds) * time.Millisecond
		if took < minShownDuration || len(commands) < 2 {
			return
		}
		title := ""
		if i == 0 {
			title = "slowest"
		}
		first, _, _ := strings.Cut(c.Text, "\n") // a block is recognized by its first line
		t.line("  %-17s %8s  %s", title, human.Duration(took), cut(diag.EscapeLine(first), maxCommandWidth))
	}
}

// cut shortens a text to a number of characters.
func cut(text string, limit int) string {
	if runes := []rune(text); len(runes) > limit {
		return string(runes[:limit-1]) + "…"
	}
	return text
}

// outputs lists the results of a build and where they are: artifacts with some of their
// files, reports, the page, zip files and exported variables. Paths are as the user would
// type them. One more file is listed instead of "and 1 more".
func (t *Text) outputs(r *runner.Record) {
	for _, o := range r.Artifacts {
		t.line("  %-17s %8s  %s, %s", strings.TrimSpace("artifacts "+o.Name), human.Bytes(o.Size()),
			human.Count(len(o.Files), "file"), t.o.Dir+"/"+o.Dir)
		for i, f := range o.Files {
			if i == 5 && !t.o.Verbose && len(o.Files) > 6 {
				t.line("  %-17s %8s  and %d more", "", "", len(o.Files)-i)
				break
			}
			t.line("  %-17s %8s  %s", "", human.Bytes(f.Size), diag.EscapeLine(f.Path))
		}
	}
	if t.reports != nil {
		t.groups(t.reports)
		t.line("  %-26s  %s", "page", t.o.Dir+"/"+PageName)
	}
	for _, o := range r.Artifacts {
		if o.Zip != "" {
			t.line("  %-17s %8s  %s", "as a zip", "", t.o.Dir+"/"+o.Zip)
		}
	}
	for _, v := range r.Exported {
		t.line("  %-17s %8s  %s=%s", "exported", "", v.Name, diag.EscapeLine(v.Value))
	}
}

// reason returns the phase that failed, in parentheses. Later phases, such as POST_BUILD
// after a failed BUILD, may have failed because of it.
func reason(r *runner.Record) string {
	for _, p := range r.Phases {
		if p.Status != runner.Succeeded && p.Status != "" {
			return " (" + string(p.Type) + ")"
		}
	}
	return ""
}
