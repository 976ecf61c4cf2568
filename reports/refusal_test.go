package reports

import (
	"fmt"
	"strings"
	"testing"
	"time"
)

// smallest has a document of each format with one result.
var smallest = map[Format]string{
	JUnitXML:        `<testsuite tests="1"><testcase name="t"/></testsuite>`,
	NUnitXML:        `<test-results><test-case name="t" result="Success"/></test-results>`,
	NUnit3XML:       `<test-run><test-case name="t" result="Passed"/></test-run>`,
	TestNGXML:       `<testng-results><test-method name="t" status="PASS"/></testng-results>`,
	VisualStudioTRX: `<TestRun><Results><UnitTestResult testName="t" outcome="Passed"/></Results></TestRun>`,
	CucumberJSON:    `[{"name":"f","elements":[{"name":"t","steps":[{"result":{"status":"passed","duration":1}}]}]}]`,
	CloverXML:       `<coverage clover="1"><file name="a"><line num="1" type="stmt" count="1"/></file></coverage>`,
	CoberturaXML:    `<coverage><class filename="a"><lines><line number="1" hits="1"/></lines></class></coverage>`,
	JaCoCoXML:       `<report><package><sourcefile name="A"><line nr="1" ci="1"/></sourcefile></package></report>`,
	SimpleCov:       `{"R":{"coverage":{"a":[1]}}}`,
}

// TestRead_RefusesDamage damages a document of each format in each way.
func TestRead_RefusesDamage(t *testing.T) {
	t.Parallel()
	insert := func(text, more string) string {
		i := strings.IndexAny(text[1:], "<{") + 1
		return text[:i] + more + text[i:]
	}
	for _, tt := range []struct {
		name      string
		damage    func(text string) string
		xml, json string // CodeBuild's words
	}{
		{"nothing", func(text string) string { return text }, "", ""},
		{"empty", func(string) string { return "" }, "EOF", "unexpected end of JSON input"},
		{"cut off", func(text string) string { return "\n" + text[:len(text)-3] },
			"XML syntax error on line 2: unexpected EOF", "unexpected end of JSON input"},
		{"a stray character", func(text string) string { return insert(text, "\n&") },
			"XML syntax error on line 2: invalid character entity & (no semicolon)", "invalid character '&'"},
		{"another document", func(string) string { return "<other/>" }, "expected element type <ROOT> but have <other>",
			"invalid character '<' looking for beginning of value"},
		{"a text", func(string) string { return `"text"` }, "EOF", "json: cannot unmarshal string into Go value of type "},
		{"text after the document", func(text string) string { return text + "x" },
			"XML syntax error on line 1: text outside the document's element", "invalid character after top-level value"},
		{"invalid UTF-8", func(text string) string { return insert(text, "\xE9") },
			"XML syntax error on line 1: invalid UTF-8", "invalid character 'é' "},
	} {
		for format, text := range smallest {
			r := one(format, tt.damage(text))
			want := tt.xml
			if format.json() {
				want = tt.json
			}
			want = strings.ReplaceAll(want, "ROOT", map[Format]string{
				JUnitXML: "testsuite", NUnitXML: "test-results", NUnit3XML: "test-run", TestNGXML: "testng-results",
				VisualStudioTRX: "TestRun", CloverXML: "coverage", CoberturaXML: "coverage", JaCoCoXML: "report",
			}[format])
			switch {
			case want == "" && (len(r.Problems) > 0 || r.Empty()):
				t.Errorf("%s, %s: %v", tt.name, format, r.Problems)
			case want == "":
			case len(r.Problems) != 1 || r.Status != Incomplete || !r.Empty():
				t.Errorf("%s, %s: got %s, %v", tt.name, format, r.Status, r.Problems)
			case !strings.HasPrefix(r.Problems[0].Reason, want):
				t.Errorf("%s, %s: got %q, want %q", tt.name, format, r.Problems[0].Reason, want)
			case r.Problems[0].ServiceMessage("/src/sub") != "/src/sub/r: "+r.Problems[0].Reason || !r.Problems[0].Refused():
				t.Errorf("%s, %s: %q", tt.name, format, r.Problems[0].ServiceMessage("/src/sub"))
			}
		}
	}
}

