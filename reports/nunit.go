package reports

import (
	"cmp"
	"strings"

	"github.com/buildlocal/buildlocal/internal/sax"
)

// nunitResults are the results of NUnit 2, and the results or labels of NUnit 3. Inconclusive and
// not runnable cases count as skipped. CodeBuild's behavior is not documented; most other readers
// do the same.
var nunitResults = map[string]CaseStatus{
	"success": CaseSucceeded, "passed": CaseSucceeded,
	"failure": CaseFailed, "failed": CaseFailed,
	"error": CaseError, "cancelled": CaseError, "invalid": CaseError,
	"ignored": CaseSkipped, "skipped": CaseSkipped, "notrunnable": CaseSkipped, "explicit": CaseSkipped,
	"inconclusive": CaseSkipped,
}

// nunitElements are the elements in a case of NUnit 2 that has no attribute result. The reason is that of a
// case that was ignored. Our choice.
var nunitElements = map[string]CaseStatus{"failure": CaseFailed, "error": CaseError, "reason": CaseSkipped}

// nunit reads the formats of NUnit 2 and 3. NUnit 2 has the result of a case in the attributes
// executed, success and (from 2.5 on) result, and its name includes the class. NUnit 3 has a result
// and a label, and separate attributes for name and class.
type nunit struct {
	out *reading
	// Both formats have the same elements, so one reader serves both. They differ in root and
	// attributes.
	third  bool
	suites []string
	open   bool
	c      Case
	part   text
	said   text
	// Without the attribute result, the elements in a case of NUnit 2 take part in its result.
	guess bool
	// A message is at failure/message or reason/message; an equally named element at another place, as
	// in output or properties, is not one.
	path []string // of the elements in the case
}

func newNUnit(out *reading) handler {
	return &nunit{out: out, part: out.newText(), said: out.newText()}
}

func newNUnit3(out *reading) handler {
	return &nunit{out: out, third: true, part: out.newText(), said: out.newText()}
}

func (n *nunit) start(x *sax.Reader) error {
	switch {
	case n.open:
		if n.guess && len(n.path) == 0 {
			n.c.Status = worse(n.c.Status, nunitElements[x.Name()])
		}
		n.path = append(n.path, x.Name())
		n.part.reset()
	case x.Name() == "test-suite":
		name := x.Attr("name")
		if n.third {
			name = cmp.Or(x.Attr("fullname"), name)
		}
		n.suites = append(n.suites, name)
	case x.Name() == "test-case":
		n.begin(x)
	}
	return nil
}

func (n *nunit) begin(x *sax.Reader) {
	n.open = true
	n.path = n.path[:0]
	_, decided := x.Lookup("result")
	n.guess = !n.third && !decided
	n.c = Case{Name: x.Attr("name"), Prefix: x.Attr("classname"), Status: n.status(x)}
	if len(n.suites) > 0 {
		n.c.Suite = n.suites[len(n.suites)-1]
	}
	if n.third {
		// The attribute time of NUnit 2 occurs in files of the newer format too.
		n.c.Duration = seconds(cmp.Or(x.Attr("duration"), x.Attr("time")))
		return
	}
	n.c.Duration = seconds(x.Attr("time"))
	n.c.Prefix, n.c.Name = qualified(n.c.Name)
}

// qualified splits a name such as Space.Class.Method("a.b") before the method. A dot in the
// arguments is not a separator, so it searches only before the parenthesis.
func qualified(name string) (prefix, last string) {
	head, _, _ := strings.Cut(name, "(")
	i := strings.LastIndexByte(head, '.')
	if i < 0 {
		return "", name
	}
	return name[:i], name[i+1:]
}

// status returns a case's status from its result, or from its other attributes.
func (n *nunit) status(x *sax.Reader) CaseStatus {
	result, label := strings.ToLower(x.Attr("result")), strings.ToLower(x.Attr("label"))
	if status := nunitResults[result]; result != "" {
		// NUnit 3 writes result="Failed" for each kind of failure; the label says whether it was an
		// error, a cancellation or an invalid test.
		if worse, found := nunitResults[label]; found && status == CaseFailed {
			return worse
		}
		return cmp.Or(status, CaseUnknown)
	}
	switch {
	// Versions before 2.5 have no attribute result.
	case strings.EqualFold(x.Attr("executed"), "false"):
		return CaseSkipped
	case strings.EqualFold(x.Attr("success"), "false"):
		return CaseFailed
	case x.Attr("executed")+x.Attr("success") == "":
		return CaseUnknown
	}
	return CaseSucceeded
}

// Only text inside a case is collected. The output of a suite is not part of any case.
func (n *nunit) text(piece []byte) {
	if n.open && len(n.path) > 0 {
		n.part.add(piece)
	}
}

func (n *nunit) end(x *sax.Reader) error {
	switch {
	case n.open && len(n.path) > 0:
		switch strings.Join(n.path, "/") {
		case "failure/message", "reason/message", "failure/stack-trace":
			n.said.line(string(n.part.buf))
		}
		n.part.reset()
		n.path = n.path[:len(n.path)-1]
	case n.open:
		n.open = false
		n.c.Message = n.said.take()
		n.out.add(n.c)
	case x.Name() == "test-suite":
		n.suites = n.suites[:len(n.suites)-1]
	}
	return nil
}
