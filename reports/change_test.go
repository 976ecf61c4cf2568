package reports

import (
	"fmt"
	"slices"
	"strings"
	"testing"
)

// after is a set of one report, whose cases are given by letters: P, F, E, S.
func after(build int, print, letters string, change ...func(*Report)) *Set {
	s := NewSet(build, "p")
	s.Print = print
	var b strings.Builder
	b.WriteString("<testsuite>")
	for i, l := range letters {
		inside := map[rune]string{'F': "<failure/>", 'E': "<error/>", 'S': "<skipped/>"}[l]
		if l != '-' {
			fmt.Fprintf(&b, "<testcase name='%d'>%s</testcase>", i, inside)
		}
	}
	b.WriteString("</testsuite>")
	r := one(JUnitXML, b.String())
	for _, f := range change {
		f(r)
	}
	s.Reports = append(s.Reports, r)
	return s
}

// chain compares each set with those before it, and returns the last.
func chain(all ...*Set) *Report {
	for i, s := range all {
		before := slices.Clone(all[:i])
		slices.Reverse(before)
		s.Compare(slices.Values(before))
	}
	return all[len(all)-1].Reports[0]
}

func TestCompare_PreviousBuild(t *testing.T) {
	t.Parallel()
	r := chain(after(4, "a", "PFPFSF"), after(5, "b", "FFPPPP-"), after(6, "c", "FPFPFSF"))
	var got []string
	for _, c := range r.Cases {
		got = append(got, fmt.Sprintf("%s %s", c.Change, c.History))
	}
	want := []string{"STILL_FAILING PF", "FIXED FF", "NEWLY_FAILING PP", " FP", "NEWLY_FAILING SP", " FP",
		"NEWLY_FAILING --"}
	if !slices.Equal(got, want) {
		t.Errorf("got  %q\nwant %q", got, want)
	}
	if text := r.Changes.String(); text != "3 newly failing, 1 still failing, 1 fixed (against build 5)" {
		t.Error(text)
	}
}

func TestCompare_SameSourceIsFlaky(t *testing.T) {
	t.Parallel()
	r := chain(after(1, "a", "PFS"), after(2, "b", "PPP"), after(3, "a", "FPF"))
	for i, want := range []Change{Flaky, Flaky, NewlyFailing} {
		if got := r.Cases[i].Change; got != want {
			t.Errorf("case %d: got %s, want %s", i, got, want)
		}
	}
	if r := chain(after(1, "", "P"), after(2, "", "F")); r.Cases[0].Change != NewlyFailing {
		t.Errorf("where the source is not known: %s", r.Cases[0].Change)
	}
}

func TestCompare_SkipsIncompleteReports(t *testing.T) {
	t.Parallel()
	broken := func(r *Report) { r.Status, r.Cases = Incomplete, nil }
	none := after(3, "c", "")
	none.Reports = nil
	r := chain(after(1, "a", "F"), after(2, "b", "", broken), none, after(4, "d", "F"))
	if r.Cases[0].Change != StillFailing || r.Cases[0].History != "F--" || r.Changes.Build != 1 {
		t.Errorf("got %s %s against build %d", r.Cases[0].Change, r.Cases[0].History, r.Changes.Build)
	}
}

func TestCompare_TruncatedReports(t *testing.T) {
	t.Parallel()
	r := chain(after(1, "a", strings.Repeat("F", 700)), after(2, "b", strings.Repeat("P", 100)+strings.Repeat("F", 600)))
	if r.Changes.NewlyFailing != 0 || r.Changes.Gone != 0 || r.Changes.StillFailing != 400 {
		t.Errorf("got %+v", r.Changes)
	}
	if r := chain(after(1, "a", "FFPP"), after(2, "b", "F")); r.Changes.Gone != 3 || r.Changes.StillFailing != 1 {
		t.Errorf("got %+v", r.Changes)
	}
}

func TestCompare_IgnoresSourceDirDigits(t *testing.T) {
	t.Parallel()
	in := func(dir string) func(*Report) {
		return func(r *Report) { r.Cases[0].Name = "/codebuild/output/" + dir + "/src/a.test.js" }
	}
	if r := chain(after(1, "a", "F", in("src123")), after(2, "b", "F", in("src456"))); r.Cases[0].Change != StillFailing {
		t.Errorf("got %s", r.Cases[0].Change)
	}
}

