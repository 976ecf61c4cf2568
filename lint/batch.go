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
	{diag.Check{Name: "batch-kind", Severity: diag.Error, Softer: true,
		Summary: "A batch must have exactly one of build-graph, build-list, build-matrix and build-fanout."},
		(*checker).batchKind},
	{diag.Check{Name: "batch-identifier", Severity: diag.Error,
		Summary: "Two builds of a batch have the same identifier."}, (*checker).batchIdentifiers},
	{diag.Check{Name: "batch-dependency", Severity: diag.Error, Softer: true,
		Summary: "A build depends on an unknown build, or on itself."}, (*checker).batchDependencies},
	{diag.Check{Name: "batch-environment", Severity: diag.Warning,
		Summary: "A compute type, environment type or image of the batch is unknown, or the combination is not offered."},
		(*checker).batchEnvironments},
	{diag.Check{Name: "batch-size", Severity: diag.Warning,
		Summary: "The batch has more builds than CodeBuild runs."}, (*checker).batchSize},
	{diag.Check{Name: "quoted-version", Severity: diag.Lint,
		Summary: "A batch build reads the version as a number, and fails if it is quoted."}, (*checker).quotedVersion},
}

// batchKind reports a batch with no kind or with several. CodeBuild's behavior for
// several kinds is not known. A batch without builds is reported only if the parser has
// no problem that explains it.
func (c *checker) batchKind() {
	b := c.Spec.Batch
	if b == nil {
		return
	}
	p := c.Spec.ProblemAt("batch", true, "")
	// A kind whose contents could not be read has no builds either; then the parser has reported the
	// reason.
	none := len(b.Graph)+len(b.List) == 0 && b.Matrix == nil && b.Fanout == nil && len(c.found) == 0
	if len(b.Kinds) == 1 && !none {
		return
	}
	if len(b.Kinds) < 2 {
		said := c.say(p, "batch has no builds")
		said.Severity, said.Hint = diag.Warning, "add one of build-graph, build-list, build-matrix and build-fanout"
		return
	}
	p = c.Spec.ProblemAt("batch."+b.Kinds[1], true, "")
	c.say(p, "batch has "+strings.Join(b.Kinds, " and ")).Hint = "keep one of them"
}

// tasks returns the builds of a graph and of a list. A matrix has no builds in the file.
func tasks(b *buildspec.Batch) []buildspec.Task {
	if b == nil {
		return nil
	}
	return slices.Concat(b.Graph, b.List)
}

// batchIdentifiers reports duplicate identifiers. Missing ones are the parser's problem.
func (c *checker) batchIdentifiers() {
	first := map[string]string{}
	for _, t := range tasks(c.Spec.Batch) {
		path := t.Path + ".identifier"
		before, twice := first[t.Identifier]
		switch {
		// Two missing identifiers are not duplicates of each other.
		case t.Identifier == "":
		case twice:
			c.say(c.Spec.ProblemAt(path, false, ""), fmt.Sprintf("duplicate identifier %s, first in line %d",
				t.Identifier, c.Spec.Place(before).Key.Line)).Hint = "give each build its own identifier"
		default:
			first[t.Identifier] = path
		}
	}
}

// batchDependencies reports unknown builds in depend-on, and cycles.
func (c *checker) batchDependencies() {
	if c.Spec.Batch == nil {
		return
	}
	// Only a graph has dependencies: depend-on in a list is an unknown key.
	graph := c.Spec.Batch.Graph
	known := map[string]int{}
	var names []string
	for i, t := range graph {
		known[t.Identifier] = i
		names = append(names, t.Identifier)
	}
	const maxSuggestions = 20 // a suggestion compares with all names, which is quadratic in total
	unknown := 0
	for _, t := range graph {
		for i, on := range t.DependOn {
			if _, found := known[on]; found {
				continue
			}
			p := c.Spec.ProblemAt(fmt.Sprintf("%s.depend-on[%d]", t.Path, i), false, "")
			// Only a warning: some projects generate the rest of the batch before they start it.
			said := c.say(p, fmt.Sprintf("%s depends on unknown build %s", t.Identifier, on))
			said.Severity = diag.Warning
			if unknown++; unknown < maxSuggestions {
				said.Hint = diag.Question(on, names)
			}
		}
	}
	c.cycles(graph, known)
}

