package reports

import (
	"bytes"
	"encoding/xml"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// seeds adds the inputs of the tests to a fuzz target.
func seeds(f *testing.F) {
	f.Helper()
	files, _ := filepath.Glob("../testdata/reports/*")
	for _, file := range files {
		if strings.HasSuffix(file, ".want") {
			continue
		}
		text, err := os.ReadFile(file)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(text[:min(len(text), 4096)])
	}
	for _, text := range []string{
		"<testsuites><testsuite><testcase name='a'><failure/></testcase></testsuite></testsuites>",
		"<testsuites tests='1' errors='2'><testsuite failures='1' tests='x'/></testsuites>",
		`[{"elements":[{"steps":[{"result":{"duration":1.5}}]}]}]`,
		"<test-results><test-suite name='s'><test-case name='a.b' result='Success'/></test-suite></test-results>",
		"<test-run><test-case name='a' result='Failed' " +
			"label='Error'><failure><message>m</message></failure></test-case></test-run>",
		"<testng-results><suite><test><class name='k'><test-method name='m' " +
			"status='FAIL'/></class></test></suite></testng-results>",
		"<TestRun><Results><UnitTestResult outcome='Passed'/></Results><TestDefinitions><UnitTest " +
			"id='1'><TestMethod/></UnitTest></TestDefinitions></TestRun>",
		"<coverage clover='3.2.0'><project><file path='a'><metrics/><line num='1' type='cond' truecount='1' " +
			"falsecount='0'/></file></project></coverage>",
		"<coverage><class filename='a'><lines><line number='1' hits='1' condition-coverage='50% " +
			"(1/2)'/></lines></class></coverage>",
		"<report><group name='g'><package name='p'><sourcefile name='A'><line nr='1' " +
			"ci='1'/></sourcefile></package></group></report>",
		`[{"elements":[{"type":"scenario","steps":[{"result":{"status":"passed","duration":1}}]}]}]`,
		`{"R":{"coverage":{"a":{"lines":[1,null],"branches":{"[:if, 0, 1]":{"x":1}}}}}}`,
	} {
		f.Add([]byte(text))
	}
}

// FuzzRead reads strangers' bytes in each format. Whatever they are, the sums are those
// of the cases and files, and the result can be written, and read again.
func FuzzRead(f *testing.F) {
	seeds(f)
	f.Fuzz(func(t *testing.T, text []byte) {
		for _, format := range Formats() {
			src := Source{Path: "r", Open: func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(text)), nil }}
			r := Read("g", format, []Source{src}, Limits{})
			check(t, r)
			DetectFormat(bytes.NewReader(text))
			r.Place(NewTree("/src", []string{"a.py", "b/a.py", "src/x.js"}))
			var out bytes.Buffer
			if err := WriteJUnit(&out, []*Report{r}); err != nil {
				t.Fatal(err)
			}
			if r.Tests == nil {
				continue
			}
			if err := xml.Unmarshal(out.Bytes(), &junitSuites{}); err != nil {
				t.Fatalf("what was written is no XML: %v", err)
			}
			again := Read("g", JUnitXML, []Source{textSource("r", out.String())}, Limits{})
			if again.Tests.Total != r.Tests.Total || again.Tests.Bad() != r.Tests.Bad() || len(again.Problems) > 0 {
				t.Fatalf("written and read again: %+v, was %+v; %v", again.Tests, r.Tests, again.Problems)
			}
		}
	})
}

// check holds a report against itself.
func check(t *testing.T, r *Report) {
	t.Helper()
	unread := slices.ContainsFunc(r.Problems, func(p Problem) bool { return strings.HasPrefix(p.Text, "cannot be read") })
	if unread && (r.Tests != nil && r.Tests.Total > 0 || r.Sum != nil && r.Sum.Lines.Total() > 0) {
		t.Fatalf("%s: what a broken file says counts", r.Format)
	}
	if r.Tests != nil {
		total := 0
		for _, n := range r.Tests.Counts {
			total += n
		}
		if total != r.Tests.Total || len(r.Cases) != total || r.Tests.Duration < 0 {
			t.Fatalf("%s: %+v of %d cases", r.Format, r.Tests, len(r.Cases))
		}
	}
	for _, c := range r.Coverage {
		if c.Lines.Covered < 0 || c.Lines.Missed < 0 || c.Branches.Covered < 0 || c.Branches.Missed < 0 {
			t.Fatalf("%s: %+v", r.Format, c)
		}
	}
}
