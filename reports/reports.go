// Package reports reads test and coverage reports in the formats that CodeBuild supports.
//
// Read turns the files of a report group into a Report, with the fields and summaries of the
// CodeBuild API. A Set holds the reports of one build; Set.Compare finds the differences from
// earlier builds. A Tree maps the file names in reports to files of the source. Write functions
// convert reports to JUnit and LCOV.
//
// Report files come from the build and are not trusted: readers have limits for size, depth and
// memory, and texts are masked before they are truncated.
package reports

import (
	"math"
	"time"
)

// Type is the type of a report, with the API's names.
type Type string

// The types. Documented in the API reference of ReportGroup.
const (
	Test         Type = "TEST"
	CodeCoverage Type = "CODE_COVERAGE"
)

// Status is the status of a report, with the API's names.
type Status string

// The statuses of a finished report. Documented in "Test reports".
const (
	Succeeded Status = "SUCCEEDED"
	Failed    Status = "FAILED"
	// INCOMPLETE means that a file could not be read. GENERATING and DELETING do not occur in a local
	// build.
	Incomplete Status = "INCOMPLETE"
)

// CaseStatus is the status of a test case, with the API's names.
type CaseStatus string

// The statuses of a test case. Documented in "Test reports".
const (
	CaseSucceeded CaseStatus = "SUCCEEDED"
	CaseFailed    CaseStatus = "FAILED"
	CaseError     CaseStatus = "ERROR"
	CaseSkipped   CaseStatus = "SKIPPED"
	CaseUnknown   CaseStatus = "UNKNOWN"
)

// Bad reports whether a case makes its report fail. Whether skipped and unknown cases do is not
// documented; here they do not.
func (s CaseStatus) Bad() bool { return s == CaseFailed || s == CaseError }

// Case is a test case, with the fields of the API's TestCase.
type Case struct {
	Name     string        `json:"name"`
	Prefix   string        `json:"prefix,omitempty"`        // such as the class
	Suite    string        `json:"testSuiteName,omitempty"` // the innermost suite with a name
	Status   CaseStatus    `json:"status"`
	Duration time.Duration `json:"durationInNanoSeconds"`
	Message  string        `json:"message,omitempty"`         // including the stack trace
	Raw      string        `json:"testRawDataPath,omitempty"` // report file of the case

	// Fields that the API does not have.
	Place   *Place  `json:"source,omitempty"`  // location of the failure in the source; nil if unknown
	Retried bool    `json:"retried,omitempty"` // it failed first and then passed in the same run
	Change  Change  `json:"change,omitempty"`  // compared with the previous build
	History History `json:"history,omitempty"` // results in earlier builds, oldest first

	id       string // ID of its definition, if that is elsewhere in the file
	at       Place  // location of its definition, according to the file
	sequence int
}

// Place is a line of a source file.
type Place struct {
	File string `json:"file"` // relative to the source, separated by slashes
	Line int    `json:"line"` // from 1; 0 if unknown
}

// Counts are numbers of covered and missed lines or branches.
type Counts struct{ Covered, Missed int }

// Total returns the sum of covered and missed.
func (c Counts) Total() int { return c.Covered + c.Missed }

// Percent returns the coverage from 0 to 100. It is 0 if there is nothing to cover (our choice).
func (c Counts) Percent() float64 {
	if c.Total() == 0 {
		return 0
	}
	return 100 * float64(c.Covered) / float64(c.Total())
}

// plus returns the sum of two counts.
func (c Counts) plus(o Counts) Counts { return Counts{c.Covered + o.Covered, c.Missed + o.Missed} }

// Coverage is the coverage of one file.
type Coverage struct {
	Path     string // as the report names it, slash-separated
	Lines    Counts
	Branches Counts
	Place    string // source file, separated by slashes; empty if unknown
	Detail   []Line // sorted by number; nil if the report has only totals
}

// Line is a line of a covered file.
type Line struct {
	Number int
	// JaCoCo, for example, does not count executions.
	Hits     int64 // execution count; 1 if the report only has that the line was executed
	Code     bool  // the line counts; otherwise only its branches do
	Branches Counts
}

// TestSummary has the totals of a test report. They include the cases that were cut. The fields
// are those of the API.
type TestSummary struct {
	Total    int                `json:"total"`
	Counts   map[CaseStatus]int `json:"statusCounts"`
	Duration time.Duration      `json:"durationInNanoSeconds"`
}

// Report is the contents of one report group, with the fields of the API's Report.
type Report struct {
	ARN      string `json:"arn,omitempty"`
	Type     Type   `json:"type"`
	Name     string `json:"name,omitempty"`
	GroupARN string `json:"reportGroupArn,omitempty"`
	// The ARNs have the account and region of the plan, so that tools which parse them work.
	Execution string       `json:"executionId,omitempty"`
	Status    Status       `json:"status"`
	Created   time.Time    `json:"created,omitzero"`
	Truncated bool         `json:"truncated"`
	Tests     *TestSummary `json:"testSummary,omitempty"`
	Sum       *Sum         `json:"codeCoverageSummary,omitempty"`

	// Fields that the API has elsewhere or does not have.
	Group    string     `json:"reportGroupName"`
	Format   Format     `json:"fileFormat"`
	Dir      string     `json:"directory,omitempty"` // directory of the files, relative to that of the build
	Files    []string   `json:"files"`
	Problems []Problem  `json:"problems,omitempty"` // reasons for INCOMPLETE
	Notes    []string   `json:"notes,omitempty"`    // remarks about the files
	Cases    []Case     `json:"testCases,omitempty"`
	Slowest  []Case     `json:"slowestTestCases,omitempty"`
	Coverage []Coverage `json:"codeCoverages,omitempty"`
	Changes  *Changes   `json:"changes,omitempty"` // compared with an earlier build; nil for the first build
}

// Empty reports whether the report has no results.
func (r *Report) Empty() bool {
	return (r.Tests == nil || r.Tests.Total == 0) && (r.Sum == nil || r.Sum.Lines.Total()+r.Sum.Branches.Total() == 0)
}

// Sum has the totals of a coverage report. The fields are those of the API.
type Sum struct {
	Lines, Branches Counts
}

// Limits limit the parts of a report that are kept. Totals are computed before.
type Limits struct {
	Cases   int // test cases of a report; 0 for all
	Name    int // characters of a case's name; 0 for unlimited
	Message int // characters of a case's message; 0 for maxMessage
	// Hide masks secrets in a text; nil masks nothing. It is applied before a text is cut, because
	// part of a secret would not be recognized.
	Hide func(string) string
}

// shorten masks the secrets in a text and limits its length in characters. The order is essential;
// see Limits.Hide.
func (l Limits) shorten(text string, most int) string {
	if l.Hide != nil {
		text = l.Hide(text)
	}
	return cut(text, most)
}

// ServiceLimits returns CodeBuild's limits. Documented in "Quotas". CodeBuild cuts silently;
// Report.Truncated says so.
func ServiceLimits() Limits { return Limits{Cases: 500, Name: 1000, Message: 5000} }

// maxMessage limits a message if Limits does not, in characters.
const maxMessage = 1 << 20

// Bad returns the number of cases that failed or had an error.
func (s *TestSummary) Bad() int { return s.Counts[CaseFailed] + s.Counts[CaseError] }

func (s *TestSummary) add(status CaseStatus, n int) {
	s.Total += n
	s.Counts[status] += n
}

// took adds a duration. The sum stops at the maximum, about 292 years.
func (s *TestSummary) took(d time.Duration) {
	if s.Duration += d; s.Duration < 0 {
		s.Duration = math.MaxInt64
	}
}
