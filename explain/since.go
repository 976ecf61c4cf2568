package explain

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/aymanbagabas/go-udiff"

	"github.com/buildlocal/buildlocal/internal/human"
	"github.com/buildlocal/buildlocal/runner"
)

// Since compares a build with the last green one before it.
type Since struct {
	Build    int    `json:"build"`
	Branch   string `json:"branch,omitempty"` // set if it is another branch
	Earlier  int64  `json:"startedEarlierInSeconds"`
	Files    *Files `json:"files,omitempty"`     // nil if the sources cannot be compared
	Spec     *Spec  `json:"buildspec,omitempty"` // nil if a buildspec was not recorded
	Image    Pair   `json:"image"`
	Cache    Pair   `json:"cache"`
	Duration Sizes  `json:"durationInMilliseconds"`
	Memory   Sizes  `json:"peakMemoryInBytes"` // 0 if it was not measured

	Variables []Variable `json:"variables"` // those that differ
}

// Files are the source files that differ.
type Files struct {
	Count int      `json:"count"`
	Names []string `json:"names"`           // some of them
	Named []string `json:"named,omitempty"` // those that the output of the failed command names
}

// Spec is the difference of the buildspecs.
type Spec struct {
	File  string `json:"file"`
	Lines []Line `json:"lines"` // that were added or removed
}

// Line is a line of a buildspec that was added or removed.
type Line struct {
	Change string `json:"change"` // added or removed
	Number int    `json:"line"`   // in the buildspec that has the line
	Text   string `json:"text"`
}

// Pair is a fact of both builds. The texts are empty if the fact is not known.
type Pair struct {
	Before string `json:"before,omitempty"`
	After  string `json:"after,omitempty"`
}

// Same reports whether the fact is known to be the same.
func (p Pair) Same() bool { return p.Before == p.After }

// Sizes are a number of both builds.
type Sizes struct {
	Before int64 `json:"before"`
	After  int64 `json:"after"`
}

// Variable is a variable that differs. Values are not part of a report.
type Variable struct {
	Name   string `json:"name"`
	Change string `json:"change"` // added, removed or changed
	Origin string `json:"origin,omitempty"`
}

// The kinds of changes.
const (
	added   = "added"
	removed = "removed"
	changed = "changed"
)

// lastGreen returns the last build that succeeded, one of the same branch if there is one. A build
// that was changed by hand or had only parts says nothing about the whole.
func lastGreen(r *runner.Record, earlier []*runner.Record) *runner.Record {
	var other *runner.Record
	for _, e := range earlier {
		switch {
		case e.Status != runner.Succeeded || e.Partial != nil || len(e.ByHand) > 0:
		case branchOf(e) == branchOf(r):
			return e
		case other == nil:
			other = e
		}
	}
	return other
}

func branchOf(r *runner.Record) string {
	if r.Commit == nil {
		return ""
	}
	return r.Commit.Branch
}

// since compares a build with a green one, which may be nil.
func since(r, green *runner.Record) *Since {
	if green == nil {
		return nil
	}
	s := &Since{
		Build: green.Number, Earlier: int64(r.Start.Sub(green.Start).Seconds()),
		Files: files(r, green), Spec: specs(green.Buildspec, r.Buildspec),
		Image:     Pair{imageOf(green.Environment), imageOf(r.Environment)},
		Cache:     Pair{cacheOf(green.Cache), cacheOf(r.Cache)},
		Duration:  Sizes{green.End.Sub(green.Start).Milliseconds(), r.End.Sub(r.Start).Milliseconds()},
		Memory:    Sizes{peakOf(green), peakOf(r)},
		Variables: variables(green.Environment.Variables, r.Environment.Variables),
	}
	if branch := branchOf(green); branch != branchOf(r) {
		s.Branch = cmp.Or(branch, "no branch")
	}
	return s
}

// files returns the files that differ, which were compared when the build ran.
func files(r, green *runner.Record) *Files {
	c := r.Changes
	switch {
	case c != nil && c.Build == green.Number:
		return &Files{Count: c.Count, Names: c.Files, Named: c.Named}
	case sameTree(r, green):
		return &Files{Names: []string{}}
	}
	return nil
}

// sameTree reports whether two builds are known to have had the same files.
func sameTree(a, b *runner.Record) bool {
	return a.Contents != nil && b.Contents != nil && a.Contents.Tree != "" && a.Contents.Tree == b.Contents.Tree
}

