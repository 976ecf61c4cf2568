package console

import (
	"cmp"
	"fmt"
	"io"
	"maps"
	"path"
	"slices"
	"strings"
	"time"

	"github.com/buildlocal/buildlocal/builds"
	"github.com/buildlocal/buildlocal/internal/diag"
	"github.com/buildlocal/buildlocal/internal/human"
	"github.com/buildlocal/buildlocal/runner"
)

const (
	// maxSlowest is the number of slowest commands that are shown.
	maxSlowest = 3
	// minShownDuration is the duration from which a command or a phase of buildlocal itself
	// is worth a mention.
	minShownDuration = 500 * time.Millisecond
	// maxDirectories is the number of top directories that artifacts are summed by.
	maxDirectories = 5
	// rowTitle is the width of the titles of the summary's rows.
	rowTitle = 9
)

// summary shows how the build ended. The verdict is the last line, where people look first.
func (t *Text) summary(e runner.Event) {
	r := e.Record
	// A stop that the user asked for, and a fault of the host, have no results to show.
	brief := r.Status == runner.Stopped || r.Status == runner.Fault
	if !brief {
		t.repeat(r)
		if t.reports.Bad() {
			t.gap = true
			t.failedTests(t.reports, false)
			t.gap = true
		}
	}
	if !t.o.Quiet && !brief {
		t.gap = true
		t.phases(r)
		t.slowest(r)
		t.outputs(r)
		if len(r.ByHand) > 0 {
			t.row("by hand", formatted("%s", runner.ByHandText(r.ByHand)))
		}
		t.gap = true
	}
	t.fault(e.Fault)
	if e.Fault != nil {
		cause, _, _ := strings.Cut(human.ErrorText(e.Fault), "\n")
		t.command(t.ci.annotation(nil, cmp.Or(string(EndOf(r).Phase), "buildlocal"), cause))
	}
	t.gap = !t.o.Quiet || len(t.failures.all) > 0 || e.Fault != nil
	t.last = e.Time
	t.end(t.verdict(r))
}

// end prints the last line of a build. In CI it is on another stream, where it is the last line of
// everything that people read.
func (t *Text) end(verdict styled) {
	t.command(t.ci.end(t.last) + t.ci.resume())
	other := t.o.CI.Verdict
	if other == nil {
		for _, line := range hanging(string(verdict), t.columns(maxProse), strings.Repeat(" ", hangingIndent)) {
			t.line("%s", styled(line))
		}
		other = t.o.VerdictCopy
	}
	t.startLine()
	if other == nil {
		return
	}
	if _, err := fmt.Fprintln(other, string(verdict)); err != nil && t.err == nil {
		t.err = err
	}
}

// Verdict returns how a build ended, such as "FAILED in 2.3s at build:2, exit 127".
func Verdict(r *runner.Record) string { return string(NewText(io.Discard, Options{}).verdict(r)) }

// verdict returns the line that says how the build ended, such as "FAILED in 2.3s at build:2,
// exit 127".
func (t *Text) verdict(r *runner.Record) styled {
	style, preposition := t.styles.bad, "after" // something ended it
	switch r.Status {
	case runner.Succeeded:
		style, preposition = t.styles.good, "in"
	case runner.Failed:
		preposition = "in"
	case runner.Stopped:
		style = t.styles.warn
	}
	partial := styled("")
	if r.Partial != nil {
		partial = t.styles.warn.Sprint("PARTIAL") + " "
	}
	text := partial + formatted(
		"%s %s %s%s",
		style.Sprint(string(r.Status)),
		preposition,
		human.Duration(r.End.Sub(r.Start)),
		where(r),
	)
	if r.Environment.Place != "" {
		text += hostTools
	}
	if r.Restored != nil {
		text += formatted(", with %s of build %d", human.Series(r.Restored.Names()), builds.Number(r.Restored.Build))
	}
	if len(r.ByHand) > 0 {
		text += ", by hand"
	}
	return text
}

// hostTools describes a build without CodeBuild's image, after its verdict.
const hostTools = " on this host's tools, not in CodeBuild's image"

// where returns the place at which a build ended, for its verdict: " at build:2, exit 1".
func where(r *runner.Record) string {
	end := EndOf(r)
	switch {
	case end.Command != "" && end.Exit != 0:
		return fmt.Sprintf(" at %s, exit %d", end.Command, end.Exit)
	case end.Command != "":
		return " at " + end.Command
	case end.Phase != "":
		return " in " + string(end.Phase)
	}
	return ""
}

// End is the place at which a build ended that did not succeed.
type End struct {
	Phase   runner.PhaseType // "" after success
	Command string           // the first failed command, such as build:2; "" if a phase failed without one
	Exit    int              // exit status of the command; 0 if it was stopped
	Message string           // the phase's reason, as in the service's log
}

