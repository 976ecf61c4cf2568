package reports

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/buildlocal/buildlocal/internal/regular"
	"github.com/buildlocal/buildlocal/internal/sax"
)

// Source is a report file.
type Source struct {
	Path string // as it is shown
	Open func() (io.ReadCloser, error)
}

// Open opens a regular file below root for a Source. Reads fail with the cause of ctx once it is
// done.
func Open(ctx context.Context, root *os.Root, name string) (io.ReadCloser, error) {
	f, err := regular.OpenIn(root, name)
	if err != nil {
		return nil, err
	}
	return stoppable{ctx, f}, nil
}

// OpenFile is Open for a path that is not below a root.
func OpenFile(ctx context.Context, name string) (io.ReadCloser, error) {
	f, err := regular.Open(name)
	if err != nil {
		return nil, err
	}
	return stoppable{ctx, f}, nil
}

// stoppable ends a read when its context is done. A report may be a pipe or a very large file, and
// a stopped build must not wait for its end.
type stoppable struct {
	ctx context.Context
	*os.File
}

// Read implements io.Reader.
func (s stoppable) Read(p []byte) (int, error) {
	if err := context.Cause(s.ctx); err != nil {
		return 0, err
	}
	return s.File.Read(p)
}

// Problem explains why a file could not be read. It implements error.
type Problem struct {
	File   string `json:"file"`
	Line   int    `json:"line,omitempty"`   // where reading stopped, from 1; 0 when not known
	Offset int64  `json:"offset,omitempty"` // likewise, in bytes
	// Text has the cause without the position, which Message adds.
	Text string `json:"message"`
	// The most common cause of a malformed report is a wrong or missing file-format: the default is
	// JUNITXML whatever the extension of the file.
	DetectFormat string `json:"looksLike,omitempty"` // actual format of the file, if it differs
	// Reason has the words of CodeBuild without the file, see ServiceMessage.
	Reason string `json:"codeBuildReason,omitempty"`

	find string // value in the file that has the position, if that is not known yet
}

// Error implements error.
func (p Problem) Error() string {
	where := p.File
	if p.Line > 0 {
		where += fmt.Sprintf(":%d", p.Line)
	}
	return where + ": " + p.Message()
}

// Message returns the problem without its location.
func (p Problem) Message() string {
	text := p.Text
	if p.Offset > 0 {
		text += fmt.Sprintf(" (byte %d)", p.Offset)
	}
	return text + p.hint()
}

// hint describes the actual format of a file, and the next step.
func (p Problem) hint() string {
	if p.DetectFormat == "" {
		return ""
	}
	if format, known := ReadFormat(p.DetectFormat); known {
		return fmt.Sprintf("; the file looks like %s; set file-format accordingly", format)
	}
	return "; it looks like " + p.DetectFormat
}

// reading collects the contents of report files. Each file has its own reading, which is discarded
// if the file turns out to be malformed.
type reading struct {
	format Format
	limits Limits
	// Totals count all cases, the lists only those within the limits, so memory does not grow with the
	// number of tests.
	sum   TestSummary
	bad   []Case // the first failed cases, up to the limit
	good  []Case // the first other cases, up to the limit
	slow  []Case // the slowest cases, slowest first
	files map[string]*fileLines
	notes []string
	// CodeBuild refuses the file, but its results can be read, and count.
	problems []Problem

	file string
	// The sequence restores the order of the file, which the separate lists for failed and other cases
	// lose.
	sequence int               // number of cases so far
	shared   map[string]string // names that many cases share
}

// maxSlow is the number of slowest cases in a report.
const maxSlow = 10

// newReading returns an empty reading.
func newReading(format Format, limits Limits) *reading {
	return &reading{
		format: format, limits: limits, files: map[string]*fileLines{}, shared: map[string]string{},
		sum: TestSummary{Counts: map[CaseStatus]int{}},
	}
}

// maxSecret is the number of bytes of a message that are read beyond the part that is kept, so
// that a secret at its end is complete when it is masked.
const maxSecret = 8 << 10

// newText returns an empty text with the limit for messages.
func (r *reading) newText() text {
	return text{most: utf8.UTFMax*cmp.Or(r.limits.Message, maxMessage) + maxSecret}
}

// note adds a note about the current file.
func (r *reading) note(format string, args ...any) {
	r.notes = append(r.notes, r.file+" "+fmt.Sprintf(format, args...))
}

