package reports

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"runtime"
	"runtime/debug"
	"strings"
	"testing"
	"time"
)

func textSource(name, text string) Source {
	return Source{Path: name, Open: func() (io.ReadCloser, error) { return io.NopCloser(strings.NewReader(text)), nil }}
}

// one reads one text.
func one(format Format, text string) *Report {
	return Read("g", format, []Source{textSource("r", text)}, ServiceLimits())
}

func TestSeconds_Formats(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]time.Duration{
		"": 0, "0": 0, "1.5": 1500 * time.Millisecond, "0,012": 12 * time.Millisecond, "1,234.5": 1234500 * time.Millisecond,
		"1.234,5": 1234500 * time.Millisecond, "1e-3": time.Millisecond, "12ms": 12 * time.Millisecond,
		"1.5s":   1500 * time.Millisecond,
		"PT1.5S": 1500 * time.Millisecond, "00:01:02.5": 62500 * time.Millisecond, "1.02:03:04": 26*time.Hour +
			3*time.Minute + 4*time.Second,
		"-1": 0, "NaN": 0, "Inf": 0, "soon": 0, "1e300": 0, "1:2:3:4": 0, " 2 ": 2 * time.Second,
	} {
		if got := seconds(text); got != want {
			t.Errorf("%q: got %v, want %v", text, got, want)
		}
	}
}

func TestRead_BrokenFiles(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		format     Format
		text, want string
	}{
		{JUnitXML, "", "r:1: cannot be read as JUNITXML: the file is empty"},
		{JUnitXML, "<testsuite>\n<testcase", "r:2: cannot be read as JUNITXML: the file ends inside a tag (byte 12)"},
		{JUnitXML, "<testsuite/>\n<testsuite/>", "r:2: cannot be read as JUNITXML: a second document begins here, " +
			"<testsuite> (byte 13)"},
		{JUnitXML, "<coverage clover='1'/>", "r:1: cannot be read as JUNITXML: <coverage> is not <testsuites> or " +
			"<testsuite> (byte 22); the file looks like CLOVERXML; set file-format accordingly"},
		{JUnitXML, `[{"keyword":"Feature","uri":"f","elements":[]}]`,
			"r:1: cannot be read as JUNITXML: text outside the document's element; the file looks like CUCUMBERJSON; set " +
				"file-format accordingly"},
		{JUnitXML, "SF:a.c\nend_of_record", "r:1: cannot be read as JUNITXML: text outside the document's element; it " +
			"looks like LCOV, which CodeBuild does not support"},
		{NUnitXML, "<test-run/>", "r:1: cannot be read as NUNITXML: <test-run> is not <test-results> (byte 11); the " +
			"file looks " +
			"like NUNIT3XML; set file-format accordingly"},
		{CloverXML, `<coverage line-rate="1"/>`, "r:1: cannot be read as CLOVERXML: <coverage> has a line-rate, as in " +
			"COBERTURAXML (byte 25); the file looks like COBERTURAXML; set file-format accordingly"},
		{CoberturaXML, "<coverage><project/></coverage>",
			"r:1: cannot be read as COBERTURAXML: <coverage> has <project>, as in CLOVERXML (byte 20); the file looks like " +
				"CLOVERXML; set file-format accordingly"},
		{JaCoCoXML, "<report><item/></report>", "r:1: cannot be read as JACOCOXML: no element of a JaCoCo report " +
			"(byte 24)"},
		{CucumberJSON, "[\n]", "r:2: cannot be read as CUCUMBERJSON: it has no features (byte 3)"},
		{CucumberJSON, "[\n{\"keyword\":\"Feature\",\"elements\":[{\"name\":1}]}]",
			"r:2: cannot be read as CUCUMBERJSON: Name must be string, not number (byte 45)"},
		{CucumberJSON, "[{}]", "r:1: cannot be read as CUCUMBERJSON: an object without elements or keyword is not a " +
			"feature " +
			"(byte 3)"},
		{CucumberJSON, "{}", "r:1: cannot be read as CUCUMBERJSON: an array of features expected, not { (byte 1)"},
		{CucumberJSON, `[{"keyword":"F"}] []`, "r:1: cannot be read as CUCUMBERJSON: text after the end of " +
			"the document (byte 19)"},
		{CucumberJSON, `[{"keyword":"F"`, "r:1: cannot be read as CUCUMBERJSON: unexpected end of the file (byte 15)"},
		{SimpleCov, `{"files":[],"metrics":{}}`,
			`r:1: cannot be read as SIMPLECOV: unexpected key "files", as simplecov-json writes it, ` +
				`which CodeBuild does not support (byte 8); ` +
				`it looks like the output of simplecov-json, which CodeBuild does not support`},
		{SimpleCov, "{}", "r:1: cannot be read as SIMPLECOV: no key coverage (byte 2)"},
		{SimpleCov, `{"RSpec":{"coverage":{"a.rb":[1,"x"]}}}`,
			`r:1: cannot be read as SIMPLECOV: line 2 of a.rb is expected to be a number or null (byte 36)`},
	} {
		r := one(tt.format, tt.text)
		if len(r.Problems) != 1 || r.Status != Incomplete {
			t.Errorf("%s %q: %s, %d problems", tt.format, tt.text, r.Status, len(r.Problems))
			continue
		}
		if got := r.Problems[0].Error(); got != tt.want {
			t.Errorf("got  %s\nwant %s", got, tt.want)
		}
		if r.Tests != nil && r.Tests.Total != 0 || r.Sum != nil && r.Sum.Lines.Total() != 0 {
			t.Errorf("%s %q: what the broken file said counts", tt.format, tt.text)
		}
	}
}

