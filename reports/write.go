package reports

import (
	"bufio"
	"cmp"
	"encoding/xml"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"
)

// The dialect is the common denominator of Jenkins, GitLab and GitHub Actions: one level of suites,
// with file and line at the case.
type junitSuites struct {
	XMLName  xml.Name     `xml:"testsuites"`
	Tests    int          `xml:"tests,attr"`
	Failures int          `xml:"failures,attr"`
	Errors   int          `xml:"errors,attr"`
	Skipped  int          `xml:"skipped,attr"`
	Time     string       `xml:"time,attr"`
	Suites   []junitSuite `xml:"testsuite"`
}

type junitSuite struct {
	Name  string      `xml:"name,attr"`
	Cases []junitCase `xml:"testcase"`
}

type junitCase struct {
	Name    string      `xml:"name,attr"`
	Class   string      `xml:"classname,attr,omitempty"`
	Time    string      `xml:"time,attr"`
	File    string      `xml:"file,attr,omitempty"`
	Line    int         `xml:"line,attr,omitempty"`
	Failure *junitEnded `xml:"failure"`
	Error   *junitEnded `xml:"error"`
	Skipped *junitEnded `xml:"skipped"`
}

type junitEnded struct {
	Message string `xml:"message,attr,omitempty"`
	Text    string `xml:",chardata"`
}

// WriteJUnit writes the test reports as a single JUnit document.
func WriteJUnit(w io.Writer, all []*Report) error {
	doc := junitSuites{}
	took := time.Duration(0)
	for _, r := range all {
		if r.Tests == nil {
			continue
		}
		doc.Tests += r.Tests.Total
		doc.Failures += r.Tests.Counts[CaseFailed]
		doc.Errors += r.Tests.Counts[CaseError]
		doc.Skipped += r.Tests.Counts[CaseSkipped] + r.Tests.Counts[CaseUnknown]
		// The totals of a truncated report cover all cases, so they may exceed the number of elements.
		took += r.Tests.Duration
		doc.Suites = append(doc.Suites, suites(r)...)
	}
	doc.Time = inSeconds(took)
	b := bufio.NewWriter(w)
	_, _ = b.WriteString(xml.Header)
	e := xml.NewEncoder(b)
	e.Indent("", "  ")
	if err := e.Encode(doc); err != nil {
		return err
	}
	_ = b.WriteByte('\n')
	return b.Flush()
}

// inSeconds formats a duration without an exponent, which some readers do not parse.
func inSeconds(d time.Duration) string { return strconv.FormatFloat(d.Seconds(), 'f', -1, 64) }

// suites returns the suites of a report, in the order of their first cases.
func suites(r *Report) []junitSuite {
	at := map[string]int{}
	var all []junitSuite
	for _, c := range r.Cases {
		i, found := at[c.Suite]
		if !found {
			i = len(all)
			at[c.Suite] = i
			all = append(all, junitSuite{Name: c.Suite})
		}
		all[i].Cases = append(all[i].Cases, junitOf(c))
	}
	return all
}

// junitOf converts a case. UNKNOWN has no counterpart and becomes skipped, as it must not count as
// passed.
func junitOf(c Case) junitCase {
	j := junitCase{Name: c.Name, Class: c.Prefix, Time: inSeconds(c.Duration)}
	if c.Place != nil {
		j.File, j.Line = c.Place.File, c.Place.Line
	}
	first, _, _ := strings.Cut(c.Message, "\n")
	// The attribute has the first line only, because readers show it in lists.
	ended := &junitEnded{Message: first, Text: c.Message}
	switch c.Status {
	case CaseFailed:
		j.Failure = ended
	case CaseError:
		j.Error = ended
	case CaseSkipped, CaseUnknown:
		ended.Text = ""
		j.Skipped = ended
	}
	return j
}

// WriteLCOV writes the coverage reports as LCOV. For files without lines it writes the totals only.
// The format is described in the manual page geninfo(1).
func WriteLCOV(w io.Writer, all []*Report) error {
	b := bufio.NewWriter(w)
	for _, r := range all {
		for _, c := range r.Coverage {
			fmt.Fprintf(b, "TN:\nSF:%s\n", strings.ReplaceAll(cmp.Or(c.Place, c.Path), "\n", " "))
			for _, l := range c.Detail {
				l.lcov(b)
			}
			fmt.Fprintf(b, "LF:%d\nLH:%d\n", c.Lines.Total(), c.Lines.Covered)
			if n := c.Branches.Total(); n > 0 {
				fmt.Fprintf(b, "BRF:%d\nBRH:%d\n", n, c.Branches.Covered)
			}
			fmt.Fprintln(b, "end_of_record")
		}
	}
	return b.Flush()
}

// maxBranches limits the branches of a line that are written individually.
const maxBranches = 1000

// lcov writes a line as DA, and its branches as BRDA, all in block 0.
func (l Line) lcov(w io.Writer) {
	if l.Code {
		fmt.Fprintf(w, "DA:%d,%d\n", l.Number, l.Hits)
	}
	for i := range min(l.Branches.Total(), maxBranches) {
		// The report knows how many branches of a line were taken but not which ones.
		taken := 0
		if i < l.Branches.Covered {
			taken = 1
		}
		fmt.Fprintf(w, "BRDA:%d,0,%d,%d\n", l.Number, i, taken)
	}
}
