package reports

import (
	"cmp"
	"strconv"
	"strings"

	"github.com/buildlocal/buildlocal/internal/sax"
)

// junit reads the output of Surefire, pytest, jest-junit, GoogleTest, Bazel, gotestsum, PHPUnit
// and many others. Each has a dialect; this is their common subset.
type junit struct {
	// There is no specification that all tools follow. The reader therefore accepts elements wherever
	// they occur and depends on no order of attributes.
	out    *reading
	suites []string // names of the open ones
	open   bool     // a case is open
	c      Case
	body   text // of the element that says how the case ended
	said   text // by all such elements
	taking bool
	// Node.js writes <skipped type="todo"> beside the <failure> of a test that is expected to fail.
	todo   bool // a todo test may fail: Node.js writes both elements
	listed int
	// It differs from the number of elements if a tool writes totals only.
	claims int // tests that the outermost suite claims to have
}

func newJUnit(out *reading) handler {
	return &junit{out: out, body: out.newText(), said: out.newText()}
}

// ended are the elements that mark a case as not passed.
var ended = map[string]CaseStatus{"failure": CaseFailed, "error": CaseError, "skipped": CaseSkipped}

// notRun are values of the attribute status for tests that did not run, as some tools write them.
// GoogleTest, for example, writes status="notrun" and result="suppressed".
var notRun = map[string]bool{"disabled": true, "notrun": true, "suppressed": true, "skipped": true, "ignored": true}

func (j *junit) start(x *sax.Reader) error {
	switch name := x.Name(); name {
	case "testsuites", "testsuite":
		if reason, text := contradicts(x); reason != "" {
			j.out.refuse(Problem{Line: x.Line(), Offset: x.Offset(), Text: text, Reason: reason})
		}
		// Only the outermost element is asked: the counts of nested suites are part of its own in some
		// dialects and additional in others.
		if x.Depth() == 1 {
			j.claims, _ = strconv.Atoi(x.Attr("tests"))
		}
		// A suite without a name inherits that of its parent. The outermost ones of PHPUnit have none.
		j.suites = append(j.suites, cmp.Or(x.Attr("name"), j.suite()))
	case "testcase":
		j.begin(x)
	case "failure", "error", "skipped":
		// A failed set-up of a whole class is reported at its suite. Without a case of its own the report
		// would pass.
		if !j.open { // of a whole suite; it would otherwise be lost
			if name == "skipped" || len(j.suites) == 0 {
				return nil
			}
			j.c = Case{Name: cmp.Or(j.suite(), "test suite"), Suite: j.suite()}
		}
		j.todo = j.todo || name == "skipped" && x.Attr("type") == "todo"
		// A case may have several of these elements, for example if the test and its tear-down both fail.
		j.c.Status = worse(j.c.Status, ended[name])
		j.take(x)
	// Surefire (rerunFailingTestsCount): flaky elements mean that the case passed in the end, rerun
	// elements that each attempt failed. Neither decides the status.
	case "rerunFailure", "rerunError", "flakyFailure", "flakyError":
		j.c.Retried = j.open && strings.HasPrefix(name, "flaky")
	}
	return nil
}

// worse returns the more severe of two statuses.
func worse(a, b CaseStatus) CaseStatus {
	for _, s := range []CaseStatus{CaseError, CaseFailed, CaseSkipped, CaseUnknown} {
		if a == s || b == s {
			return s
		}
	}
	return cmp.Or(a, b)
}

// begin opens a case. The attributes file and line are written by GoogleTest, pytest (xunit1),
// PHPUnit, RSpec and others.
func (j *junit) begin(x *sax.Reader) {
	j.open, j.todo = true, false
	j.said.reset()
	j.listed++
	j.c = Case{Name: x.Attr("name"), Prefix: x.Attr("classname"), Suite: j.suite(), Duration: seconds(x.Attr("time"))}
	j.c.at.File = x.Attr("file")
	j.c.at.Line, _ = strconv.Atoi(x.Attr("line"))
	// The attribute is checked before the elements of the case, which can only make its status worse.
	for _, name := range []string{"status", "result"} {
		if notRun[strings.ToLower(x.Attr(name))] {
			j.c.Status = CaseSkipped
		}
	}
}

// take begins the text of an element that says how the case ended. The attribute message is often
// the first line of the text; text.merge does not repeat it.
func (j *junit) take(x *sax.Reader) {
	j.taking = true
	j.body.reset()
	j.said.line(cmp.Or(x.Attr("message"), x.Attr("type")))
}

// Text outside of these elements is white space or system-out, which can be very long and is not
// part of a case in the API.
func (j *junit) text(piece []byte) {
	if j.taking {
		j.body.add(piece)
	}
}

func (j *junit) end(x *sax.Reader) error {
	switch x.Name() {
	case "failure", "error", "skipped":
		if !j.taking {
			return nil
		}
		// A failure of a whole suite has no end tag of a case that would complete it.
		j.taking = false
		j.said.merge(&j.body)
		if !j.open {
			j.finish()
		}
	case "testcase":
		j.finish()
	case "testsuite", "testsuites":
		j.suites = j.suites[:max(0, len(j.suites)-1)]
		// An empty report is legal. One that says it has tests but lists none is most likely not the file
		// that the user wants.
		if x.Depth() == 0 && j.listed == 0 && j.claims > 0 {
			j.out.note("says that it has %d tests, and lists none", j.claims)
		}
	}
	return nil
}

// finish adds the open case. A case without any of the elements has passed: JUnit has no element
// for success.
func (j *junit) finish() {
	j.c.Status = cmp.Or(j.c.Status, CaseSucceeded)
	if j.todo {
		j.c.Status, j.todo = CaseSkipped, false
	}
	j.c.Message = j.said.take()
	j.open = false
	j.out.add(j.c)
	j.c = Case{}
}

// suite returns the name of the innermost open suite.
func (j *junit) suite() string {
	if len(j.suites) == 0 {
		return ""
	}
	return j.suites[len(j.suites)-1]
}