// specs returns the lines that differ between two buildspecs.
func specs(before, after *runner.BuildspecText) *Spec {
	if before == nil || after == nil || before.Text == "" || after.Text == "" {
		return nil
	}
	s := &Spec{File: after.File, Lines: []Line{}}
	old, text := before.Text+"\n", after.Text+"\n"
	oldShown, shown := withoutValues(old), withoutValues(text)
	unified, err := udiff.ToUnified("a", "b", old, udiff.Lines(old, text), 0)
	if err != nil {
		return nil
	}
	from, to := 0, 0
	for line := range strings.Lines(unified) {
		line = strings.TrimRight(line, "\n")
		switch {
		case strings.HasPrefix(line, "--- ") && from == 0, strings.HasPrefix(line, "+++ ") && from == 0:
		case strings.HasPrefix(line, "@@ "):
			from, to = hunk(line)
		case strings.HasPrefix(line, "-"):
			s.Lines = append(s.Lines, Line{removed, from, oldShown[min(from, len(oldShown))-1]})
			from++
		case strings.HasPrefix(line, "+"):
			s.Lines = append(s.Lines, Line{added, to, shown[min(to, len(shown))-1]})
			to++
		}
	}
	return s
}

// withoutValues returns the lines of a buildspec, without the values of its section env.
func withoutValues(text string) []string {
	lines := strings.Split(strings.TrimSuffix(text, "\n"), "\n")
	flow := strings.HasPrefix(strings.TrimSpace(text), "{") // JSON, whose lines have any number of keys
	inEnv := false
	for i, line := range lines {
		if key, _, is := strings.Cut(line, ":"); is && line[0] != ' ' && line[0] != '#' && line[0] != '\t' {
			inEnv = strings.Trim(strings.TrimSpace(key), `"'`) == "env"
		}
		name, value, isKey := strings.Cut(line, ":")
		switch {
		case flow, inEnv && !isKey && strings.TrimSpace(line) != "":
			lines[i] = "…"
		case inEnv && strings.TrimSpace(value) != "":
			lines[i] = name + ": …"
		}
	}
	return lines
}

// hunk returns the first lines of a hunk from its head, "@@ -1,2 +3,4 @@".
func hunk(head string) (from, to int) {
	fields := strings.Fields(head)
	number := func(text string) int {
		first, _, _ := strings.Cut(text[1:], ",")
		n, _ := strconv.Atoi(first)
		return max(1, n)
	}
	if len(fields) < 3 {
		return 1, 1
	}
	return number(fields[1]), number(fields[2])
}

// imageOf returns the image of a build with the beginning of its digest.
func imageOf(e runner.Environment) string {
	name := cmp.Or(e.StandIn, e.Image, e.Place)
	digest := cmp.Or(e.ImageID, e.ImageDigest)
	if digest == "" {
		return name
	}
	return name + " " + human.ShortID(digest)
}

// cacheOf returns how a build used its cache; "" without one.
func cacheOf(c *runner.CacheUse) string {
	switch {
	case c == nil || len(c.Paths) == 0:
		return ""
	case c.Restored != nil:
		return "hit"
	}
	return "miss"
}

// peakOf returns the highest memory of a command, in bytes.
func peakOf(r *runner.Record) int64 {
	var peak int64
	for _, c := range r.Commands {
		if c.Used != nil {
			peak = max(peak, c.Used.PeakMemory)
		}
	}
	return peak
}

// variables returns the variables that differ, except those of the service, such as the number of
// the build.
func variables(before, after []runner.EnvironmentVariable) []Variable {
	all := []Variable{}
	old := map[string]runner.EnvironmentVariable{}
	for _, v := range before {
		old[v.Name] = v
	}
	for _, v := range after {
		was, known := old[v.Name]
		delete(old, v.Name)
		switch {
		case v.Origin == runner.ServiceOrigin:
		case !known:
			all = append(all, Variable{v.Name, added, v.Origin})
		case was.Value != v.Value || was.Type != v.Type || was.Hash != "" && v.Hash != "" && was.Hash != v.Hash:
			all = append(all, Variable{v.Name, changed, v.Origin})
		}
	}
	for _, v := range old {
		if v.Origin != runner.ServiceOrigin {
			all = append(all, Variable{v.Name, removed, v.Origin})
		}
	}
	slices.SortFunc(all, func(a, b Variable) int { return strings.Compare(a.Name, b.Name) })
	return all
}

// Head returns the title of the comparison.
func (s *Since) Head() string {
	text := fmt.Sprintf("since #%d, green %s earlier", s.Build, span(s.Earlier))
	if s.Branch != "" {
		text += ", on " + s.Branch
	}
	return text
}

