package console

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/buildlocal/buildlocal/builds"
	"github.com/buildlocal/buildlocal/buildspec"
	"github.com/buildlocal/buildlocal/engine"
	"github.com/buildlocal/buildlocal/internal/diag"
	"github.com/buildlocal/buildlocal/runner"
	"github.com/buildlocal/buildlocal/secrets"
)

// PlanView is a plan with everything that is printed of it.
type PlanView struct {
	*runner.Plan
	Whole bool // print also the facts that most builds have in common
	// SecretOrigin returns the place that the value of a reference would come from, or "missing".
	// It may be nil.
	SecretOrigin func(secrets.Request) string
	// CacheEntry describes the cache that the build would restore; "" if that is unknown.
	CacheEntry string
	// Path returns a path as the user would type it. It may be nil.
	Path func(string) string
}

// Missing is the origin of a secret without a value.
const Missing = "missing"

// Plan prints what a build would do: the environment, the variables with their origins, the
// commands with their lines, and the results. Its secrets are masked.
func (s *Screen) Plan(v PlanView) {
	p := planPrinter{s: s, v: v}
	p.head()
	p.environment()
	p.variables()
	p.phases()
	p.results()
}

// planPrinter prints a plan on a screen.
type planPrinter struct {
	s *Screen
	v PlanView
}

// planRow is a row with a title, or a further line of the row above.
type planRow struct{ title, text string }

// head prints the facts of the build in one line.
func (p *planPrinter) head() {
	v := p.v
	shell := "shell " + v.Shell
	if !v.Keep {
		shell += ", each command on its own (version 0.1)"
	}
	p.s.Facts(Strong(fmt.Sprintf("%s #%d", v.Identity.Project, v.Identity.Number)), Plain(p.mask(placeOf(v.Plan))),
		Plain(v.File), Plain(shell), Plain("limit "+limitText(v.Timeout)))
}

// limitText returns a time limit as flags accept it, in minutes if possible.
func limitText(d time.Duration) string {
	if d%time.Minute == 0 {
		return fmt.Sprintf("%dm", d/time.Minute)
	}
	return d.String()
}

// mask replaces secrets in a text.
func (p *planPrinter) mask(text string) string { return p.v.MaskText(text) }

// path returns a path as the user would type it.
func (p *planPrinter) path(name string) string {
	if p.v.Path == nil {
		return name
	}
	return p.v.Path(name)
}

// environment prints the settings of the environment that most builds do not have.
func (p *planPrinter) environment() {
	v, rows := p.v, []planRow{}
	add := func(title, format string, args ...any) {
		rows = append(rows, planRow{title, fmt.Sprintf(format, args...)})
	}
	if v.Whole && v.Engine != "" {
		add("engine", "%s", v.Engine)
	}
	switch notes := p.imageNotes(); {
	case v.Place != "": // the first line has it
	case len(notes) > 0:
		add("image", "%s (%s)", v.Image, strings.Join(notes, ", "))
	case v.Whole:
		add("image", "%s", v.Image)
	}
	if v.Limits != (engine.Limits{}) {
		add("compute", "%s (%s)", v.ComputeType, v.LimitText())
	}
	rows = append(rows, p.sources()...)
	rows = append(rows, p.access()...)
	for _, note := range v.Notes {
		add("note", "%s", p.mask(note))
	}
	p.rows(rows)
}

func (p *planPrinter) imageNotes() []string {
	v := p.v
	var notes []string
	add := func(condition bool, text string) {
		if condition {
			notes = append(notes, text)
		}
	}
	add(v.StandIn != "", "using local substitute "+v.StandIn)
	add(v.Digest != "", "with the digest "+v.Digest)
	add(v.Platform != "", "for "+v.Platform)
	add(v.Privileged, "privileged")
	add(v.Socket, "with the host's Docker engine")
	add(v.Pull != "" && v.Pull != engine.PullMissing, "pull "+string(v.Pull))
	add(v.Whole && v.Alias != "" && len(v.Images) > 0, "or "+strings.Join(v.Images, " or "))
	add(v.NoImage != "", "not published: requires a local image of this name")
	return notes
}

// sources returns the directories of the source. That of the primary one is where the user is.
func (p *planPrinter) sources() []planRow {
	var rows []planRow
	for i, source := range p.v.Sources {
		title := "source"
		if i > 0 {
			title += " " + source.ID
		}
		if i > 0 || p.v.Whole {
			rows = append(rows, planRow{title, p.path(source.Tree.Host)}, planRow{"", "at " + source.Path})
			title = ""
		}
		if source.Note != "" {
			rows = append(rows, planRow{title, source.Note})
		}
	}
	return rows
}