// add counts a case, and keeps it within the limits.
func (r *reading) add(c Case) {
	// The totals come first: a case that is not kept counts as well.
	r.sum.add(c.Status, 1)
	r.sum.took(c.Duration)
	r.sequence++
	c.sequence = r.sequence
	slow := len(r.slow) < maxSlow || c.Duration > r.slow[len(r.slow)-1].Duration
	list := &r.good
	if c.Status.Bad() {
		list = &r.bad
	}
	full := r.limits.Cases > 0 && len(*list) >= r.limits.Cases
	if full && !slow {
		return
	}
	// From here on the case is kept. Shortening is deferred to this point because masking is the
	// expensive part, and most cases of a large report are dropped.
	c.Raw = r.file
	// A suite of ten thousand cases repeats the same few names; one copy of each saves most of the
	// memory of a large report.
	c.Suite, c.Prefix, c.at.File = r.share(c.Suite), r.share(c.Prefix), r.share(c.at.File)
	c.Name = r.limits.shorten(c.Name, cmp.Or(r.limits.Name, maxName))
	c.Message = r.limits.shorten(c.Message, cmp.Or(r.limits.Message, maxMessage))
	if !full {
		*list = append(*list, c)
	}
	if slow {
		r.addSlow(c)
	}
}

// addSlow inserts a case into the list of slowest cases. The earlier one of two equally slow cases
// stays in front.
func (r *reading) addSlow(c Case) {
	i, _ := slices.BinarySearchFunc(r.slow, c, func(a, b Case) int {
		if a.Duration >= b.Duration {
			return -1
		}
		return 1
	})
	r.slow = slices.Insert(r.slow, i, c)
	r.slow = r.slow[:min(len(r.slow), maxSlow)]
}

// maxShared limits the number of names that are shared. maxName is the maximum length of a shared
// name, in characters, if Limits has none.
const (
	maxShared = 10000
	maxName   = 1000
)

// share returns a name, of which many cases use the same copy. A map that grew with hostile input
// would defeat the purpose, so its size is limited; further names are simply not shared.
func (r *reading) share(name string) string {
	if s, found := r.shared[name]; found {
		return s
	}
	short := r.limits.shorten(name, maxName)
	if len(r.shared) < maxShared && len(name) <= maxName {
		r.shared[name] = short
	}
	return short
}

// line adds a line of a file. If a line appears twice, the higher counts win.
func (r *reading) line(path string, l Line) {
	f := r.covered(path)
	old, found := f.lines[l.Number]
	if !found {
		f.lines[l.Number] = l
		return
	}
	// Taking the maximum rather than the sum is right for files that several reports measured with the
	// same run, and never claims a coverage that no report has.
	old.Code = old.Code || l.Code
	old.Hits = max(old.Hits, l.Hits)
	old.Branches = better(old.Branches, l.Branches)
	f.lines[l.Number] = old
}

// better merges the branch counts of two reports.
func better(a, b Counts) Counts {
	total := max(a.Total(), b.Total())
	covered := max(a.Covered, b.Covered)
	return Counts{covered, total - covered}
}