func TestRead_RefusesSums(t *testing.T) {
	t.Parallel()
	const tests = `<testcase name="a"><failure/></testcase><testcase name="b"/>`
	for _, tt := range []struct{ outer, suite, want string }{
		{``, `tests="2" failures="1"`, ""},
		{``, `tests="0"`, ""},
		{``, `failures="3" errors="9"`, ""},
		{``, `tests="" failures="3"`, ""},
		{``, `tests="2" failures="1" errors="1" skipped=" 0 "`, ""},
		{``, `tests="1" failures="2"`, negativeCount},
		{``, `tests="2" failures="1" errors="1" skipped="1"`, negativeCount},
		{``, `tests="2" skipped="3"`, negativeCount},
		{``, `tests="-1"`, negativeCount},
		{``, `errors="-1"`, negativeCount},
		{``, `tests="9223372036854775807" failures="9223372036854775807" errors="9223372036854775807"`, negativeCount},
		{``, `tests="2.0"`, `strconv.ParseInt: parsing "2.0": invalid syntax`},
		{`tests="2" failures="1"`, `tests="2" failures="1"`, ""},
		{`tests="0" failures="1"`, `tests="2" failures="1"`, negativeCount},
		{`failures="1"`, `tests="0" failures="1"`, negativeCount},
	} {
		r := one(JUnitXML, fmt.Sprintf("<testsuites %s>\n<testsuite name='s' %s>%s</testsuite></testsuites>",
			tt.outer, tt.suite, tests))
		if r.Tests.Total != 2 || r.Tests.Bad() != 1 {
			t.Errorf("%s, %s: %+v, want the numbers of the test cases", tt.outer, tt.suite, r.Tests)
		}
		switch {
		case tt.want == "" && (len(r.Problems) > 0 || r.Status != Failed):
			t.Errorf("%s, %s: got %s, %v", tt.outer, tt.suite, r.Status, r.Problems)
		case tt.want != "" && (len(r.Problems) != 1 || r.Problems[0].Reason != tt.want || r.Status != Incomplete):
			t.Errorf("%s, %s: got %s, %v; want %s", tt.outer, tt.suite, r.Status, r.Problems, tt.want)
		}
	}
}

func TestRead_RefusesDurations(t *testing.T) {
	t.Parallel()
	const here = "json: cannot unmarshal %s into Go struct field Result.elements.%s.result.duration of type time.Duration"
	step := func(duration string) string {
		return fmt.Sprintf("{\"result\":{\"status\":\"passed\",\n\"duration\":%s}}", duration)
	}
	for _, tt := range []struct{ element, want string }{
		{`"steps":[` + step("1") + `]`, ""},
		{`"steps":[` + step("null") + `]`, ""},
		{`"steps":[` + step("1.5") + `]`, fmt.Sprintf(here, "number 1.5", "steps")},
		{`"steps":[` + step("1e3") + `]`, fmt.Sprintf(here, "number 1e3", "steps")},
		{`"steps":[` + step(`"7"`) + `]`, fmt.Sprintf(here, "string", "steps")},
		{`"before":[` + step("1.5") + `]`, fmt.Sprintf(here, "number 1.5", "before")},
		{`"after":[` + step("1.5") + `]`, fmt.Sprintf(here, "number 1.5", "after")},
		{`"steps":[{"result":{"status":"passed"},"after":[` + step("1.5") + `]}]`,
			fmt.Sprintf(here, "number 1.5", "steps.after")},
	} {
		r := one(CucumberJSON, `[{"keyword":"Feature","elements":[{"name":"s",`+tt.element+`}]}]`)
		if r.Tests.Total != 1 || r.Tests.Counts[CaseSucceeded] != 1 {
			t.Errorf("%s: %+v, want one scenario that passed", tt.element, r.Tests)
		}
		switch {
		case tt.want == "" && len(r.Problems) > 0:
			t.Errorf("%s: got %v", tt.element, r.Problems)
		case tt.want != "" && (len(r.Problems) != 1 || r.Problems[0].Reason != tt.want || r.Problems[0].Line != 2):
			t.Errorf("%s: got %+v; want %s", tt.element, r.Problems, tt.want)
		}
	}
}