// EndOf returns the place at which a build ended: the first failed command, or the phase.
// Later ones, such as commands of POST_BUILD after a failed BUILD, may have failed because of it.
func EndOf(r *runner.Record) End {
	for _, p := range r.Phases {
		if p.Status == runner.Succeeded || p.Status.IsOmitted() {
			continue
		}
		end := End{Phase: p.Type}
		if len(p.Contexts) > 0 {
			end.Message = p.Contexts[0].Message
		}
		for _, c := range r.Commands {
			if c.Phase != p.Type || c.Exit == 0 {
				continue
			}
			if end.Command = c.At; p.Status == runner.Failed {
				end.Exit = c.Exit
			}
			return end
		}
		return end
	}
	return End{}
}

// row prints a row of the summary. Off a terminal, and if it fits, it is one line; else it is
// wrapped at its separators, or at spaces if a part is too long for a line.
func (t *Text) row(title string, text styled) {
	limit := t.columns(maxTable)
	if limit > 0 {
		limit -= 2 + rowTitle + 2
	}
	for _, part := range wrapAt(string(text), t.glyphs.dot, limit) {
		for _, line := range wrap(part, limit) {
			t.line("  %s  %s", t.title(title), styled(line))
			title = ""
		}
	}
}

// title returns the title of a row, or as much space for a further line of it.
func (t *Text) title(title string) styled {
	if title == "" {
		return styled(strings.Repeat(" ", rowTitle))
	}
	return t.styles.weak.Sprint(title) + styled(strings.Repeat(" ", rowTitle-len(title)))
}

// wrapAt breaks a text at a separator, which ends the lines, and never in between. 0 is no limit.
func wrapAt(text, separator string, limit int) []string {
	if limit <= 0 || width(plain(text)) <= limit {
		return []string{text}
	}
	var lines []string
	line := ""
	for _, part := range strings.Split(text, separator) {
		if line != "" && width(plain(line+separator+part)) > limit {
			lines = append(lines, line)
			line = ""
		}
		if line != "" {
			line += separator
		}
		line += part
	}
	return append(lines, line)
}

// phases lists the phases that did something, and those that failed.
func (t *Text) phases(r *runner.Record) {
	var parts []string
	for _, p := range r.Phases {
		if p.Status == "" || p.Status == runner.Succeeded && isUneventful(p, r) {
			continue
		}
		text := formatted("%s %s", string(p.Type), human.Duration(p.Duration))
		if p.Status.IsOmitted() {
			how := map[runner.Status]string{runner.LeftOut: "left out", runner.RestoredStatus: "restored"}[p.Status]
			text = formatted("%s %s", string(p.Type), t.styles.weak.Sprint(how))
		} else if p.Status != runner.Succeeded {
			text += formatted(" %s", t.styles.bad.Sprint(t.glyphs.failed))
		}
		parts = append(parts, string(text))
	}
	if len(parts) > 0 {
		t.row("phases", styled(strings.Join(parts, t.glyphs.dot)))
	}
}

// isUneventful reports whether a successful phase has nothing to show. PROVISIONING is always
// shown: its time is what users compare with CodeBuild.
func isUneventful(p runner.PhaseRecord, r *runner.Record) bool {
	switch p.Type {
	case runner.Submitted, runner.Queued, runner.DownloadSource, runner.UploadArtifacts, runner.Finalizing:
		return p.Duration < minShownDuration
	case runner.Provisioning:
		return false
	}
	return !slices.ContainsFunc(r.Commands, func(c runner.CommandRecord) bool { return c.Phase == p.Type })
}

// used returns the resource usage of a command. Usage that every shell has is left out.
func used(u *runner.Used) string {
	const minMemory, minCPU = 32 << 20, 0.5 // bytes and seconds
	if u == nil || u.PeakMemory < minMemory && u.CPU < minCPU {
		return ""
	}
	spent := human.Duration(time.Duration(u.CPU*float64(time.Second))) + " CPU"
	if u.PeakMemory == 0 { // not every engine can measure it
		return spent
	}
	return human.Memory(u.PeakMemory) + ", " + spent
}

// slowest lists the slowest commands, unless there is only one or all are quick.
func (t *Text) slowest(r *runner.Record) {
	commands := slices.Clone(r.Commands)
	slices.SortStableFunc(commands, func(a, b runner.CommandRecord) int {
		return cmp.Compare(b.Milliseconds, a.Milliseconds)
	})
	commands = slices.DeleteFunc(commands[:min(maxSlowest, len(commands))], func(c runner.CommandRecord) bool {
		return took(c) < minShownDuration
	})
	if len(r.Commands) < 2 || len(commands) == 0 {
		return
	}
	columns := slowColumns{commands: commands}
	for _, c := range commands {
		columns.at = max(columns.at, width(c.At))
		columns.took = max(columns.took, width(human.Duration(took(c))))
		columns.used = max(columns.used, width(used(c.Used)))
	}
	title := "slowest"
	for _, c := range commands {
		t.line("  %s  %s", t.title(title), t.slow(c, columns))
		title = ""
	}
}

