package reports

import (
	"regexp"
	"strconv"
	"strings"
	"sync"

	"github.com/buildlocal/buildlocal/internal/sax"
)

// cobertura reads the output of Cobertura, coverage.py, coverlet, gcovr and others. Classes in
// the same file are merged, and a line that appears twice is one line.
type cobertura struct {
	out     *reading
	file    string
	class   bool
	methods int // number of open elements methods
	own     int // number of lines in the class itself
	// Cobertura writes each line of a method twice: in the method and in the class. Others write only
	// one of the two; coverage.py only the class.
	nested []Line // lines of its methods, used if the class itself has none
	line   *Line  // the open line
	summed bool   // the branches of the open line come from its conditions
}

func newCobertura(out *reading) handler { return &cobertura{out: out} }

func (c *cobertura) start(x *sax.Reader) error {
	switch x.Name() {
	case "coverage":
		// See clover.start for the reverse case.
		if x.Depth() == 1 && x.Attr("clover") != "" {
			return at(x, "<coverage> has the attribute clover, as in CLOVERXML")
		}
	case "project", "testproject":
		if x.Depth() == 2 {
			return at(x, "<coverage> has <project>, as in CLOVERXML")
		}
	case "class":
		c.class, c.own, c.nested = true, 0, nil
		c.file = x.Attr("filename")
		// A class without lines still lists its file, with nothing to cover.
		c.out.covered(c.file)
	case "methods":
		c.methods++
	case "line":
		if c.class {
			c.begin(x)
		}
	case "condition":
		c.condition(x)
	}
	return nil
}

// fraction matches covered and total branches, as in 50% (1/2).
var fraction = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`\(\s*(\d+)\s*/\s*(\d+)\s*\)`) })

// begin reads a line. A line with number 0 is not in the file and is ignored.
func (c *cobertura) begin(x *sax.Reader) {
	n := integer(x, "number")
	if n == 0 {
		return
	}
	l := Line{Number: n, Hits: hits(x.Attr("hits")), Code: true}
	if m := fraction().FindStringSubmatch(x.Attr("condition-coverage")); m != nil {
		covered, total := number32(m[1]), number32(m[2])
		// Merged reports of several runs occasionally claim more covered branches than there are.
		l.Branches = Counts{min(covered, total), max(0, total-covered)}
	}
	c.line = &l
}

// condition reads a condition, which has two branches, if the line itself has no total.
func (c *cobertura) condition(x *sax.Reader) {
	if c.line == nil || !c.summed && c.line.Branches.Total() > 0 {
		return
	}
	// A condition has a percentage only: 0, 50 or 100 of its two outcomes. A switch with more outcomes
	// has a value between, which counts as one of two.
	percent, err := strconv.ParseFloat(strings.TrimSuffix(x.Attr("coverage"), "%"), 64)
	if err != nil {
		return
	}
	c.summed = true
	covered := 0
	switch {
	case percent >= 100:
		covered = 2
	case percent > 0:
		covered = 1
	}
	c.line.Branches = c.line.Branches.plus(Counts{covered, 2 - covered})
}

func (c *cobertura) text([]byte) {}

func (c *cobertura) end(x *sax.Reader) error {
	switch x.Name() {
	case "methods":
		c.methods--
	case "line":
		if c.line == nil {
			return nil
		}
		// An element line inside of methods belongs to a method.
		if c.methods > 0 {
			c.nested = append(c.nested, *c.line)
		} else {
			c.own++
			c.out.line(c.file, *c.line)
		}
		c.line, c.summed = nil, false
	case "class":
		if c.own == 0 {
			for _, l := range c.nested {
				c.out.line(c.file, l)
			}
		}
		c.class = false
	}
	return nil
}