func TestTree_Find(t *testing.T) {
	t.Parallel()
	tree := NewTree("/codebuild/output/src1/src", []string{
		"main.go", "server.go", "src/result.rs", "http/server.go", "web/src/index.ts", "api/src/index.ts",
		"a/com/x/Cart.java", "node_modules/jest/index.js", ".env",
	})
	for _, tt := range []struct{ name, hint, want string }{
		{"/codebuild/output/src1/src/main.go", "", "main.go"},
		{"./main.go", "", "main.go"},
		{`web\src\index.ts`, "", "web/src/index.ts"},
		{"file:///codebuild/output/src1/src/web/src/index.ts", "", "web/src/index.ts"},
		{"/codebuild/output/src1/src/gone.go", "", ""},
		{"/rustc/abc/library/core/src/result.rs", "", ""},
		{"/usr/local/go/src/net/http/server.go", "", ""},
		{"vendor2/pkg/server.go", "", ""},
		{"/app/http/server.go", "", "http/server.go"},
		{"index.ts", "", ""},
		{"index.ts", "api.src", "api/src/index.ts"},
		{"com/x/Cart.java", "", "a/com/x/Cart.java"},
		{"node_modules/jest/index.js", "", "node_modules/jest/index.js"},
		{"", "", ""},
	} {
		if got := tree.Find(tt.name, tt.hint); got != tt.want {
			t.Errorf("%s (%s): got %q, want %q", tt.name, tt.hint, got, tt.want)
		}
	}
}

func TestLimits_MaskBeforeCut(t *testing.T) {
	t.Parallel()
	limits := ServiceLimits()
	limits.Hide = func(text string) string { return strings.ReplaceAll(text, "hunter2-secret", "***") }
	pad := strings.Repeat("x", 4995)
	text := "<testsuite><testcase name='" + strings.Repeat("n", 995) + "hunter2-secret'><failure>" + pad +
		"hunter2-secret</failure></testcase></testsuite>"
	r := Read("g", JUnitXML, []Source{textSource("r", text)}, limits)
	if c := r.Cases[0]; strings.Contains(c.Name+c.Message, "hunter") {
		t.Errorf("got ...%s and ...%s", c.Name[980:], c.Message[4980:])
	}
}

func TestRead_HugeNumbers(t *testing.T) {
	t.Parallel()
	cover := one(CoberturaXML, `<coverage line-rate="1"><class filename="a"><lines>`+
		`<line number="1" hits="99999999999999999999" condition-coverage="0% (0/9223372036854775807)"/>`+
		`<line number="2" hits="1" condition-coverage="(9/3)"/></lines></class></coverage>`)
	if c := cover.Sum; c.Lines != (Counts{2, 0}) || c.Branches != (Counts{3, 0}) {
		t.Errorf("got %+v", c)
	}
	long := one(JUnitXML, "<testsuite>"+strings.Repeat("<testcase time='3e7'/>", 400)+"</testsuite>")
	if long.Tests.Duration <= 0 {
		t.Errorf("got %v", long.Tests.Duration)
	}
	two := Read("g", JUnitXML, []Source{textSource("a", "<testsuite>"+strings.Repeat("<testcase time='3e7'/>",
		400)+"</testsuite>"), textSource("b", "<testsuite>"+strings.Repeat("<testcase time='3e7'/>", 400)+"</testsuite>")},
		ServiceLimits())
	if two.Tests.Duration <= 0 {
		t.Errorf("of two files: got %v", two.Tests.Duration)
	}
	var b strings.Builder
	lcov := one(CoberturaXML, `<coverage line-rate="1"><class filename="a"><lines>`+
		`<line number="1" hits="1" condition-coverage="(0/100000000)"/></lines></class></coverage>`)
	if err := WriteLCOV(&b, []*Report{lcov}); err != nil || b.Len() > 100_000 {
		t.Errorf("%d bytes, %v", b.Len(), err)
	}
}