// cycles reports each cycle of the graph once, at the first of its builds in the file. It
// is a depth-first search; a dependency on a build that is still open closes a cycle.
func (c *checker) cycles(graph []buildspec.Task, known map[string]int) {
	const (
		unseen = iota
		open
		done
	)
	// The recursion is as deep as the longest chain of dependencies, which the limit of the parser for
	// values bounds.
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

// sayCycle reports a cycle, given as indexes of the graph.
func (c *checker) sayCycle(graph []buildspec.Task, circle []int) {
	var names []string
	for _, i := range circle {
		names = append(names, graph[i].Identifier)
	}
	p := c.Spec.ProblemAt(graph[circle[0]].Path+".identifier", false, "")
	c.say(p, "dependency cycle: "+strings.Join(append(names, names[0]), " depends on ")).
		Hint = "remove one of the dependencies"
}

// batchEnvironments checks the environments of all builds of the batch.
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

// environment checks the environment of one build. Fleets and compute types exclude each other: a
// fleet has its own machines.
func (c *checker) environment(path string, e buildspec.TaskEnv) {
	if e.Type != "" && !slices.Contains(compute.EnvironmentTypes, e.Type) {
		c.say(c.Spec.ProblemAt(path+".type", false, ""), "unknown environment type "+e.Type).
			Hint = diag.Choice(e.Type, compute.EnvironmentTypes)
	}
	if e.ComputeType != "" && e.Fleet != "" {
		c.say(c.Spec.ProblemAt(path+".fleet", true, ""), "fleet and compute-type cannot be combined").
			Hint = "keep one of them"
	}
	c.computeType(path+".compute-type", e.ComputeType, e.Type)
	c.batchImage(path+".image", e.Image)
}

// computeType checks that a compute type exists and is offered for an environment type.
// An empty environment type offers all of them.
func (c *checker) computeType(path, size, environment string) {
	if size == "" {
		return
	}
	if !slices.Contains(compute.Types, size) {
		c.say(c.Spec.ProblemAt(path, false, ""), "unknown compute type "+size).Hint = diag.Choice(size, compute.Types)
		return
	}
	if sizes, ok := compute.Offered(environment, size); !ok {
		c.say(c.Spec.ProblemAt(path, false, ""), fmt.Sprintf("%s is not offered for %s", size, environment)).
			Hint = "use " + diag.Alternatives(sizes)
	}
}

// batchImage reports an unknown curated image.
func (c *checker) batchImage(path, image string) {
	// Other images may be in any registry, so nothing is known about them.
	if message, hint, unknown := unknownCurated(image); unknown {
		c.say(c.Spec.ProblemAt(path, false, ""), message).Hint = hint
	}
}

// maxBuilds is the default of a project's maximumBuildsAllowed in the AWS console. The
// builds of a graph or a list are written out one by one and are not counted; those of a
// matrix multiply.
const maxBuilds = 100

const tooManyHint = "reduce it to 100, or raise maximumBuildsAllowed in the project"

// batchSize reports a batch with too many builds, and a matrix that does not vary.
func (c *checker) batchSize() {
	b := c.Spec.Batch
	switch {
	case b == nil:
	case b.Matrix != nil && b.Matrix.Size() > maxBuilds:
		c.say(c.Spec.ProblemAt("batch.build-matrix", true, ""), fmt.Sprintf("the matrix has %d builds, "+
			"one for each combination", b.Matrix.Size())).Hint = tooManyHint
	case b.Matrix != nil:
		c.emptyAxes(b.Matrix)
	case b.Fanout != nil && b.Fanout.Parallelism > maxBuilds:
		c.say(c.Spec.ProblemAt("batch.build-fanout.parallelism", false, ""), fmt.Sprintf("parallelism is %d",
			b.Fanout.Parallelism)).Hint = tooManyHint
	}
}

// emptyAxes reports variables without values, and a matrix with a single build.
func (c *checker) emptyAxes(m *buildspec.Matrix) {
	for _, a := range m.Variables {
		if len(a.Values) == 0 {
			path := "batch.build-matrix.dynamic.env.variables." + a.Name
			c.say(c.Spec.ProblemAt(path, true, ""), a.Name+" has no values").Hint = "add a list of values"
		}
	}
	if m.Size() == 1 {
		c.say(c.Spec.ProblemAt("batch.build-matrix", true, ""),
			"the matrix has only one build").Hint = "add a list of several values to dynamic"
	}
}

// quotedVersion reports a version in quotes if there is a batch. Only a batch build reads it as
// a number (observed: "cannot unmarshal !!str into float64"); other builds accept both.
func (c *checker) quotedVersion() {
	spot := c.Spec.Place("version").Value
	if c.Spec.Batch == nil || spot.Line == 0 || spot.Plain || c.Spec.Version == "" {
		return
	}
	c.say(c.Spec.ProblemAt("version", false, ""), "the version is quoted, which makes a batch build fail").
		Hint = "write version: " + c.Spec.Version
}
