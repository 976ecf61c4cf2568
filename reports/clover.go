package reports

import (
	"cmp"
	"math"
	"strconv"

	"github.com/buildlocal/buildlocal/internal/sax"
)

// clover reads what OpenClover, PHPUnit and Istanbul write. Statements and conditions
// are the lines; a method is none of its own. In a condition OpenClover writes how often
// it was true and false: two branches. Istanbul, and tools that follow it, write how
// many branches were taken, as truecount, and how many were not. Which one a file means
// is told by its sums. Two statements in one line count twice, as in those sums.
type clover struct {
	out     *reading
	pkg     string
	file    string
	open    bool
	tests   bool // in the project of the tests themselves
	stmts   []Line
	conds   []cloverCond
	metrics cloverMetrics
	follows string // the dialect of the last file that showed one
}

type cloverCond struct {
	number     int
	hits       int64
	yes, no    int
	hasAnyHits bool
}

type cloverMetrics struct {
	known           bool
	lines, branches Counts
}

const (
	openClover = "openclover"
	istanbul   = "istanbul"
)

func newClover(out *reading) handler { return &clover{out: out} }

func (c *clover) start(x *sax.Reader) error {
	switch x.Name() {
	case "coverage":
		if x.Depth() == 1 && x.Attr("clover") == "" && x.Attr("line-rate") != "" {
			return at(x, "<coverage> has a line-rate, as in COBERTURAXML")
		}
		if x.Attr("clover") == "3.2.0" { // what Istanbul writes for a version
			c.follows = istanbul
		}
	case "packages":
		return at(x, "<coverage> has <packages>, as in COBERTURAXML")
	case "testproject":
		c.tests = true
	case "package":
		c.pkg = x.Attr("name")
	case "file":
		c.open = !c.tests
		c.file = cmp.Or(x.Attr("path"), x.Attr("name"))
		c.stmts, c.conds, c.metrics = nil, nil, cloverMetrics{}
	case "metrics":
		c.readMetrics(x)
	case "line":
		if c.open {
			c.readLine(x)
		}
	}
	return nil
}

// integer reads an attribute; nothing, and what is no number, is 0.
func integer(x *sax.Reader, name string) int {
	return number32(x.Attr(name))
}

// number32 reads a number of lines or branches, of which there are not very many.
func number32(text string) int {
	n, err := strconv.ParseInt(text, 10, 32)
	if err != nil {
		return 0
	}
	return int(max(0, n))
}

// hits reads how often a line ran; a number too large to hold is many.
func hits(text string) int64 {
	if n, err := strconv.ParseInt(text, 10, 64); err == nil || n > 0 {
		return max(0, n)
	}
	f, err := strconv.ParseFloat(text, 64)
	if err != nil || !(f > 0) {
		return 0
	}
	return max(1, int64(min(f, 1e18)))
}

// readMetrics reads the sums of a file; those of its classes stand below it.
func (c *clover) readMetrics(x *sax.Reader) {
	if !c.open || c.metrics.known {
		return
	}
	c.metrics.known = true
	pair := func(covered, all string) Counts {
		n := integer(x, covered)
		return Counts{n, max(0, integer(x, all)-n)}
	}
	c.metrics.lines = pair("coveredstatements", "statements")
	c.metrics.branches = pair("coveredconditionals", "conditionals")
}

func (c *clover) readLine(x *sax.Reader) {
	n := integer(x, "num")
	count, counted := x.Lookup("count")
	switch x.Attr("type") {
	case "stmt":
		c.stmts = append(c.stmts, Line{Number: n, Hits: hits(count), Code: true})
	case "cond":
		cond := cloverCond{number: n, hits: hits(count), hasAnyHits: counted}
		cond.yes, cond.no = int(min(hits(x.Attr("truecount")), math.MaxInt32)), int(min(hits(x.Attr("falsecount")), math.MaxInt32))
		c.conds = append(c.conds, cond)
	}
}

func (c *clover) text([]byte) {}

func (c *clover) end(x *sax.Reader) error {
	switch x.Name() {
	case "testproject":
		c.tests = false
	case "file":
		if c.open {
			c.finish()
		}
		c.open = false
	}
	return nil
}

func (c *clover) finish() {
	if len(c.stmts)+len(c.conds) == 0 {
		c.out.covered(c.file).sum(c.metrics.lines, c.metrics.branches)
		return
	}
	dialect := c.dialect()
	all := c.stmts
	for _, cond := range c.conds {
		l := Line{Number: cond.number, Hits: cond.hits, Code: true, Branches: cond.branches(dialect)}
		if !cond.hasAnyHits {
			l.Hits = int64(min(1, cond.yes))
		}
		all = append(all, l)
	}
	lines, branches := Counts{}, Counts{}
	for _, l := range all {
		c.out.line(c.file, l)
		ran := int(min(1, l.Hits))
		lines, branches = lines.plus(Counts{ran, 1 - ran}), branches.plus(l.Branches)
	}
	// Of several conditions in a line Istanbul writes down one, and counts all.
	if m := c.metrics; dialect == istanbul && m.lines == lines && m.branches.Covered >= branches.Covered && m.branches.Missed >= branches.Missed {
		branches = m.branches
	}
	c.out.covered(c.file).sum(lines, branches)
}

func (c cloverCond) branches(dialect string) Counts {
	if dialect == istanbul {
		return Counts{c.yes, c.no}
	}
	covered := min(1, c.yes) + min(1, c.no)
	return Counts{covered, 2 - covered}
}

// dialect tells by a file's own sums what its conditions mean.
func (c *clover) dialect() string {
	sums := map[string]Counts{}
	for _, dialect := range []string{openClover, istanbul} {
		sum := Counts{}
		for _, cond := range c.conds {
			sum = sum.plus(cond.branches(dialect))
		}
		sums[dialect] = sum
	}
	if c.metrics.known && sums[openClover] != sums[istanbul] {
		for _, dialect := range []string{openClover, istanbul} {
			if sums[dialect] == c.metrics.branches {
				c.follows = dialect
			}
		}
	}
	return cmp.Or(c.follows, openClover)
}