func TestRead_UnopenableFile(t *testing.T) {
	t.Parallel()
	r := Read("g", JUnitXML, []Source{{Path: "r", Open: func() (io.ReadCloser, error) {
		return nil,
			errors.New("permission denied")
	}}}, ServiceLimits())
	if len(r.Problems) != 1 || r.Problems[0].Error() != "r: cannot be read as JUNITXML: permission denied" {
		t.Errorf("got %v", r.Problems)
	}
}

func TestLimitCases_KeepsFailuresAndTotals(t *testing.T) {
	t.Parallel()
	var b strings.Builder
	b.WriteString("<testsuite name='s'>")
	for i := range 700 {
		fmt.Fprintf(&b, "<testcase name='%d' time='1'/>", i)
	}
	for i := range 10 {
		fmt.Fprintf(&b, "<testcase name='bad%d%s'><failure>%s</failure></testcase>", i, strings.Repeat("é", 2000),
			strings.Repeat("ü", 9000))
	}
	b.WriteString("<testcase name='slow' time='99'/></testsuite>")
	r := one(JUnitXML, b.String())
	if r.Tests.Total != 711 || r.Tests.Bad() != 10 || r.Tests.Duration != 799*time.Second || !r.Truncated ||
		len(r.Cases) != 500 {
		t.Fatalf("got %+v, truncated %v, %d cases", r.Tests, r.Truncated, len(r.Cases))
	}
	bad := 0
	for _, c := range r.Cases {
		if !c.Status.Bad() {
			continue
		}
		bad++
		if name, message := len([]rune(c.Name)), len([]rune(c.Message)); name != 1000 || message != 5000 {
			t.Errorf("a name of %d and a message of %d characters, want 1000 and 5000", name, message)
		}
	}
	if bad != 10 || r.Cases[0].Name != "0" {
		t.Errorf("%d failed cases are kept, want 10; the first is %s", bad, r.Cases[0].Name)
	}
	if r.Slowest[0].Name != "slow" || len(r.Slowest) != 10 {
		t.Errorf("the slowest is %s", r.Slowest[0].Name)
	}
	whole := Read("g", JUnitXML, []Source{textSource("r", b.String())}, Limits{})
	if len(whole.Cases) != 711 || whole.Truncated || len([]rune(whole.Cases[700].Message)) != 9000 {
		t.Errorf("without limits %d cases, truncated %v", len(whole.Cases), whole.Truncated)
	}
}

func TestRead_MergesFiles(t *testing.T) {
	t.Parallel()
	tests := Read("g", JUnitXML, []Source{
		textSource("a", "<testsuite name='a'><testcase name='one'/></testsuite>"),
		textSource("cut", "<testsuite name='c'><testcase name='lost'><failure/></testcase>"),
		textSource("b", "<testsuite name='b'><testcase name='two'><error/></testcase></testsuite>"),
	}, ServiceLimits())
	if tests.Tests.Total != 2 || tests.Tests.Bad() != 1 || tests.Cases[1].Name != "two" || tests.Cases[1].Raw != "b" ||
		tests.Status != Incomplete {
		t.Errorf("got %+v %+v %s", tests.Tests, tests.Cases, tests.Status)
	}
	lines := func(first, second int) string {
		return fmt.Sprintf(`<coverage line-rate="0"><class filename="x.py"><lines><line number="1" hits="%d"/>`+
			`<line number="2" hits="%d" condition-coverage="50%% (1/2)"/></lines></class></coverage>`, first, second)
	}
	cover := Read("g", CoberturaXML, []Source{textSource("a", lines(1, 0)), textSource("b", lines(0, 3))}, ServiceLimits())
	if got := cover.Coverage; len(got) != 1 || got[0].Lines != (Counts{2, 0}) || got[0].Branches != (Counts{1, 1}) {
		t.Errorf("got %+v", got)
	}
	counters := func(covered, missed int) string {
		return fmt.Sprintf(`<report><package name="p"><sourcefile name="X.java"><line nr="1" ci="%d"/>`+
			`<line nr="2" ci="%d"/><counter type="LINE" covered="1" missed="1"/></sourcefile></package>`+
			`</report>`, covered, missed)
	}
	java := Read("g", JaCoCoXML, []Source{textSource("a", counters(1, 0)), textSource("b", counters(0, 1))},
		ServiceLimits())
	if got := java.Coverage; len(got) != 1 || got[0].Path != "p/X.java" || got[0].Lines != (Counts{2, 0}) {
		t.Errorf("got %+v", got)
	}
}