// access returns the things that the build can reach besides its container.
func (p *planPrinter) access() []planRow {
	v, rows := p.v, []planRow{}
	add := func(title, format string, args ...any) {
		rows = append(rows, planRow{title, fmt.Sprintf(format, args...)})
	}
	if v.Grant != "" {
		add("credentials", "%s, at %s", v.Grant, runner.CredentialsAddress)
	}
	if v.CABundle != "" {
		add("certificates", "the image's and those of %s", v.CABundle)
	}
	if v.Metadata {
		add("metadata", "the build may reach the host's instance metadata service")
	}
	for _, bind := range v.Binds {
		add("mount", "%s at %s%s", bind.Host, bind.Path, map[bool]string{true: ", read-only"}[bind.ReadOnly])
	}
	if v.Network.Name != "" {
		add("network", "%s", v.Network.Name)
	}
	for _, h := range v.Network.Hosts {
		add("host", "%s is %s", h.Name, h.IP)
	}
	for _, port := range v.Network.Ports {
		add("port", "%s of this host is %d of the build", port.Host, port.Container)
	}
	return rows
}

// rows prints rows with titles of the same width.
func (p *planPrinter) rows(rows []planRow) {
	const least = len("artifacts")
	titles := least
	for _, row := range rows {
		titles = max(titles, width(row.title))
	}
	for _, row := range rows {
		p.s.Paragraph(p.mask(row.text), Weak(pad(row.title, titles+1)))
	}
}

// maxValue is the widest value that others are aligned with.
const maxValue = 30

// variables prints the variables with their origins. Those that are as CodeBuild sets them are only
// counted: the others are the user's.
func (p *planPrinter) variables() {
	var shown []runner.Variable
	left := 0
	for _, v := range p.v.Variables {
		if !p.v.Whole && v.Origin == runner.ServiceOrigin && len(v.Hides) == 0 {
			left++
			continue
		}
		shown = append(shown, v)
	}
	slices.SortStableFunc(shown, func(a, b runner.Variable) int { return cmp.Compare(a.Name, b.Name) })
	p.s.Gap()
	p.s.Line(Strong("variables"))
	names, values := 0, 0
	for _, v := range shown {
		names = max(names, min(maxValue, width(v.Name)))
		values = max(values, min(maxValue, width(p.value(v))))
	}
	for _, v := range shown {
		p.variable(p.s.style(Plain("  "+pad(v.Name, names)+"  "+pad(p.value(v), values)+"  ")), p.origin(v))
	}
	if left > 0 {
		p.s.Line(Plain("  "), Weak(fmt.Sprintf("%d set as CodeBuild does (-v lists them)", left)))
	}
}

// variable prints a variable and its origin, which has a line of its own if there is too little space.
func (p *planPrinter) variable(text, origin styled) {
	const indent = "      "
	limit := p.s.t.columns(maxTable)
	if limit <= 0 || width(plain(string(text+origin))) <= limit {
		p.s.hanging(text+origin, indent)
		return
	}
	p.s.hanging(text, indent)
	p.s.hanging(indent+origin, indent)
}

// value returns the value of a variable, or the name of the secret.
func (p *planPrinter) value(v runner.Variable) string {
	value := v.Shown()
	if v.Stored != nil {
		value = v.Stored.Ref
	}
	value = strings.ReplaceAll(value, noUUID, "<UUID>")
	return diag.EscapeLine(p.mask(cmp.Or(value, `""`)))
}

// noUUID is the UUID of a build that is only planned: each build gets its own.
const noUUID = "00000000-0000-0000-0000-000000000000"

// origin returns the place of a variable's definition, and for a secret its store and the place that
// its value would come from.
func (p *planPrinter) origin(v runner.Variable) styled {
	text := v.Origin
	if len(v.Hides) > 0 {
		text += ", hides " + strings.Join(v.Hides, ", ")
	}
	if v.Stored == nil {
		return p.s.style(Weak(text))
	}
	text += fmt.Sprintf(", %s", v.Stored.Kind)
	if p.v.SecretOrigin == nil {
		return p.s.style(Weak(text))
	}
	place := p.v.SecretOrigin(*v.Stored)
	if place == Missing {
		return p.s.style(Weak(text+", ")) + p.s.style(Warn(place))
	}
	return p.s.style(Weak(text + ", " + place))
}

// phases prints the commands below their phases. The runtimes are beside the phase that installs them.
func (p *planPrinter) phases() {
	p.s.Gap()
	for _, phase := range p.v.Phases {
		if !phase.Written {
			continue
		}
		facts := phaseNotes(phase)
		if phase.Type == runner.Install {
			for _, r := range p.v.Runtimes {
				facts = append(facts, fmt.Sprintf("%s %s (%s:%d)", r.Name, r.Value, p.v.File, r.Line))
			}
		}
		omitted := p.omitted(phase.Type)
		if omitted != "" {
			facts = []string{omitted}
		}
		line := []Span{Strong(string(phase.Type))}
		if len(facts) > 0 {
			line = append(line, Plain("  "), Weak(strings.Join(facts, p.s.t.glyphs.dot)))
		}
		p.s.Line(line...)
		if omitted == "" {
			p.commands(phase, false)
			p.commands(phase, true)
		}
	}
}

