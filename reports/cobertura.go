package reports

import (
	"regexp"
	"strconv"
	"strings"
	"sync"

	"github.com/buildlocal/buildlocal/internal/sax"
)

// cobertura reads what Cobertura, coverage.py, coverlet, gcovr and others write. Classes
// of one file are merged, and a line that is said twice is one line.
type cobertura struct {
	out     *reading
	file    string
	class   bool
	methods int    // elements methods that are open
	own     int    // lines that stand in the class itself
	nested  []Line // lines of its methods, which count where it has none itself
	line    *Line  // the open one
	summed  bool   // the open line has branches of its conditions
}

func newCobertura(out *reading) handler { return &cobertura{out: out} }

func (c *cobertura) start(x *sax.Reader) error {
	switch x.Name() {
	case "coverage":
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

// fraction is what is covered of how many, as in 50% (1/2).
var fraction = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`\(\s*(\d+)\s*/\s*(\d+)\s*\)`) })

// begin reads a line. One that is numbered 0 is no line of a file.
func (c *cobertura) begin(x *sax.Reader) {
	n := integer(x, "number")
	if n == 0 {
		return
	}
	l := Line{Number: n, Hits: hits(x.Attr("hits")), Code: true}
	if m := fraction().FindStringSubmatch(x.Attr("condition-coverage")); m != nil {
		covered, total := number32(m[1]), number32(m[2])
		l.Branches = Counts{min(covered, total), max(0, total-covered)}
	}
	c.line = &l
}

// condition reads one of a line's conditions, where the line has no sum of them: two
// branches each.
func (c *cobertura) condition(x *sax.Reader) {
	if c.line == nil || !c.summed && c.line.Branches.Total() > 0 {
		return
	}
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
