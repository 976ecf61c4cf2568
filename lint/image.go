package lint

import (
	"errors"
	"fmt"
	"strings"

	"github.com/buildlocal/buildlocal/buildspec"
	"github.com/buildlocal/buildlocal/internal/diag"
	"github.com/buildlocal/buildlocal/project"
	"github.com/buildlocal/buildlocal/runtimes"
)

var imageChecks = []check{
	{diag.Check{Name: "unknown-image", Severity: diag.Warning, Summary: "The image is called like one of the service's own, and is not known to be one."}, (*checker).unknownImage},
	{diag.Check{Name: "unknown-runtime", Severity: diag.Error, Softer: true, Summary: "The image does not have this runtime or this version; a warning where that is known from a table only."}, (*checker).unknownRuntimes},
	{diag.Check{Name: "ignored-runtimes", Severity: diag.Warning, Summary: "The image has no runtimes to choose from."}, (*checker).ignoredRuntimes},
	{diag.Check{Name: "deprecated-image", Severity: diag.Lint, Summary: "The service no longer updates the image."}, (*checker).deprecatedImage},
}

// unknownImage looks at the image of the build; those of a batch are looked at
// with its environments.
func (c *checker) unknownImage() {
	if way, wrong := unknownCurated(c.Image); wrong {
		c.say(diag.Problem{File: c.Spec.File}, way)
	}
}

// unknownCurated is for names and for versions that are not known.
func unknownCurated(image string) (way string, wrong bool) {
	if way, wrong = project.UnknownCurated(image); wrong || !strings.HasPrefix(image, "aws/codebuild/") {
		return way, wrong
	}
	name, _ := project.CuratedName(image)
	family, _, _ := strings.Cut(name, ":")
	versions := runtimes.CuratedVersions(family)
	if len(versions) == 0 || name == family || runtimes.Curated(name) != nil || name == "standard:1.0" {
		return "", false
	}
	return fmt.Sprintf("%s is not known: in %s there were the versions %s", image, runtimes.CuratedDate, strings.Join(versions, ", ")), true
}

// unknownRuntimes compares with what the image offers. Values with variables are
// known in the build only.
func (c *checker) unknownRuntimes() {
	install, _ := c.Spec.Phase("INSTALL")
	for _, v := range install.Runtimes {
		path := install.Path + ".runtime-versions." + v.Name
		if v.Value == "" {
			c.say(c.Spec.ProblemAt(path, true, ""), v.Name+" names no version; expected one the image has, or latest").Severity = diag.Warning
			continue
		}
		if expands().MatchString(v.Value) {
			continue
		}
		c.runtime(path, v)
	}
}

func (c *checker) runtime(path string, v buildspec.Variable) {
	if len(c.Runtimes) == 0 {
		if meant := diag.Suggest(v.Name, buildspec.Runtimes); meant != "" && meant != v.Name {
			p := c.say(c.Spec.ProblemAt(path, true, ""), fmt.Sprintf("no image is known to have a runtime %s; did you mean %q?", v.Name, meant))
			p.Severity = diag.Warning
		}
		return
	}
	err := c.Runtimes.Check(runtimes.Wish{Name: v.Name, Version: v.Value})
	var unknown *runtimes.Unknown
	if !errors.As(err, &unknown) {
		return
	}
	p := c.Spec.ProblemAt(path, unknown.Version == "", "")
	said := c.say(p, fmt.Sprintf("%s (%s)", unknown.Plain(), c.RuntimesFrom))
	said.Service = unknown.Message
	if !c.Exact {
		said.Severity = diag.Warning
	}
}

func (c *checker) ignoredRuntimes() {
	install, _ := c.Spec.Phase("INSTALL")
	if len(install.Runtimes) == 0 || !c.NoRuntimes {
		return
	}
	p := c.say(c.Spec.ProblemAt(install.Path+".runtime-versions", true, ""), fmt.Sprintf("the image %s has no runtimes to choose from, and runtime-versions is ignored; expected what it needs in commands, or a curated image", c.Image))
	p.Service = runtimes.NotSupported
}

// deprecatedImage looks at the image of the build and at those of a batch.
func (c *checker) deprecatedImage() {
	if warning := project.DeprecatedImage(c.Image); warning != "" {
		c.say(diag.Problem{File: c.Spec.File}, warning)
	}
	for _, t := range tasks(c.Spec.Batch) {
		if warning := project.DeprecatedImage(t.Env.Image); warning != "" {
			c.say(c.Spec.ProblemAt(t.Path+".env.image", false, ""), warning)
		}
	}
	if c.Spec.Batch == nil || c.Spec.Batch.Matrix == nil {
		return
	}
	for i, image := range c.Spec.Batch.Matrix.Images {
		if warning := project.DeprecatedImage(image); warning != "" {
			c.say(c.Spec.ProblemAt(fmt.Sprintf("batch.build-matrix.dynamic.env.image[%d]", i), false, ""), strings.TrimSpace(warning))
		}
	}
}