// span returns a number of seconds in the largest unit.
func span(seconds int64) string {
	d := time.Duration(seconds) * time.Second
	if d < time.Minute {
		return human.Duration(d)
	}
	return strings.TrimSuffix(human.Ago(d), " ago")
}

// Row is one fact of a comparison.
type Row struct {
	Name, Text string
	Same       bool
}

// Rows returns the facts of the comparison that are known.
func (s *Since) Rows() []Row {
	var rows []Row
	add := func(name, text string, same bool) {
		if same {
			text = "same"
		}
		rows = append(rows, Row{name, text, same})
	}
	if s.Spec != nil {
		add("buildspec", s.Spec.text(), len(s.Spec.Lines) == 0)
	}
	if s.Files != nil {
		add("source", s.Files.text(), s.Files.Count == 0)
	}
	if s.Image.Before+s.Image.After != "" {
		add("image", s.Image.text(), s.Image.Same())
	}
	add("variables", s.variablesText(), len(s.Variables) == 0)
	if s.Cache.Before+s.Cache.After != "" {
		add("cache", s.Cache.text(), s.Cache.Same())
	}
	add("duration", fmt.Sprintf("%s, was %s", took(s.Duration.After), took(s.Duration.Before)), false)
	if s.Memory.Before > 0 && s.Memory.After > 0 {
		add("memory", fmt.Sprintf("%s, was %s", human.Memory(s.Memory.After), human.Memory(s.Memory.Before)), false)
	}
	return rows
}

// Line returns the comparison in one line.
func (s *Since) Line() string {
	var differ, same []string
	switch f := s.Files; {
	case f == nil:
	case f.Count == 0:
		same = append(same, "files")
	default:
		differ = append(differ, f.short()+" changed")
	}
	note := func(name string, isSame bool, text string) {
		if isSame {
			same = append(same, name)
		} else {
			differ = append(differ, text)
		}
	}
	if s.Spec != nil {
		note("buildspec", len(s.Spec.Lines) == 0, s.Spec.File+" changed")
	}
	if s.Image.Before != "" && s.Image.After != "" {
		note("image", s.Image.Same(), "another image")
	}
	note("variables", len(s.Variables) == 0, human.Series(names(s.Variables))+" changed")
	if s.Cache.Before+s.Cache.After != "" {
		note("cache", s.Cache.Same(), "cache "+s.Cache.text())
	}
	text := strings.Join(differ, ", ")
	if len(same) > 0 {
		text = strings.TrimPrefix(text+"; same "+human.Series(same), "; ")
	}
	return fmt.Sprintf("since #%d (green): %s", s.Build, text)
}

// short returns one file, or their number.
func (f *Files) short() string {
	switch {
	case len(f.Named) == 1:
		return f.Named[0]
	case f.Count == 1 && len(f.Names) == 1:
		return f.Names[0]
	}
	return human.Count(f.Count, "file")
}

// maxShown is how many names are in a line.
const maxShown = 5

func (f *Files) text() string {
	text := human.Count(f.Count, "file") + " changed"
	shown := append([]string{}, f.Named...)
	if len(f.Named) > 0 {
		text += "; the output names " + human.Series(f.Named)
	}
	var others []string
	for _, name := range f.Names {
		if !slices.Contains(shown, name) && len(others) < maxShown {
			others = append(others, name)
		}
	}
	if len(others) == 0 {
		return text
	}
	label := ": "
	if len(f.Named) > 0 {
		label = "; others: "
	}
	text += label + strings.Join(others, ", ")
	if f.Count > len(shown)+len(others) {
		text += ", …"
	}
	return text
}

func (s *Spec) text() string {
	gone := 0
	for _, l := range s.Lines {
		if l.Change == removed {
			gone++
		}
	}
	return human.Count(max(gone, len(s.Lines)-gone), "line") + " of " + s.File + " changed"
}

func (p Pair) text() string { return cmp.Or(p.Before, "none") + " → " + cmp.Or(p.After, "none") }

func (s *Since) variablesText() string {
	var parts []string
	for _, v := range s.Variables[:min(len(s.Variables), maxShown)] {
		parts = append(parts, v.Name+" "+v.Change)
	}
	text := strings.Join(parts, ", ")
	if more := len(s.Variables) - maxShown; more > 0 {
		text += fmt.Sprintf(" and %d more", more)
	}
	return text
}

func names(all []Variable) []string {
	var names []string
	for _, v := range all[:min(len(all), maxShown)] {
		names = append(names, v.Name)
	}
	return names
}

func took(milliseconds int64) string {
	return human.Duration(time.Duration(milliseconds) * time.Millisecond)
}

func itoa(n int) string { return strconv.Itoa(n) }
