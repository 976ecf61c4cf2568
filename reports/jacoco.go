package reports

import (
	"path"
	"strings"

	"github.com/buildlocal/buildlocal/internal/sax"
)

// jacoco reads jacoco.xml (DTD "-//JACOCO//DTD Report 1.1//EN"). A file is a sourcefile in a
// package. In an aggregated report of several modules, packages are in groups; the name of the
// group is part of the path, because modules may have packages and files with the same names.
type jacoco struct {
	out    *reading
	groups []string
	pkg    string
	file   string // empty outside a sourcefile
	// A sourcefile without a LINE counter was compiled without line numbers.
	counted bool // it has counters
	some    bool // it has something of a report in it
	sums    [2]Counts
}

func newJaCoCo(out *reading) handler { return &jacoco{out: out} }

func (j *jacoco) start(x *sax.Reader) error {
	switch x.Name() {
	case "group", "package", "sessioninfo", "counter":
		j.some = true
	}
	switch x.Name() {
	case "group":
		j.groups = append(j.groups, x.Attr("name"))
	case "package":
		j.pkg = x.Attr("name")
	case "sourcefile":
		j.file = path.Join(strings.Join(j.groups, "/"), j.pkg, x.Attr("name"))
		j.counted, j.sums = false, [2]Counts{}
		j.out.covered(j.file)
	case "line":
		if j.file == "" {
			return nil
		}
		// The attributes are missed and covered instructions (mi, ci) and branches (mb, cb). JaCoCo does
		// not count how often a line ran, only whether any of its instructions did.
		l := Line{Number: integer(x, "nr"), Code: true, Branches: Counts{integer(x, "cb"), integer(x, "mb")}}
		l.Hits = int64(min(1, integer(x, "ci")))
		j.out.line(j.file, l)
	case "counter":
		if j.file == "" {
			return nil
		}
		counts := Counts{integer(x, "covered"), integer(x, "missed")}
		switch x.Attr("type") {
		// Counters of INSTRUCTION, METHOD, CLASS and COMPLEXITY have no counterpart in the API.
		case "LINE":
			j.counted, j.sums[0] = true, counts
		case "BRANCH":
			j.sums[1] = counts
		}
	}
	return nil
}

func (j *jacoco) text([]byte) {}

func (j *jacoco) end(x *sax.Reader) error {
	switch x.Name() {
	case "group", "package", "sessioninfo", "counter":
		j.some = true
	}
	switch x.Name() {
	case "report":
		// Many documents have the root element report. One without any JaCoCo element is another kind of
		// report, not an empty one.
		if x.Depth() == 0 && !j.some {
			return at(x, "no element of a JaCoCo report")
		}
	case "group":
		j.groups = j.groups[:len(j.groups)-1]
	case "sourcefile":
		// The counters of a file are exact. The sum of its lines would differ for a line that appears in
		// several classes.
		if j.counted {
			j.out.covered(j.file).sum(j.sums[0], j.sums[1])
		}
		j.file = ""
	}
	return nil
}