func TestRead_RefusesUnknownEncoding(t *testing.T) {
	t.Parallel()
	const want = `XML syntax error on line 1: the encoding "klingon" is not known`
	r := one(JUnitXML, `<?xml version="1.0" encoding="klingon"?><testsuite/>`)
	if len(r.Problems) != 1 || r.Problems[0].Reason != want {
		t.Errorf("got %+v, want %s", r.Problems, want)
	}
}

// TestRead_ForeignNotations holds that notations of other locales are read, as far as the file
// says which they are.
func TestRead_ForeignNotations(t *testing.T) {
	t.Parallel()
	const latin, utf8 = "caf\xe9", "caf\u00e9"
	for name, tt := range map[string]struct{ text, name, reason string }{
		"decimal comma": {`<testsuite><testcase name="a" time="1,5"/></testsuite>`, "a", ""},
		"declared encoding": {`<?xml version="1.0" encoding="ISO-8859-1"?><testsuite><testcase name="` + latin +
			`" time="1.5"/></testsuite>`, utf8, ""},
		"declared but not used": {`<?xml version="1.0" encoding="UTF-16"?><testsuite><testcase name="` + utf8 +
			`" time="1.5"/></testsuite>`, utf8, ""},
		"not declared": {`<testsuite><testcase name="` + latin + `" time="1.5"/></testsuite>`, "",
			"XML syntax error on line 1: invalid UTF-8"},
	} {
		r := one(JUnitXML, tt.text)
		if tt.reason != "" {
			if len(r.Problems) != 1 || r.Problems[0].Reason != tt.reason {
				t.Errorf("%s: got %+v, want %s", name, r.Problems, tt.reason)
			}
			continue
		}
		if r.Status != Succeeded || len(r.Problems) != 0 || len(r.Cases) != 1 {
			t.Fatalf("%s: got %s, %+v, %+v; want one case", name, r.Status, r.Problems, r.Cases)
		}
		if got := r.Cases[0]; got.Name != tt.name || got.Duration != 1500*time.Millisecond {
			t.Errorf("%s: got %q in %s, want %q in 1.5s", name, got.Name, got.Duration, tt.name)
		}
	}
}

// TestRead_AcceptsNoFeatures holds that an empty list, which encoding/json reads, fails no build.
func TestRead_AcceptsNoFeatures(t *testing.T) {
	t.Parallel()
	r := one(CucumberJSON, "[]")
	if r.Status != Incomplete || len(r.Problems) != 1 || r.Problems[0].Refused() {
		t.Errorf("got %s, %+v", r.Status, r.Problems)
	}
}

func TestNUnit_CaseWithoutResult(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		attributes, elements string
		want                 CaseStatus
	}{
		{`executed="True" success="True"`, "", CaseSucceeded},
		{`executed="True" success="False"`, "", CaseFailed},
		{`executed="False"`, "<reason/>", CaseSkipped},
		{`executed="True"`, "<failure/>", CaseFailed},
		{`executed="True" success="True"`, "<failure><message>m</message></failure>", CaseFailed},
		{`executed="True" success="False"`, "<error/>", CaseError},
		{"", "<failure/>", CaseFailed},
		{"", "<error/>", CaseError},
		{"", "<reason/>", CaseSkipped},
		{"", "<properties><failure/></properties>", CaseUnknown},
		{`result="Success"`, "<failure/>", CaseSucceeded},
	} {
		r := one(NUnitXML, fmt.Sprintf("<test-results><test-case name='t' %s>%s</test-case></test-results>", tt.attributes,
			tt.elements))
		if len(r.Cases) != 1 || r.Cases[0].Status != tt.want {
			t.Errorf("%s %s: got %+v, want %s", tt.attributes, tt.elements, r.Cases, tt.want)
		}
	}
}
