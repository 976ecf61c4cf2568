package reports

import (
	"cmp"
	"math"
	"strconv"

	"github.com/buildlocal/buildlocal/internal/sax"
)

// clover reads the output of OpenClover, PHPUnit and Istanbul. Statements and conditions count
// as lines; methods do not. The attributes of a condition have two meanings. OpenClover writes
// how often it was true and false, which are two branches. Istanbul and similar tools write how
// many branches were taken (truecount) and how many were not (falsecount). The totals of a file
// show which of the two it uses. Two statements in one line count twice, as in those totals.
type clover struct {
	out     *reading
	pkg     string
	file    string
	open    bool // in a file element that counts
	tests   bool // in the project of the tests themselves, which does not count
	stmts   []Line
	conds   []cloverCond
	metrics cloverMetrics
	// A file whose conditions were all fully covered or not covered at all has the same totals in both
	// dialects.
	follows string // dialect of the last file that revealed one
}

// cloverCond is a condition of a file.
type cloverCond struct {
	number  int
	hits    int64
	yes, no int
	// OpenClover writes no count for a condition. Then truecount is used instead.
	hasAnyHits bool
}

// cloverMetrics are the totals of a file, as the document has them.
type cloverMetrics struct {
	known           bool
	lines, branches Counts
}

// The dialects.
const (
	openClover = "openclover"
	istanbul   = "istanbul"
)

func newClover(out *reading) handler { return &clover{out: out} }

func (c *clover) start(x *sax.Reader) error {
	switch x.Name() {
	case "coverage":
		if x.Depth() == 1 && x.Attr("clover") == "" && x.Attr("line-rate") != "" {
			// Clover and Cobertura have the same root element. Reading one as the other would result in an
			// empty report without an error.
			return at(x, "<coverage> has a line-rate, as in COBERTURAXML")
		}
		if x.Attr("clover") == "3.2.0" { // the constant version that Istanbul writes
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
		// Istanbul writes an absolute path and the base name, PHPUnit only an absolute name.
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

// integer parses an attribute. A missing or invalid number is 0.
func integer(x *sax.Reader, name string) int {
	return number32(x.Attr(name))
}

// number32 parses a number of lines or branches. Counts beyond 32 bits do not occur in any source
// file; without a limit their sums could overflow.
func number32(text string) int {
	n, err := strconv.ParseInt(text, 10, 32)
	if err != nil {
		return 0
	}
	return int(max(0, n))
}

// hits parses an execution count. A number that is too large becomes a very large one. Counts in
// floating point occur as well.
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

// readMetrics reads the totals of a file. Those of its classes follow and are ignored.
func (c *clover) readMetrics(x *sax.Reader) {
	if !c.open || c.metrics.known {
		return
	}
	// The first element metrics of a file has its totals.
	c.metrics.known = true
	pair := func(covered, all string) Counts {
		n := integer(x, covered)
		return Counts{n, max(0, integer(x, all)-n)}
	}
	c.metrics.lines = pair("coveredstatements", "statements")
	c.metrics.branches = pair("coveredconditionals", "conditionals")
}

// readLine reads a statement or a condition.
func (c *clover) readLine(x *sax.Reader) {
	n := integer(x, "num")
	count, counted := x.Lookup("count")
	switch x.Attr("type") {
	// Lines of type method repeat the first statement of a method and are not part of the totals for
	// statements.
	case "stmt":
		c.stmts = append(c.stmts, Line{Number: n, Hits: hits(count), Code: true})
	case "cond":
		cond := cloverCond{number: n, hits: hits(count), hasAnyHits: counted}
		cond.yes, cond.no = int(min(hits(x.Attr("truecount")), math.MaxInt32)),
			int(min(hits(x.Attr("falsecount")), math.MaxInt32))
		c.conds = append(c.conds, cond)
	}
}

// Clover has all its data in attributes.
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

// finish adds the lines of a file to the report.
func (c *clover) finish() {
	// A file may have totals only.
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
	// The sums count two statements in one line twice, which the merged lines cannot.
	lines, branches := Counts{}, Counts{}
	for _, l := range all {
		c.out.line(c.file, l)
		ran := int(min(1, l.Hits))
		lines, branches = lines.plus(Counts{ran, 1 - ran}), branches.plus(l.Branches)
	}
	// Istanbul writes only one of several conditions in a line but counts all of them.
	m := c.metrics
	if dialect == istanbul && m.lines == lines &&
		m.branches.Covered >= branches.Covered && m.branches.Missed >= branches.Missed {
		branches = m.branches
	}
	c.out.covered(c.file).sum(lines, branches)
}

// branches returns the branches of a condition in a dialect.
func (c cloverCond) branches(dialect string) Counts {
	if dialect == istanbul {
		return Counts{c.yes, c.no}
	}
	covered := min(1, c.yes) + min(1, c.no)
	return Counts{covered, 2 - covered}
}

// dialect determines the dialect of a file from its totals. If both dialects agree with them,
// it is that of the previous file.
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
