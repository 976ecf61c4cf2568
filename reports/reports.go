// Package reports reads test and coverage reports in the formats that CodeBuild knows,
// sums them up in its words, and tells how they differ from those of earlier builds.
package reports

import (
	"math"
	"time"
)

// Type is what a report is about, in the service's words.
type Type string

// The types (documented, ReportGroup).
const (
	Test         Type = "TEST"
	CodeCoverage Type = "CODE_COVERAGE"
)

// Status is the state of a report, in the service's words.
type Status string

// The statuses of a report that has been made (documented, test-reporting).
const (
	Succeeded  Status = "SUCCEEDED"
	Failed     Status = "FAILED"
	Incomplete Status = "INCOMPLETE"
)

// CaseStatus is how a test case ended, in the service's words.
type CaseStatus string

// The statuses of a test case (documented, test-reporting).
const (
	CaseSucceeded CaseStatus = "SUCCEEDED"
	CaseFailed    CaseStatus = "FAILED"
	CaseError     CaseStatus = "ERROR"
	CaseSkipped   CaseStatus = "SKIPPED"
	CaseUnknown   CaseStatus = "UNKNOWN"
)

// Bad reports whether a case makes its report fail. That the skipped and unknown ones
// do not is our choice; the service does not say.
func (s CaseStatus) Bad() bool { return s == CaseFailed || s == CaseError }

// Case is a test case, with the fields of the service's TestCase.
type Case struct {
	Name     string        `json:"name"`
	Prefix   string        `json:"prefix,omitempty"`        // such as the class
	Suite    string        `json:"testSuiteName,omitempty"` // the nearest that has a name
	Status   CaseStatus    `json:"status"`
	Duration time.Duration `json:"durationInNanoSeconds"`
	Message  string        `json:"message,omitempty"`         // with the stack
	Raw      string        `json:"testRawDataPath,omitempty"` // the file it comes from

	// What the service has no field for.
	Place   *Place  `json:"source,omitempty"`  // where in the source it failed; nil when that is not known
	Retried bool    `json:"retried,omitempty"` // it failed first, and then passed, in one run
	Change  Change  `json:"change,omitempty"`  // against earlier builds
	History History `json:"history,omitempty"` // of this case in earlier builds, the oldest first

	id       string // of its definition, where that stands elsewhere in the file
	at       Place  // where the file says that it is defined
	sequence int
}

// Place is a line of a file of the source.
type Place struct {
	File string `json:"file"` // slash-separated, below the source
	Line int    `json:"line"` // from 1; 0 when it is not known
}

// Counts is how much is covered of what there is, in lines or branches.
type Counts struct{ Covered, Missed int }

// Total is how many there are.
func (c Counts) Total() int { return c.Covered + c.Missed }

// Percent is the covered share, from 0 to 100; 0 where there is nothing (our choice).
func (c Counts) Percent() float64 {
	if c.Total() == 0 {
		return 0
	}
	return 100 * float64(c.Covered) / float64(c.Total())
}

func (c Counts) plus(o Counts) Counts { return Counts{c.Covered + o.Covered, c.Missed + o.Missed} }

// Coverage is of one file.
type Coverage struct {
	Path     string // as the report names it, slash-separated
	Lines    Counts
	Branches Counts
	Place    string // the file of the source, slash-separated; empty when it is not known
	Detail   []Line // by number; nothing where the report has only sums
}

// Line is a line of a covered file.
type Line struct {
	Number   int
	Hits     int64 // how often it ran; 1 where the report only says that it did
	Code     bool  // it counts; else only its branches do
	Branches Counts
}

// TestSummary has the sums of a test report, over all its cases, also those that were
// cut. Its fields are the service's.
type TestSummary struct {
	Total    int                `json:"total"`
	Counts   map[CaseStatus]int `json:"statusCounts"`
	Duration time.Duration      `json:"durationInNanoSeconds"`
}

// Report is what the files of one report group say, with the fields of the service's
// Report.
type Report struct {
	ARN       string       `json:"arn,omitempty"`
	Type      Type         `json:"type"`
	Name      string       `json:"name,omitempty"`
	GroupARN  string       `json:"reportGroupArn,omitempty"`
	Execution string       `json:"executionId,omitempty"`
	Status    Status       `json:"status"`
	Created   time.Time    `json:"created,omitzero"`
	Truncated bool         `json:"truncated"`
	Tests     *TestSummary `json:"testSummary,omitempty"`
	Sum       *Sum         `json:"codeCoverageSummary,omitempty"`

	// What the service keeps elsewhere, or has no field for.
	Group    string     `json:"reportGroupName"`
	Format   Format     `json:"fileFormat"`
	Dir      string     `json:"directory,omitempty"` // of the files, below the build's own
	Files    []string   `json:"files"`
	Problems []Problem  `json:"problems,omitempty"` // why it is INCOMPLETE
	Notes    []string   `json:"notes,omitempty"`    // what is odd in the files
	Cases    []Case     `json:"testCases,omitempty"`
	Slowest  []Case     `json:"slowestTestCases,omitempty"`
	Coverage []Coverage `json:"codeCoverages,omitempty"`
	Changes  *Changes   `json:"changes,omitempty"` // against the build before; nil when there is none
}

// Sum has the sums of a coverage report. Its fields are the service's.
type Sum struct {
	Lines, Branches Counts
}

// Limits are how much of a report is kept. Sums are made before.
type Limits struct {
	Cases   int // test cases of a report; 0 for all
	Name    int // of a case, in characters; 0 for all
	Message int // of a case, in characters; 0 for messageMost
	// Hide hides what is secret in a text; nil for nothing. It comes before any cut, for
	// half a secret is not known as one.
	Hide func(string) string
}

// shorten hides what is secret in a text, and cuts it to a number of characters.
func (l Limits) shorten(text string, most int) string {
	if l.Hide != nil {
		text = l.Hide(text)
	}
	return cut(text, most)
}

// ServiceLimits returns the limits of the service (documented, limits).
func ServiceLimits() Limits { return Limits{Cases: 500, Name: 1000, Message: 5000} }

// messageMost bounds a message that nothing else bounds, in characters.
const messageMost = 1 << 20

// Bad is how many cases failed or had an error.
func (s *TestSummary) Bad() int { return s.Counts[CaseFailed] + s.Counts[CaseError] }

func (s *TestSummary) add(status CaseStatus, n int) {
	s.Total += n
	s.Counts[status] += n
}

// took adds a duration; a sum of more than 292 years stays at that.
func (s *TestSummary) took(d time.Duration) {
	if s.Duration += d; s.Duration < 0 {
		s.Duration = math.MaxInt64
	}
}