// omitted says why no command of a phase runs, or returns "".
func (p *planPrinter) omitted(t runner.PhaseType) string {
	switch {
	case p.v.Restores(t):
		return fmt.Sprintf("restored from build %d", builds.Number(p.v.Restored.Build))
	case p.v.LeavesOutPhase(t):
		return "left out"
	}
	return ""
}

func phaseNotes(phase runner.Phase) []string {
	var notes []string
	if phase.RunAs != "" {
		notes = append(notes, "as "+phase.RunAs)
	}
	if phase.OnFailure.Text != "" {
		notes = append(notes, "on failure "+phase.OnFailure.Text)
	}
	return notes
}

// commands prints the commands of a phase, or those of finally, with their lines in the buildspec.
func (p *planPrinter) commands(phase runner.Phase, finally bool) {
	commands, prefix := phase.Commands, ""
	if finally {
		commands, prefix = phase.Finally, "finally "
	}
	places := 0
	for _, c := range commands {
		places = max(places, len(fmt.Sprintf("%s:%d", prefix, c.Line)))
	}
	for i, c := range commands {
		if p.v.LeavesOut(runner.CommandPlace(phase.Type, i+1, finally)) {
			c.Text = "(left out) " + c.Text
		}
		place := p.s.style(Weak("  " + pad(fmt.Sprintf("%s:%d", prefix, c.Line), places) + "  "))
		indent := strings.Repeat(" ", places+4)
		for line := range strings.SplitSeq(strings.TrimRight(p.mask(c.Text), "\n"), "\n") {
			p.s.hanging(place+p.s.style(Plain(line)), indent+"    ")
			place = styled(indent)
		}
	}
}

// hanging prints a line that is wrapped at spaces, with an indentation of its further lines.
func (s *Screen) hanging(line styled, indent string) {
	for _, part := range hanging(strings.TrimRight(string(line), " "), s.t.columns(maxTable), indent) {
		s.t.line("%s", styled(part))
	}
}

// results prints the artifacts, reports, caches and exported variables.
func (p *planPrinter) results() {
	v, rows := p.v, []planRow{}
	if v.Artifacts != nil {
		rows = appendArtifacts(rows, "artifacts", *v.Artifacts, v.Packages[""])
		for _, s := range v.Artifacts.Secondary {
			rows = appendArtifacts(rows, "artifacts "+s.Identifier, s, v.Packages[s.Identifier])
		}
	}
	for _, r := range v.Reports {
		files := strings.Join(r.Files, ", ") + below(r.BaseDirectory)
		rows = append(rows, planRow{"report", fmt.Sprintf("%s: %s as %s", r.Name, files, r.Format)})
	}
	for _, mode := range v.CacheModes {
		rows = append(rows, planRow{"cache mode", mode + ": " + v.CacheMode(mode)})
	}
	if v.Cache != nil {
		rows = append(rows, planRow{"cache", p.cache()})
		if v.CacheEntry != "" {
			rows = append(rows, planRow{"", v.CacheEntry})
		}
	}
	if len(v.Exported) > 0 {
		rows = append(rows, planRow{"exported", strings.Join(v.Exported, ", ")})
	}
	p.s.Gap()
	p.rows(rows)
}

func (p *planPrinter) cache() string {
	v := p.v
	text := strings.Join(v.Cache.Paths, ", ")
	if v.Cache.Key != "" {
		text += ", key " + v.Cache.Key
		for _, key := range v.Cache.FallbackKeys {
			text += ", or keys that begin with " + key
		}
	}
	place := p.path(v.CachePlace)
	switch {
	case v.CachePlace == "":
		return text + ", not kept: --no-cache"
	case slices.Contains(v.CacheModes, runner.CustomCache):
		return text + ", directories linked to kept copies"
	case v.Cache.Action == runner.CacheRestore:
		return text + ", only restored from " + place
	case v.Cache.Action == runner.CacheSave:
		return text + ", only saved in " + place
	}
	return text + ", kept in " + place
}

// appendArtifacts adds a row for artifacts unless they have no files.
func appendArtifacts(rows []planRow, title string, a buildspec.Artifacts, p runner.Package) []planRow {
	if len(a.Files) == 0 {
		return rows
	}
	text := strings.Join(a.Files, ", ") + below(a.BaseDirectory)
	if len(a.ExcludePaths) > 0 {
		text += ", without " + strings.Join(a.ExcludePaths, ", ")
	}
	if a.DiscardPaths {
		text += ", paths discarded"
	}
	if p.Zip {
		text += ", as a zip too"
	}
	return append(rows, planRow{title, text})
}

func below(base string) string {
	if base == "" {
		return ""
	}
	return " below " + base
}