// slowColumns are the widths of the columns of slow commands.
type slowColumns struct {
	commands       []runner.CommandRecord // the slowest first
	at, took, used int
}

func took(c runner.CommandRecord) time.Duration {
	return time.Duration(c.Milliseconds) * time.Millisecond
}

// slow returns a slow command: its place, its duration, on a wide terminal a bar, its first
// line and its resources. A command that is too long for the line is cut.
func (t *Text) slow(c runner.CommandRecord, columns slowColumns) styled {
	const barColumns, wide = 24, 140
	limit := t.columns(maxTable)
	head := formatted("%s  %-*s", t.styles.weak.Sprint(pad(c.At, columns.at)), columns.took, human.Duration(took(c)))
	left := limit - 2 - rowTitle - 2 - columns.at - 2 - columns.took - 2
	if limit >= wide {
		n := max(1, int(int64(barColumns)*c.Milliseconds/max(1, columns.commands[0].Milliseconds)))
		head += formatted("  %s", pad(strings.Repeat(t.glyphs.bar, n), barColumns))
		left -= barColumns + 2
	}
	text := diag.EscapeLine(firstLine(c.Text))
	if strings.Contains(strings.TrimSpace(c.Text), "\n") {
		text += " " + t.glyphs.cut
	}
	resources := used(c.Used)
	if columns.used > 0 {
		left -= columns.used + 2
	}
	if limit > 0 {
		text = t.cut(text, left)
		if resources != "" {
			text = pad(text, left) + "  " + strings.Repeat(" ", columns.used-width(resources))
		}
	} else if resources != "" {
		text += "  "
	}
	if resources == "" {
		return head + formatted("  %s", strings.TrimRight(text, " "))
	}
	return head + formatted("  %s%s", text, t.styles.weak.Sprint(resources))
}

// outputs lists the results of a build and where they are: artifacts by top directory, reports,
// exported variables and the page. Paths are as the user would type them.
func (t *Text) outputs(r *runner.Record) {
	for _, o := range r.Artifacts {
		title := "artifacts"
		text := fmt.Sprintf("%s, %s: %s", human.Count(len(o.Files), "file"), human.Bytes(o.Size()),
			strings.Join(t.directories(o), t.glyphs.dot))
		if o.Name != "" {
			text = diag.EscapeLine(o.Name) + ": " + text
		}
		t.row(title, formatted("%s", text))
		t.row("", t.path(o.Dir))
		if o.Zip != "" {
			t.row("", t.path(o.Zip))
		}
	}
	if t.reports != nil {
		t.groups(t.reports)
	}
	for _, v := range r.Exported {
		t.row("exported", formatted("%s=%s", v.Name, diag.EscapeLine(v.Value)))
	}
	if t.o.Logs != "" && r.Status != runner.Succeeded {
		t.row("log", t.styles.accent.Sprintf("%s %d", t.o.Logs, r.Number))
	}
	if t.o.Dir != "" {
		t.row("page", t.path(PageName))
	}
}

// path returns a path below the build's directory, as the user would type it, as a link.
func (t *Text) path(name string) styled {
	shown := t.styles.accent.Sprint(path.Join(t.o.Dir, name))
	if t.o.DirPath == "" {
		return shown
	}
	return t.hyperlink(shown, path.Join(t.o.DirPath, name), 0)
}

// directories returns the top directories and files of an artifact with their sizes, the largest
// first; with Verbose all files.
func (t *Text) directories(o runner.Output) []string {
	if t.o.Verbose {
		var all []string
		for _, f := range o.Files {
			all = append(all, diag.EscapeLine(f.Path)+" "+human.Bytes(f.Size))
		}
		return all
	}
	type sum struct {
		files int
		bytes int64
	}
	sums := map[string]sum{}
	for _, f := range o.Files {
		top, _, inside := strings.Cut(f.Path, "/")
		if inside {
			top += "/"
		}
		sums[top] = sum{sums[top].files + 1, sums[top].bytes + f.Size}
	}
	names := slices.SortedFunc(maps.Keys(sums), func(a, b string) int {
		return cmp.Or(cmp.Compare(sums[b].bytes, sums[a].bytes), cmp.Compare(a, b))
	})
	var all []string
	for i, name := range names {
		if i == maxDirectories && len(names) > maxDirectories+1 {
			return append(all, fmt.Sprintf("%d more", len(names)-i))
		}
		text := diag.EscapeLine(name)
		if strings.HasSuffix(name, "/") {
			text += " " + human.Count(sums[name].files, "file")
		}
		all = append(all, text+" "+human.Bytes(sums[name].bytes))
	}
	return all
}