func TestDialects(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name   string
		format Format
		text   string
		want   Case
	}{
		{"a suite that could not " +
			"run", JUnitXML, `<testsuites><testsuite name="s"><error message="no setup"/></testsuite></testsuites>`,
			Case{Name: "s", Suite: "s", Status: CaseError, Message: "no setup"}},
		{"surefire's flaky tests passed in the end", JUnitXML,
			`<testsuite name="s"><testcase name="f"><flakyFailure message="x"/></testcase></testsuite>`,
			Case{Name: "f", Suite: "s", Status: CaseSucceeded, Retried: true}},
		{"googletest's disabled " +
			"tests", JUnitXML, `<testsuite><testcase name="D" status="notrun" result="suppressed"/></testsuite>`,
			Case{Name: "D", Status: CaseSkipped}},
		{"a test to do that " +
			"fails", JUnitXML, `<testsuite><testcase name="t"><skipped type="todo"/><failure message="m"/></testcase>` +
			`</testsuite>`, Case{Name: "t", Status: CaseSkipped, Message: "todo\nm"}},
		{"an error beats a " +
			"failure", JUnitXML, `<testsuite><testcase name="t"><failure/><error message="e"/><skipped/></testcase>` +
			`</testsuite>`, Case{Name: "t", Status: CaseError, Message: "e"}},
		{"a namespace and nested suites", JUnitXML,
			`<x:testsuites xmlns:x="u" name="all"><x:testsuite name="a"><x:testsuite><x:testcase name="t" classname="k"/>` +
				`</x:testsuite></x:testsuite></x:testsuites>`, Case{Name: "t", Prefix: "k", Suite: "a", Status: CaseSucceeded}},
		{"UTF-16 that says " +
			"UTF-8", JUnitXML, "\xFF\xFE<\x00t\x00e\x00s\x00t\x00s\x00u\x00i\x00t\x00e\x00>\x00<\x00t\x00e\x00s\x00t\x00" +
			"c\x00a\x00s\x00e\x00/\x00>\x00<\x00/\x00t\x00e\x00s\x00t\x00s\x00u\x00i\x00t\x00e\x00>\x00" +
			"", Case{Status: CaseSucceeded}},
		{"a name with parentheses and points", NUnitXML,
			`<test-results><test-case name='A.B.C("x.y")' executed="True" success="False"><failure><message>m</message>` +
				`<stack-trace>s</stack-trace></failure></test-case>` +
				`</test-results>`, Case{Name: `C("x.y")`, Prefix: "A.B", Status: CaseFailed, Message: "m\ns"}},
		{"inconclusive", NUnit3XML, `<test-run><test-case name="t" classname="k" result="Inconclusive"/></test-run>`,
			Case{Name: "t", Prefix: "k", Status: CaseSkipped}},
		{"a result that nobody knows", NUnit3XML, `<test-run><test-case name="t" result="Warning"/></test-run>`,
			Case{Name: "t", Status: CaseUnknown}},
		{"parameters, and no configuration", TestNGXML,
			`<testng-results><suite name="S"><test name="T"><class name="k">` +
				`<test-method is-config="true" name="before" status="FAIL"/>` +
				`<test-method name="m" status="SKIP" duration-ms="1500"><params><param index="0"><value><![CDATA[a]]>` +
				`</value></param><param><value>2</value></param></params></test-method></class></test>` +
				`</suite></testng-results>`, Case{Name: "m(a, " +
				"2)", Prefix: "k", Suite: "T", Status: CaseSkipped, Duration: 1500 * time.Millisecond}},
		{"an outcome that is not written", VisualStudioTRX,
			`<TestRun><Results><UnitTestResult testId="1" testName="t"><Output><ErrorInfo><Message>m</Message></ErrorInfo>` +
				`</Output></UnitTestResult></Results><TestDefinitions><UnitTest id="1" storage="c:\\x\\a.dll">` +
				`<TestMethod className="N.K, a, Version=1"/></UnitTest></TestDefinitions>` +
				`</TestRun>`, Case{Name: "t", Prefix: "N.K", Suite: "a.dll", Status: CaseError, Message: "m"}},
		{"inner results belong to theirs", VisualStudioTRX,
			`<TestRun><Results><UnitTestResult testName="t" outcome="Failed"><InnerResults>` +
				`<UnitTestResult testName="t (1)" outcome="Failed"><Output><ErrorInfo><Message>row 1</Message></ErrorInfo>` +
				`</Output></UnitTestResult></InnerResults></UnitTestResult></Results>` +
				`</TestRun>`, Case{Name: "t", Status: CaseFailed, Message: "row 1"}},
		{"what a suite skips is not to do", JUnitXML,
			`<testsuite><skipped type="todo"/><testcase name="t"><failure message="m"/></testcase></testsuite>`,
			Case{Name: "t", Status: CaseFailed, Message: "m"}},
		{"a step that ended in a way nobody knows", CucumberJSON,
			`[{"elements":[{"type":"scenario","name":"S","steps":[{"result":{"status":"unknown"}}]}],"name":"F"}]`,
			Case{Name: "S", Prefix: "F", Suite: "F", Status: CaseUnknown}},
		{"two backgrounds", CucumberJSON,
			`[{"elements":[{"type":"background","steps":[{"name":"b","keyword":"Given ","result":{"status":"failed"}}]}` +
				`,{"type":"background","steps":[{"result":{"status":"passed"}}]},{"type":"scenario","name":"S"` +
				`,"steps":[{"result":{"status":"skipped"}}]}],` +
				`"name":"F"}]`, Case{Name: "S", Prefix: "F", Suite: "F", Status: CaseFailed, Message: "Given b (failed)"}},
		{"a background that " +
			"fails", CucumberJSON, `[{"elements":[{"type":"background","steps":[{"name":"b","keyword":"Given "` +
			`,"result":{"status":"failed","duration":5,"error_message":"no"}}]},{"type":"scenario","name":"S"` +
			`,"steps":[{"result":{"status":"skipped","duration":"7"}}]}],` +
			`"name":"F"}]`, Case{Name: "S", Prefix: "F", Suite: "F", Status: CaseFailed, Duration: 12,
			Message: "Given b (failed)\nno"}},
	} {
		r := one(tt.format, tt.text)
		if len(r.Cases) != 1 {
			t.Errorf("%s: %d cases, %v", tt.name, len(r.Cases), r.Problems)
			continue
		}
		got := r.Cases[0]
		got.Raw, got.sequence, got.id, got.at = "", 0, "", Place{}
		if fmt.Sprintf("%+v", got) != fmt.Sprintf("%+v", tt.want) {
			t.Errorf("%s:\ngot  %+v\nwant %+v", tt.name, got, tt.want)
		}
	}
}

