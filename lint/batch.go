package lint

import (
	"fmt"
	"slices"
	"strings"

	"github.com/buildlocal/buildlocal/buildspec"
	"github.com/buildlocal/buildlocal/compute"
	"github.com/buildlocal/buildlocal/internal/diag"
)

var batchChecks = []check{
	{diag.Check{Name: "batch-kind", Severity: diag.Error, Softer: true, Summary: "A batch is exactly one of build-graph, build-list, build-matrix and build-fanout."}, (*checker).batchKind},
	{diag.Check{Name: "batch-identifier", Severity: diag.Error, Summary: "Two builds of a batch have the same identifier."}, (*checker).batchIdentifiers},
	{diag.Check{Name: "batch-dependency", Severity: diag.Error, Softer: true, Summary: "A build depends on one that does not exist, or on itself."}, (*checker).batchDependencies},
	{diag.Check{Name: "batch-environment", Severity: diag.Warning, Summary: "A compute type, an environment type or an image of the batch is not known, or they do not go together."}, (*checker).batchEnvironments},
	{diag.Check{Name: "batch-size", Severity: diag.Warning, Summary: "The batch has more builds than the service runs."}, (*checker).batchSize},
}

// batchKind: what the service does with several kinds is not known.
func (c *checker) batchKind() {
	b := c.Spec.Batch
	if b == nil {
		return
	}
	p := c.Spec.ProblemAt("batch", true, "")
	none := len(b.Graph)+len(b.List) == 0 && b.Matrix == nil && b.Fanout == nil && len(c.found) == 0
	if len(b.Kinds) == 1 && !none {
		return
	}
	if len(b.Kinds) < 2 {
		c.say(p, "batch has no builds; expected one of build-graph, build-list, build-matrix and build-fanout").Severity = diag.Warning
		return
	}
	p = c.Spec.ProblemAt("batch."+b.Kinds[1], true, "")
	c.say(p, fmt.Sprintf("batch has %s; expected one of them", strings.Join(b.Kinds, " and ")))
}

func tasks(b *buildspec.Batch) []buildspec.Task {
	if b == nil {
		return nil
	}
	return slices.Concat(b.Graph, b.List)
}

func (c *checker) batchIdentifiers() {
	first := map[string]string{}
	for _, t := range tasks(c.Spec.Batch) {
		path := t.Path + ".identifier"
		before, twice := first[t.Identifier]
		switch {
		case t.Identifier == "":
		case twice:
			c.say(c.Spec.ProblemAt(path, false, ""), fmt.Sprintf("identifier %s stands twice, first in line %d; expected another name for each build", t.Identifier, c.Spec.Place(before).Key.Line))
		default:
			first[t.Identifier] = path
		}
	}
}

func (c *checker) batchDependencies() {
	if c.Spec.Batch == nil {
		return
	}
	graph := c.Spec.Batch.Graph
	known := map[string]int{}
	var names []string
	for i, t := range graph {
		known[t.Identifier] = i
		names = append(names, t.Identifier)
	}
	said := 0
	for _, t := range graph {
		for i, on := range t.DependOn {
			if _, found := known[on]; found {
				continue
			}
			p := c.Spec.ProblemAt(fmt.Sprintf("%s.depend-on[%d]", t.Path, i), false, "")
			// A batch that is put together later is seen to lack some.
			way := ""
			if said++; said < 20 { // it compares with every name
				way = diag.DidYouMean(on, names)
			}
			c.say(p, fmt.Sprintf("%s depends on %s, which is no build of this graph%s", t.Identifier, on, way)).Severity = diag.Warning
		}
	}
	c.cycles(graph, known)
}

// cycles tells each circle of the graph once, at the build that comes first in
// the file.
func (c *checker) cycles(graph []buildspec.Task, known map[string]int) {
	const (
		unseen = iota
		open
		done
	)
	state := make([]int, len(graph))
	var stack []int
	var visit func(i int)
	visit = func(i int) {
		state[i] = open
		stack = append(stack, i)
		for _, on := range graph[i].DependOn {
			next, found := known[on]
			switch {
			case !found || state[next] == done:
			case state[next] == open:
				c.sayCycle(graph, stack[slices.Index(stack, next):])
			default:
				visit(next)
			}
		}
		stack = stack[:len(stack)-1]
		state[i] = done
	}
	for i := range graph {
		if state[i] == unseen {
			visit(i)
		}
	}
}

