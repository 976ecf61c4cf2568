package reports

import (
	"fmt"
	"iter"
	"regexp"
	"strings"
	"sync"
)

// Change says how a case ended against the build before.
type Change string

// The changes.
const (
	NewlyFailing Change = "NEWLY_FAILING"
	StillFailing Change = "STILL_FAILING"
	Fixed        Change = "FIXED"
	Flaky        Change = "FLAKY" // it ended otherwise in a build of the same source
)

// Past is an earlier build that had reports.
type Past struct {
	Build int    `json:"buildNumber"`
	Print string `json:"sourcePrint,omitempty"`
}

// History is how a case ended in earlier builds: a letter for each Past of the Set, the
// oldest first. They are P, F, E, S and U for the statuses, and - where the case was not.
type History string

// letters are those of a History.
var letters = map[CaseStatus]byte{CaseSucceeded: 'P', CaseFailed: 'F', CaseError: 'E', CaseSkipped: 'S', CaseUnknown: 'U'}

// absent is the letter of a build that did not have the case.
const absent = '-'

func (s CaseStatus) letter() byte {
	if l, found := letters[s]; found {
		return l
	}
	return absent
}

func bad(letter byte) bool { return letter == 'F' || letter == 'E' }

// Changes sums up how a report differs from that of the build before.
type Changes struct {
	Build        int      `json:"buildNumber"` // of that build
	NewlyFailing int      `json:"newlyFailing"`
	StillFailing int      `json:"stillFailing"`
	Fixed        int      `json:"fixed"`
	Flaky        int      `json:"flaky"`
	Gone         int      `json:"gone"`                         // cases that are there no more; 0 where some of either are cut
	Lines        *float64 `json:"lineCoverageChange,omitempty"` // in percent of all lines; nil where one has none
	Branches     *float64 `json:"branchCoverageChange,omitempty"`
}

// pastMost is how many earlier builds a Set remembers.
const pastMost = 20

// key names a case among those of a report. Of cases with one name the first is
// compared with the first, the second with the second.
type key struct {
	suite, prefix, name string
	number              int
}

// sourceDir is where the source stands in a build, by another number each time.
var sourceDir = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`/codebuild/output/src\d+/`) })

// keys names cases in their order.
func keys(cases []Case) []key {
	seen := make(map[key]int, len(cases))
	all := make([]key, len(cases))
	steady := func(text string) string {
		if strings.Contains(text, "/codebuild/output/src") {
			return sourceDir().ReplaceAllString(text, "")
		}
		return text
	}
	for i, c := range cases {
		k := key{suite: steady(c.Suite), prefix: steady(c.Prefix), name: steady(c.Name)}
		seen[k]++
		k.number = seen[k]
		all[i] = k
	}
	return all
}

// Compare tells how the reports differ from those of earlier builds, the newest of which
// comes first. Each group is compared with the last build whose report of it is there and
// not INCOMPLETE.
func (s *Set) Compare(earlier iter.Seq[*Set]) {
	left := len(s.Reports)
	for e := range earlier {
		if len(s.Past) == 0 {
			s.Past = append(append([]Past{}, e.Past...), Past{e.Build, e.Print})
			s.Past = s.Past[max(0, len(s.Past)-pastMost):]
		}
		for _, r := range s.Reports {
			if old := e.group(r); old != nil && r.Changes == nil {
				s.compare(r, old, e)
				left--
			}
		}
		if left == 0 {
			return
		}
	}
}

// group returns the report to compare with; nil for none.
func (s *Set) group(r *Report) *Report {
	for _, old := range s.Reports {
		if old.Group == r.Group && old.Type == r.Type && old.Status != Incomplete {
			return old
		}
	}
	return nil
}

func (s *Set) compare(r, old *Report, e *Set) {
	r.Changes = &Changes{Build: e.Build}
	if r.Sum != nil && old.Sum != nil {
		r.Changes.Lines = difference(r.Sum.Lines, old.Sum.Lines)
		r.Changes.Branches = difference(r.Sum.Branches, old.Sum.Branches)
	}
	was := make(map[key]*Case, len(old.Cases))
	for i, k := range keys(old.Cases) {
		was[k] = &old.Cases[i]
	}
	// Of a report that was cut, one that is not kept passed; but not if failed ones were cut.
	sure := !old.Truncated || old.Tests == nil || old.Tests.Bad() < len(old.Cases)
	for i, k := range keys(r.Cases) {
		c := &r.Cases[i]
		c.History = s.history(was[k], e)
		if was[k] != nil || sure {
			c.Change = s.change(c, was[k])
		}
		r.Changes.count(c.Change)
		delete(was, k)
	}
	if !r.Truncated && !old.Truncated && r.Status != Incomplete {
		r.Changes.Gone = len(was)
	}
}

// history is that of a case: what its last one knew, and how that ended itself.
func (s *Set) history(was *Case, e *Set) History {
	text := []byte(strings.Repeat(string(absent), len(s.Past)))
	if was == nil {
		return History(text)
	}
	known := map[int]byte{e.Build: was.Status.letter()}
	for i := range min(len(was.History), len(e.Past)) {
		known[e.Past[i].Build] = was.History[i]
	}
	for i, p := range s.Past {
		if letter, found := known[p.Build]; found {
			text[i] = letter
		}
	}
	return History(text)
}

// change is that of a case. One that the last report does not have fails newly.
func (s *Set) change(c, was *Case) Change {
	failed := was != nil && was.Status.Bad()
	for i := range len(c.History) {
		before := c.History[i]
		same := s.Print != "" && s.Past[i].Print == s.Print
		if same && (bad(before) && c.Status == CaseSucceeded || before == 'P' && c.Status.Bad()) {
			return Flaky
		}
	}
	switch {
	case c.Status.Bad() && failed:
		return StillFailing
	case c.Status.Bad():
		return NewlyFailing
	case c.Status == CaseSucceeded && failed:
		return Fixed
	}
	return ""
}

func (c *Changes) count(change Change) {
	switch change {
	case NewlyFailing:
		c.NewlyFailing++
	case StillFailing:
		c.StillFailing++
	case Fixed:
		c.Fixed++
	case Flaky:
		c.Flaky++
	}
}

// difference is how many percent more are covered; nil where one has nothing to cover.
func difference(now, before Counts) *float64 {
	if now.Total() == 0 || before.Total() == 0 {
		return nil
	}
	d := now.Percent() - before.Percent()
	return &d
}

// String is the changes of test cases in words, such as "2 newly failing, 1 fixed
// (against build 6)"; nothing where there are none.
func (c *Changes) String() string {
	if c == nil {
		return ""
	}
	var parts []string
	for _, part := range []struct {
		n    int
		what string
	}{{c.NewlyFailing, "newly failing"}, {c.StillFailing, "still failing"}, {c.Fixed, "fixed"}, {c.Flaky, "flaky"}, {c.Gone, "not there any more"}} {
		if part.n > 0 {
			parts = append(parts, fmt.Sprintf("%d %s", part.n, part.what))
		}
	}
	if len(parts) == 0 {
		return ""
	}
	return fmt.Sprintf("%s (against build %d)", strings.Join(parts, ", "), c.Build)
}