// endless is a document that is made while it is read.
type endless struct {
	piece []byte
	left  int
	rest  []byte
}

func (e *endless) Read(p []byte) (int, error) {
	if len(e.rest) == 0 {
		if e.left == 0 {
			return 0, io.EOF
		}
		e.left--
		e.rest = e.piece
	}
	n := copy(p, e.rest)
	e.rest = e.rest[n:]
	return n, nil
}

// TestRead_LargeReportsBoundedMemory reads 100 MB of each, and measures the memory held.
// It is no test beside others: the memory is that of the whole program.
func TestRead_LargeReportsBoundedMemory(t *testing.T) {
	if testing.Short() {
		t.Skip("it reads 300 MB")
	}
	message := bytes.Repeat([]byte("at a.b.C(C.java:1)\n"), 500)
	for name, piece := range map[string]string{
		"passed cases": strings.Repeat("<testcase name='n' classname='k' time='0.1'/>\n", 1000),
		"failed cases": "<testcase name='n'><failure message='m'>" + string(message) + "</failure></testcase>",
		"output":       string(bytes.Repeat([]byte("line\n"), 10000)),
	} {
		const size = 100 << 20
		open, shut := "<testsuite name='s'>", "</testsuite>"
		if name == "output" {
			open, shut = "<testsuite><testcase><failure><![CDATA[", "]]></failure></testcase></testsuite>"
		}
		source := Source{Path: "r", Open: func() (io.ReadCloser, error) {
			return io.NopCloser(io.MultiReader(strings.NewReader(open),
				&endless{piece: []byte(piece), left: size / len(piece)}, strings.NewReader(shut))), nil
		}}
		debug.FreeOSMemory()
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		r := Read("g", JUnitXML, []Source{source}, ServiceLimits())
		runtime.GC()
		runtime.ReadMemStats(&after)
		if len(r.Problems) > 0 {
			t.Fatalf("%s: %v", name, r.Problems[0])
		}
		if held := int64(after.HeapAlloc) - int64(before.HeapAlloc); held > 24<<20 {
			t.Errorf("%s: %d MiB are held", name, held>>20)
		}
		runtime.KeepAlive(r)
	}
}