func (c *checker) sayCycle(graph []buildspec.Task, circle []int) {
	var names []string
	for _, i := range circle {
		names = append(names, graph[i].Identifier)
	}
	p := c.Spec.ProblemAt(graph[circle[0]].Path+".identifier", false, "")
	c.say(p, fmt.Sprintf("builds wait for each other: %s; expected no circle in depend-on", strings.Join(append(names, names[0]), " depends on ")))
}

func (c *checker) batchEnvironments() {
	for _, t := range tasks(c.Spec.Batch) {
		c.environment(t.Path+".env", t.Env)
	}
	if c.Spec.Batch == nil || c.Spec.Batch.Matrix == nil {
		return
	}
	m := c.Spec.Batch.Matrix
	c.environment("batch.build-matrix.static.env", m.Static)
	for i, t := range m.ComputeTypes {
		c.computeType(fmt.Sprintf("batch.build-matrix.dynamic.env.compute-type[%d]", i), t, m.Static.Type)
	}
	for i, image := range m.Images {
		c.batchImage(fmt.Sprintf("batch.build-matrix.dynamic.env.image[%d]", i), image)
	}
}

func (c *checker) environment(path string, e buildspec.TaskEnv) {
	if e.Type != "" && !slices.Contains(compute.EnvironmentTypes, e.Type) {
		c.say(c.Spec.ProblemAt(path+".type", false, ""), fmt.Sprintf("unknown environment type %s%s (expected %s)", e.Type, diag.DidYouMean(e.Type, compute.EnvironmentTypes), strings.Join(compute.EnvironmentTypes, ", ")))
	}
	if e.ComputeType != "" && e.Fleet != "" {
		c.say(c.Spec.ProblemAt(path+".fleet", true, ""), "fleet stands beside compute-type; expected one of them")
	}
	c.computeType(path+".compute-type", e.ComputeType, e.Type)
	c.batchImage(path+".image", e.Image)
}

func (c *checker) computeType(path, size, environment string) {
	if size == "" {
		return
	}
	if !slices.Contains(compute.Types, size) {
		c.say(c.Spec.ProblemAt(path, false, ""), fmt.Sprintf("unknown compute type %s%s (expected %s)", size, diag.DidYouMean(size, compute.Types), strings.Join(compute.Types, ", ")))
		return
	}
	if sizes, ok := compute.Offered(environment, size); !ok {
		c.say(c.Spec.ProblemAt(path, false, ""), fmt.Sprintf("%s is not offered for %s; expected %s", size, environment, strings.Join(sizes, ", ")))
	}
}

func (c *checker) batchImage(path, image string) {
	if way, wrong := unknownCurated(image); wrong {
		c.say(c.Spec.ProblemAt(path, false, ""), way)
	}
}

// maxBuilds is how many builds of a batch the console allows for where nobody
// says another number. A graph or a list is written out, and meant; a matrix
// grows by itself.
const maxBuilds = 100

func (c *checker) batchSize() {
	b := c.Spec.Batch
	switch {
	case b == nil:
	case b.Matrix != nil && b.Matrix.Size() > maxBuilds:
		c.say(c.Spec.ProblemAt("batch.build-matrix", true, ""), fmt.Sprintf("the matrix has %d builds, one for every combination; expected at most %d, or a larger maximumBuildsAllowed in the project", b.Matrix.Size(), maxBuilds))
	case b.Matrix != nil:
		c.emptyAxes(b.Matrix)
	case b.Fanout != nil && b.Fanout.Parallelism > maxBuilds:
		c.say(c.Spec.ProblemAt("batch.build-fanout.parallelism", false, ""), fmt.Sprintf("parallelism is %d; expected at most %d, or a larger maximumBuildsAllowed in the project", b.Fanout.Parallelism, maxBuilds))
	}
}

// emptyAxes tells a matrix that varies nothing.
func (c *checker) emptyAxes(m *buildspec.Matrix) {
	for _, a := range m.Variables {
		if len(a.Values) == 0 {
			c.say(c.Spec.ProblemAt("batch.build-matrix.dynamic.env.variables."+a.Name, true, ""), a.Name+" has no values; expected a list of them")
		}
	}
	if m.Size() == 1 {
		c.say(c.Spec.ProblemAt("batch.build-matrix", true, ""), "the matrix has one build; expected a list of several values in dynamic")
	}
}
