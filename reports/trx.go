package reports

import (
	"cmp"
	"path"
	"strings"

	"github.com/buildlocal/buildlocal/internal/sax"
)

// trxOutcomes are the outcomes in a .trx file. The first value of the enumeration, Error, is the
// default and is not written.
var trxOutcomes = map[string]CaseStatus{
	"": CaseError, "error": CaseError, "aborted": CaseError, "disconnected": CaseError,
	"failed": CaseFailed, "timeout": CaseFailed,
	"passed": CaseSucceeded, "passedbutrunaborted": CaseSucceeded,
	"notexecuted": CaseSkipped, "inconclusive": CaseSkipped, "pending": CaseSkipped, "notrunnable": CaseSkipped,
}

// trx reads the results of Visual Studio and dotnet test. Only results directly below Results count;
// inner results belong to a data-driven test. The schema is vstst.xsd, which Visual Studio
// installs. Loggers of dotnet test write a subset of it.
type trx struct {
	out        *reading
	path       []string
	c          Case
	part, said text
	// A result refers to its definition and its list by ID, and both follow after the results. So
	// names are completed at the end of the file.
	lists   map[string]string // names by id
	defined map[string]trxTest
	test    string // the id of the definition that is read
}

// maxDefined limits the number of definitions that are kept. Cases beyond the limit have no class.
const maxDefined = 100000

// trxTest is a definition: the class, and the path of the assembly.
type trxTest struct{ class, storage string }

func newTRX(out *reading) handler {
	return &trx{out: out, part: out.newText(), said: out.newText(), lists: map[string]string{},
		defined: map[string]trxTest{}}
}

// resultDepth is the depth of a result: TestRun/Results/UnitTestResult.
const resultDepth = 3

// inResult reports whether the current element is a result or below one.
func (t *trx) inResult() bool { return len(t.path) >= resultDepth && t.path[1] == "Results" }

func (t *trx) start(x *sax.Reader) error {
	t.path = append(t.path, x.Name())
	t.part.reset()
	switch {
	// The suite is the ID of the list for now; name replaces it.
	case t.inResult() && len(t.path) == resultDepth:
		t.c = Case{
			Name: x.Attr("testName"), Duration: seconds(x.Attr("duration")), id: x.Attr("testId"),
			Status: trxStatus(x.Attr("outcome")), Suite: x.Attr("testListId"),
		}
	case len(t.path) == 3 && t.path[1] == "TestDefinitions":
		t.test = x.Attr("id")
		if len(t.defined) < maxDefined {
			t.defined[t.test] = trxTest{storage: t.out.share(x.Attr("storage"))}
		}
	case len(t.path) == 4 && t.path[1] == "TestDefinitions" && x.Name() == "TestMethod" && len(t.defined) < maxDefined:
		d := t.defined[t.test]
		class, _, _ := strings.Cut(x.Attr("className"), ",") // the rest is the assembly
		d.class = t.out.share(class)
		t.defined[t.test] = d
	case len(t.path) == 3 && t.path[1] == "TestLists":
		t.lists[x.Attr("id")] = x.Attr("name")
	}
	return nil
}

// trxStatus converts an outcome. CodeBuild does not document the mapping; the enumeration is
// Microsoft.VisualStudio.TestTools.Common.TestOutcome.
func trxStatus(outcome string) CaseStatus {
	if status, found := trxOutcomes[strings.ToLower(outcome)]; found {
		return status
	}
	return CaseUnknown
}

func (t *trx) text(piece []byte) {
	if t.inResult() {
		t.part.add(piece)
	}
}

func (t *trx) end(x *sax.Reader) error {
	if t.inResult() {
		n := len(t.path)
		switch {
		case n == resultDepth:
			t.c.Message = t.said.take()
			t.out.add(t.c)
		// InnerResults repeat the structure at a greater depth. Their messages are part of the outer
		// result, whose own text usually only says that an inner one failed.
		case n > 4 && t.path[n-2] == "ErrorInfo" && (t.path[n-1] == "Message" || t.path[n-1] == "StackTrace"):
			t.said.line(strings.Trim(string(t.part.buf), "\r\n"))
		}
	}
	t.part.reset()
	t.path = t.path[:len(t.path)-1]
	if len(t.path) == 0 {
		t.name()
	}
	return nil
}

// name completes the cases with their definitions, which follow the results.
func (t *trx) name() {
	for _, list := range [][]Case{t.out.bad, t.out.good, t.out.slow} {
		for i, c := range list {
			d := t.defined[c.id]
			list[i].Prefix = d.class
			// Without a list of the user the assembly is the suite, without its directory, which differs
			// from host to host.
			list[i].Suite = cmp.Or(ownList(t.lists[c.Suite]),
				strings.TrimLeft(path.Base(strings.ReplaceAll(cmp.Or(d.storage, d.class), `\`, "/")), "."))
		}
	}
}

// ownList returns the name of a list that the user created; every run has the others.
func ownList(name string) string {
	if name == "Results Not in a List" || name == "All Loaded Results" {
		return ""
	}
	return name
}
