package reports

import (
	"cmp"
	"strings"
	"time"

	"github.com/buildlocal/buildlocal/internal/sax"
)

// testngResults are the values of the attribute status. Any other one is UNKNOWN.
var testngResults = map[string]CaseStatus{"PASS": CaseSucceeded, "FAIL": CaseFailed, "SKIP": CaseSkipped}

// maxParams is the number of parameters in the name of a case. A data provider may pass whole
// documents, so each parameter is shortened as well.
const maxParams = 20

// testng reads testng-results.xml.
type testng struct {
	out *reading
	// A TestNG suite contains tests (groups of classes in testng.xml), these contain classes. The test
	// is the closest to a suite of JUnit, so it is preferred.
	suite, test, class string
	open               bool
	c                  Case
	params             []string
	part, said         text
	path               []string // of the elements in the case
}

func newTestNG(out *reading) handler {
	return &testng{out: out, part: out.newText(), said: out.newText()}
}

func (t *testng) start(x *sax.Reader) error {
	if t.open {
		t.path = append(t.path, x.Name())
		t.part.reset()
		return nil
	}
	switch x.Name() {
	case "suite":
		t.suite = x.Attr("name")
	case "test":
		t.test = x.Attr("name")
	case "class":
		t.class = x.Attr("name")
	case "test-method":
		// Methods with @BeforeMethod and the like are listed among the tests. A failing one makes TestNG
		// skip the tests that depend on it, and these are reported.
		if x.Attr("is-config") == "true" {
			return nil
		}
		t.open, t.path, t.params = true, t.path[:0], nil
		t.c = Case{
			Name: x.Attr("name"), Prefix: t.class, Suite: cmp.Or(t.test, t.suite),
			Status:   cmp.Or(testngResults[strings.ToUpper(x.Attr("status"))], CaseUnknown),
			Duration: number(x.Attr("duration-ms"), time.Millisecond),
		}
	}
	return nil
}

func (t *testng) text(piece []byte) {
	if t.open {
		t.part.add(piece)
	}
}

func (t *testng) end(x *sax.Reader) error {
	if !t.open {
		return nil
	}
	if len(t.path) == 0 {
		// The runs of a parametrized test have the same name. With its parameters each can be compared
		// with the same run of an earlier build.
		if len(t.params) > 0 {
			t.c.Name += "(" + strings.Join(t.params, ", ") + ")"
		}
		t.c.Message = t.said.take()
		t.out.add(t.c)
		t.open = false
		return nil
	}
	switch strings.Join(t.path, "/") {
	case "params/param/value":
		if len(t.params) < maxParams {
			t.params = append(t.params, t.out.limits.shorten(strings.TrimSpace(strings.ToValidUTF8(string(t.part.buf),
				"\uFFFD")), 200))
		}
	case "exception/message":
		t.said.line(string(t.part.buf))
	case "exception/full-stacktrace", "exception/short-stacktrace":
		t.trace()
	}
	t.part.reset()
	t.path = t.path[:len(t.path)-1]
	return nil
}

// trace uses a stack trace as the message, which is usually its beginning. With both elements in
// the file the message would otherwise appear twice.
func (t *testng) trace() {
	stack := strings.TrimSpace(string(t.part.buf))
	if stack == "" {
		return
	}
	if message := string(t.said.buf); strings.Contains(stack, message) {
		t.said.reset()
	}
	t.said.line(stack)
}
