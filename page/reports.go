package page

import (
	"bytes"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/buildlocal/buildlocal/reports"
)

// testTable has the test cases in columns: each case has one index in all of the lists from
// Group on. Equal values that follow each other compress well, and names of fields are not
// repeated, so tens of thousands of cases are loaded in an instant.
type testTable struct {
	Groups  []string  `json:"groups"`  // names of the reports
	Builds  []int     `json:"builds"`  // numbers of the builds in the history
	Covered []string  `json:"covered"` // source files in a coverage report, which places link to
	Group   []int     `json:"group"`   // index in Groups
	Suite   []string  `json:"suite"`
	Prefix  []string  `json:"prefix"`
	Name    []string  `json:"name"`
	Status  []string  `json:"status"` // as CodeBuild spells it
	Seconds []float64 `json:"seconds"`
	Message []string  `json:"message"`
	Place   []string  `json:"place"`   // file:line of the source, or ""
	Change  []string  `json:"change"`  // against the last build, or ""
	History []string  `json:"history"` // a character for each of Builds
	Raw     []string  `json:"raw"`     // the file of the report
}

// testData returns the test cases of all reports. Lists are never nil, because the scripts
// cannot use null.
func testData(set *reports.Set) testTable {
	none := []string{}
	t := testTable{
		Groups: none, Builds: []int{}, Covered: none, Group: []int{}, Suite: none, Prefix: none, Name: none, Status: none,
		Seconds: []float64{}, Message: none, Place: none, Change: none, History: none, Raw: none,
	}
	for _, p := range set.Past {
		t.Builds = append(t.Builds, p.Build)
	}
	for _, r := range set.Reports {
		for _, c := range r.Coverage {
			if c.Place != "" {
				t.Covered = append(t.Covered, c.Place)
			}
		}
		if r.Tests == nil {
			continue
		}
		for _, c := range r.Cases {
			t.add(c, len(t.Groups))
		}
		t.Groups = append(t.Groups, r.Group)
	}
	return t
}

// add adds a test case to every column.
func (t *testTable) add(c reports.Case, group int) {
	place := ""
	if c.Place != nil {
		place = c.Place.File
		if c.Place.Line > 0 {
			place += ":" + strconv.Itoa(c.Place.Line)
		}
	}
	t.Group = append(t.Group, group)
	t.Suite, t.Prefix, t.Name = append(t.Suite, c.Suite), append(t.Prefix, c.Prefix), append(t.Name, c.Name)
	t.Status = append(t.Status, string(c.Status))
	t.Seconds = append(t.Seconds, c.Duration.Seconds())
	t.Message, t.Place = append(t.Message, c.Message), append(t.Place, place)
	t.Change, t.History, t.Raw = append(t.Change, string(c.Change)), append(t.History, string(c.History)), append(t.Raw,
		c.Raw)
}

// coverageFile is one covered file.
type coverageFile struct {
	Group    string `json:"group"`
	Path     string `json:"path"`             // in the report
	Source   string `json:"source,omitempty"` // in the source, if the page has its text
	Lines    [2]int `json:"lines"`            // covered, all
	Branches [2]int `json:"branches"`         // covered, all
	// Detail has four numbers for each line: its number, how often it ran (-1 if only its
	// branches count), its covered branches, and all of them.
	Detail []int `json:"detail,omitempty"`
}

// Limits of the source in a page, in bytes. Beyond them, files have their covered lines
// without text: browsers are slow with larger pages.
const (
	maxSources = 8 << 20
	maxSource  = 1 << 20
)

// coverage writes the covered files, and the source of those that can be read. A file in
// several reports has its text once.
func (p *pieces) coverage(b Build) error {
	files, texts, size := []coverageFile{}, map[string]string{}, 0
	for _, r := range b.Reports.Reports {
		for _, c := range r.Coverage {
			f := coverageFile{Group: r.Group, Path: c.Path, Lines: [2]int{c.Lines.Covered, c.Lines.Total()},
				Branches: [2]int{c.Branches.Covered, c.Branches.Total()}}
			f.Detail = detail(c.Detail)
			if text := b.source(c.Place); fits(text, c.Detail) && size+len(text) < maxSources {
				f.Source = c.Place
				size += len(text) - len(texts[c.Place])
				texts[c.Place] = text
			}
			files = append(files, f)
		}
	}
	if err := p.json("coverage", files); err != nil {
		return err
	}
	return p.json("source", texts)
}

// fits reports whether a source has all lines that a report refers to. A shorter file was
// changed since, or is another one of the same name; its lines would be misleading.
func fits(text string, lines []reports.Line) bool {
	last := 0
	for _, l := range lines {
		last = max(last, l.Number)
	}
	return text != "" && last <= strings.Count(strings.TrimSuffix(text, "\n"), "\n")+1
}

// detail returns the lines of a file as numbers. JavaScript has exact integers up to 2^53, so
// higher counts are cut.
func detail(lines []reports.Line) []int {
	var all []int
	for _, l := range lines {
		ran := int(min(l.Hits, 1<<50))
		if !l.Code {
			ran = -1
		}
		all = append(all, l.Number, ran, l.Branches.Covered, l.Branches.Total())
	}
	return all
}

// source returns the text of a file of the source, or "" for one that does not exist, is too
// large or is binary.
func (b Build) source(name string) string {
	if b.Source == nil || name == "" {
		return ""
	}
	text := b.Source(name)
	if len(text) > maxSource || bytes.IndexByte(text, 0) >= 0 {
		return ""
	}
	return strings.ToValidUTF8(string(text), string(utf8.RuneError))
}
