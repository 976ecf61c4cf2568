package reports

import (
	"path"
	"strings"

	"github.com/buildlocal/buildlocal/internal/sax"
)

// jacoco reads jacoco.xml. A file is a sourcefile of a package, of a group where the
// report is of several modules, for their files may have the same names.
type jacoco struct {
	out     *reading
	groups  []string
	pkg     string
	file    string // empty outside a sourcefile
	counted bool   // it has counters
	some    bool   // it has something of a report in it
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
		l := Line{Number: integer(x, "nr"), Code: true, Branches: Counts{integer(x, "cb"), integer(x, "mb")}}
		l.Hits = int64(min(1, integer(x, "ci")))
		j.out.line(j.file, l)
	case "counter":
		if j.file == "" {
			return nil
		}
		counts := Counts{integer(x, "covered"), integer(x, "missed")}
		switch x.Attr("type") {
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
		if x.Depth() == 0 && !j.some {
			return at(x, "no element of a JaCoCo report")
		}
	case "group":
		j.groups = j.groups[:len(j.groups)-1]
	case "sourcefile":
		if j.counted {
			j.out.covered(j.file).sum(j.sums[0], j.sums[1])
		}
		j.file = ""
	}
	return nil
}
