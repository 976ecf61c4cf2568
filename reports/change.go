package reports

import (
	"fmt"
	"iter"
	"regexp"
	"strings"
	"sync"
)

// Change is the result of a case compared with the previous build.
type Change string

// The changes.
const (
	NewlyFailing Change = "NEWLY_FAILING"
	StillFailing Change = "STILL_FAILING"
	Fixed        Change = "FIXED"
	// Flaky takes precedence over the other changes: the source did not change, so the test is the
	// suspect.
	Flaky Change = "FLAKY" // it had a different result in an earlier build of the same source
)

// Past is an earlier build with reports.
type Past struct {
	Build int    `json:"buildNumber"`
	Print string `json:"sourcePrint,omitempty"` // fingerprint of its source
}

// History is the results of a case in earlier builds: a letter for each Past of the Set, oldest
// first. The letters are P, F, E, S and U for the statuses, and - if the build lacks the case. A
// string of letters keeps reports.json small: a set has up to 500 cases in each group, and each has
// a history of 20 builds.
type History string

// Bad reports whether the case failed in the build at an index of Set.Past.
func (h History) Bad(i int) bool {
	return i >= 0 && i < len(h) && bad(h[i])
}

// letters are the letters of a History, by status.
var letters = map[CaseStatus]byte{CaseSucceeded: 'P', CaseFailed: 'F', CaseError: 'E', CaseSkipped: 'S',
	CaseUnknown: 'U'}

// absent is the letter for a build without the case.
const absent = '-'

// letter returns the status's letter of a History.
func (s CaseStatus) letter() byte {
	if l, found := letters[s]; found {
		return l
	}
	return absent
}

// bad reports whether a letter is that of a failed case. Skipped and unknown results are neither
// good nor bad: they end no series of failures.
func bad(letter byte) bool { return letter == 'F' || letter == 'E' }

// Changes summarizes the differences of a report from that of an earlier build.
type Changes struct {
	Build        int `json:"buildNumber"` // the earlier build
	NewlyFailing int `json:"newlyFailing"`
	StillFailing int `json:"stillFailing"`
	Fixed        int `json:"fixed"`
	Flaky        int `json:"flaky"`
	// A truncated report does not list all its cases, so a missing case says nothing.
	Gone int `json:"gone"` // cases that no longer exist; 0 if either report was truncated

	// Changes of the coverage in percentage points; nil if either report has no coverage.
	Lines    *float64 `json:"lineCoverageChange,omitempty"`
	Branches *float64 `json:"branchCoverageChange,omitempty"`
}

// maxPast is the number of earlier builds that a Set remembers. Twenty builds are enough to
// recognize a flaky test, and fit into one line of a page.
const maxPast = 20

// key identifies a case in a report. Cases with the same name are numbered, so that the first
// is compared with the first, the second with the second. Cases with the same name are common:
// parametrized tests of many tools do not write the parameters.
type key struct {
	suite, prefix, name string
	number              int
}

// sourceDir matches the source directory of a build. Its number differs in every build.
var sourceDir = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`/codebuild/output/src\d+/`) })

// keys returns the keys of cases, in their order.
func keys(cases []Case) []key {
	seen := make(map[key]int, len(cases))
	all := make([]key, len(cases))
	// Some tools write the absolute path of the test file as the suite or class.
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

// Compare compares the reports with those of earlier builds, given newest first. Each group is
// compared with the last build that has a report of it which is not INCOMPLETE.
func (s *Set) Compare(earlier iter.Seq[*Set]) {
	left := len(s.Reports)
	// The sequence is lazy: reading the set of a build costs some milliseconds, and usually the
	// previous build has all groups.
	for e := range earlier {
		// The first set of the sequence is the previous build. Its own list of earlier builds, with
		// itself at the end, is that of this build.
		if len(s.Past) == 0 {
			s.Past = append(append([]Past{}, e.Past...), Past{e.Build, e.Print})
			s.Past = s.Past[max(0, len(s.Past)-maxPast):]
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

// group returns the report to compare with, or nil.
func (s *Set) group(r *Report) *Report {
	for _, old := range s.Reports {
		// The type is compared too, because a group may have changed from tests to coverage under the
		// same name.
		if old.Group == r.Group && old.Type == r.Type && old.Status != Incomplete {
			return old
		}
	}
	return nil
}

// compare sets the Changes of a report, and the Change and History of its cases.
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
	// Failed cases are kept first. So a case that is missing from a truncated report passed,
	// unless failed cases were cut as well.
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

// history returns a case's history: that of its predecessor, and the predecessor's result. The
// builds are matched by number, because the predecessor may be older than the last entry of Past: a
// group that does not occur in each build has gaps.
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

// change returns the Change of a case. A failed case without a predecessor is newly failing.
func (s *Set) change(c, was *Case) Change {
	failed := was != nil && was.Status.Bad()
	for i := range len(c.History) {
		before := c.History[i]
		// An unknown fingerprint equals nothing, not even another unknown one.
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

// count adds a change to the sums.
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

// difference returns the change of the coverage in percentage points, or nil if either has
// nothing to cover. The result is in percentage points, as in the trend of the console: 50 to 60
// percent is 10.
func difference(now, before Counts) *float64 {
	if now.Total() == 0 || before.Total() == 0 {
		return nil
	}
	d := now.Percent() - before.Percent()
	return &d
}

// String describes the changes of test cases, such as "2 newly failing, 1 fixed (against build
// 6)". It returns "" if there is no change.
func (c *Changes) String() string {
	if c == nil {
		return ""
	}
	var parts []string
	for _, part := range []struct {
		n    int
		text string
	}{
		{c.NewlyFailing, "newly failing"}, {c.StillFailing, "still failing"}, {c.Fixed, "fixed"}, {c.Flaky, "flaky"},
		{c.Gone, "removed"},
	} {
		if part.n > 0 {
			parts = append(parts, fmt.Sprintf("%d %s", part.n, part.text))
		}
	}
	if len(parts) == 0 {
		return ""
	}
	return fmt.Sprintf("%s (against build %d)", strings.Join(parts, ", "), c.Build)
}