// covered returns the lines of a file, which it adds to the report.
func (r *reading) covered(path string) *fileLines {
	// Reports written on Windows have backslashes; the tree of the source never does.
	path = strings.ReplaceAll(path, `\`, "/")
	f := r.files[path]
	if f == nil {
		f = &fileLines{lines: map[int]Line{}}
		r.files[path] = f
	}
	return f
}

// fileLines are the lines of one covered file.
type fileLines struct {
	lines map[int]Line
	// sums are the totals of lines and branches, as the format counts them. They are used if there
	// are no lines, or as long as no other report covers the same file.
	sums   [2]Counts
	summed bool
}

// sum records the totals of a file. If the file appears twice in a report, its lines are used
// instead, if there are any.
func (f *fileLines) sum(lines, branches Counts) {
	if f.sums != [2]Counts{} {
		f.join(&fileLines{sums: [2]Counts{lines, branches}, summed: true})
		return
	}
	f.summed, f.sums = true, [2]Counts{lines, branches}
}

// join merges the totals of another report.
func (f *fileLines) join(o *fileLines) {
	// The totals of one report say nothing about the union of two, but lines can be merged. So totals
	// are only kept as long as neither report has lines.
	f.summed = len(f.lines) == 0 && (f.summed || o.summed)
	for i := range f.sums {
		f.sums[i] = better(f.sums[i], o.sums[i])
	}
}

// join merges another reading.
func (r *reading) join(o *reading) {
	for status, n := range o.sum.Counts {
		r.sum.add(status, n)
	}
	r.sum.took(o.sum.Duration)
	r.bad, r.good = r.keep(r.bad, o.bad), r.keep(r.good, o.good)
	for _, c := range o.slow {
		if len(r.slow) < maxSlow || c.Duration > r.slow[len(r.slow)-1].Duration {
			r.addSlow(c)
		}
	}
	for path, f := range o.files {
		if r.files[path] == nil {
			r.files[path] = f
			continue
		}
		for _, l := range f.lines {
			r.line(path, l)
		}
		r.files[path].join(f)
	}
	r.notes = append(r.notes, o.notes...)
	r.sequence = o.sequence
}

// keep appends cases up to the limit.
func (r *reading) keep(mine, more []Case) []Case {
	if r.limits.Cases > 0 {
		more = more[:min(len(more), r.limits.Cases-len(mine))]
	}
	return append(mine, more...)
}

// Read reads the files of a report group. A file that cannot be read makes the report INCOMPLETE
// and is listed in its Problems; the report has the contents of the others. So is a file that only CodeBuild
// refuses, whose contents count.
func Read(group string, format Format, files []Source, limits Limits) *Report {
	all := newReading(format, limits)
	report := &Report{Group: group, Format: format, Type: format.Type(), Files: []string{}}
	for _, f := range files {
		report.Files = append(report.Files, f.Path)
		one := newReading(format, limits)
		// Names and numbering continue over all files; everything else is separate until the file has
		// been read completely.
		one.file, one.shared, one.sequence = f.Path, all.shared, all.sequence
		if err := one.open(f); err != nil {
			report.Problems = append(report.Problems, problem(f, format, err))
			continue
		}
		for _, p := range one.problems {
			if p.find != "" {
				p.locate(f)
			}
			report.Problems = append(report.Problems, p)
		}
		all.join(one)
	}
	all.into(report)
	return report
}

// open opens a file and reads it. An error of Close counts, because a file that comes out of a
// container as a stream may fail only there.
func (r *reading) open(f Source) (err error) {
	in, err := f.Open()
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, in.Close()) }()
	return r.format.read(in, r)
}

// problem converts an error to a Problem, with a hint if the file has another format.
func problem(f Source, format Format, err error) Problem {
	p := Problem{File: f.Path, Text: err.Error(), Reason: format.reason(f, err)}
	var at *sax.Error
	if errors.As(err, &at) {
		p.Line, p.Offset, p.Text = at.Line, at.Offset, at.Text
	}
	// The format is named first, because the user chose it: the cause alone reads as if the file were
	// damaged.
	p.Text = fmt.Sprintf("cannot be read as %s: %s", format, p.Text)
	// The file is opened again for the hint: the failed reading has consumed an unknown part of it.
	if in, err := f.Open(); err == nil {
		if like := DetectFormat(in); like != string(format) {
			p.DetectFormat = like
		}
		_ = in.Close()
	}
	return p
}

// into stores the result in a report.
func (r *reading) into(report *Report) {
	report.Notes = r.notes
	report.Status = Succeeded
	if report.Type == CodeCoverage {
		report.Coverage, report.Sum = r.coverages()
	} else {
		report.Tests, report.Slowest = &r.sum, r.slow
		report.Cases = r.cases()
		report.Truncated = len(report.Cases) < r.sum.Total
		if r.sum.Bad() > 0 {
			report.Status = Failed
		}
	}
	// INCOMPLETE wins over FAILED, as in the service: the failures of an unread file are unknown.
	if len(report.Problems) > 0 {
		report.Status = Incomplete
	}
}

// cases returns the kept cases in their order. Failed cases are kept first (documented).
func (r *reading) cases() []Case {
	// The limit applies to both lists together. Failed cases come first and are cut last.
	all := append(slices.Clone(r.bad), r.good...)
	if r.limits.Cases > 0 {
		all = all[:min(len(all), r.limits.Cases)]
	}
	slices.SortStableFunc(all, func(a, b Case) int { return cmp.Compare(a.sequence, b.sequence) })
	return all
}

// coverages returns the covered files, sorted by path, and their sum.
func (r *reading) coverages() ([]Coverage, *Sum) {
	all, sum := []Coverage{}, &Sum{}
	for _, path := range slices.Sorted(maps.Keys(r.files)) {
		c := r.files[path].coverage(path)
		sum.Lines, sum.Branches = sum.Lines.plus(c.Lines), sum.Branches.plus(c.Branches)
		all = append(all, c)
	}
	return all, sum
}

// coverage returns the coverage of one file. Lines with branches only, as JaCoCo and SimpleCov have
// them, count for the branches but not as lines.
func (f *fileLines) coverage(path string) Coverage {
	c := Coverage{Path: path}
	for _, n := range slices.Sorted(maps.Keys(f.lines)) {
		l := f.lines[n]
		c.Detail = append(c.Detail, l)
		c.Branches = c.Branches.plus(l.Branches)
		switch {
		case !l.Code:
		case l.Hits > 0:
			c.Lines.Covered++
		default:
			c.Lines.Missed++
		}
	}
	if f.summed {
		c.Lines, c.Branches = f.sums[0], f.sums[1]
	}
	return c
}

// AddDetail adds the lines of a report that was read again to the covered files. The stored set has
// no lines, because they are most of a coverage report; the HTML page and LCOV read the report
// files again to get them.
func (r *Report) AddDetail(again *Report) {
	lines := map[string][]Line{}
	for _, c := range again.Coverage {
		lines[c.Path] = c.Detail
	}
	for i, c := range r.Coverage {
		r.Coverage[i].Detail = lines[c.Path]
	}
}
