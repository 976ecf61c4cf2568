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
	{diag.Check{Name: "unknown-image", Severity: diag.Warning,
		Summary: "The image has a name of CodeBuild's curated images, but is not known to be one."}, (*checker).unknownImage},
	{diag.Check{Name: "unknown-runtime", Severity: diag.Error, Softer: true,
		Summary: "The image does not have this runtime or version. It is a warning if this is known only from a table."},
		(*checker).unknownRuntimes},
	{diag.Check{Name: "ignored-runtimes", Severity: diag.Warning,
		Summary: "The image does not support runtime-versions."}, (*checker).ignoredRuntimes},
	{diag.Check{Name: "deprecated-image", Severity: diag.Lint,
		Summary: "CodeBuild no longer updates the image."}, (*checker).deprecatedImage},
}

// unknownImage checks the image of the build. Those of a batch are checked with their
// environments.
func (c *checker) unknownImage() {
	if message, hint, unknown := unknownCurated(c.Image); unknown {
		c.say(diag.Problem{File: c.Spec.File}, message).Hint = hint
	}
}

// unknownCurated returns a message and a hint if an image is named like a curated one but its name or
// version is unknown.
func unknownCurated(image string) (message, hint string, unknown bool) {
	if message, hint, unknown = project.UnknownCurated(image); unknown || !strings.HasPrefix(image, "aws/codebuild/") {
		return message, hint, unknown
	}
	// The remaining images have a known family, and possibly an unknown version.
	name, _ := project.CuratedName(image)
	family, _, _ := strings.Cut(name, ":")
	versions := runtimes.CuratedVersions(family)
	// A tag such as latest, or none, is not a version. standard:1.0 existed, and its Dockerfile is the
	// only trace.
	if len(versions) == 0 || name == family || runtimes.Curated(name) != nil || name == "standard:1.0" {
		return "", "", false
	}
	hint = fmt.Sprintf("the versions known as of %s are %s", runtimes.CuratedDate, strings.Join(versions, ", "))
	return "unknown image " + image, hint, true
}

// unknownRuntimes compares runtime-versions with the runtimes of the image. Values with
// variables are known during the build only and are skipped.
func (c *checker) unknownRuntimes() {
	install, _ := c.Spec.Phase("INSTALL")
	for _, v := range install.Runtimes {
		path := install.Path + ".runtime-versions." + v.Name
		if v.Value == "" {
			said := c.say(c.Spec.ProblemAt(path, true, ""), v.Name+" has no version")
			said.Severity, said.Hint = diag.Warning, "add one that the image provides, or latest"
			continue
		}
		if expands().MatchString(v.Value) {
			continue
		}
		c.runtime(path, v)
	}
}

// runtime checks one runtime. If the runtimes of the image are unknown, only the name is
// checked, against those of all curated images.
func (c *checker) runtime(path string, v buildspec.Variable) {
	if len(c.Runtimes) == 0 {
		if meant := diag.Suggest(v.Name, buildspec.Runtimes); meant != "" && meant != v.Name {
			p := c.say(c.Spec.ProblemAt(path, true, ""), "no curated image has a runtime "+v.Name)
			p.Severity, p.Hint = diag.Warning, fmt.Sprintf("did you mean %q?", meant)
		}
		return
	}
	err := c.Runtimes.Check(runtimes.Wish{Name: v.Name, Version: v.Value})
	var unknown *runtimes.Unknown
	if !errors.As(err, &unknown) {
		return
	}
	p := c.Spec.ProblemAt(path, unknown.Version == "", "")
	message, hint := unknown.Plain()
	said := c.say(p, fmt.Sprintf("%s (%s)", message, c.RuntimesFrom))
	said.Service, said.Hint = unknown.Message, hint
	// A table in this program may be older than the image.
	if !c.Exact {
		said.Severity = diag.Warning
	}
}

// ignoredRuntimes reports runtime-versions for an image that has none. CodeBuild prints a
// warning of its own (observed), which is the problem's Service.
func (c *checker) ignoredRuntimes() {
	install, _ := c.Spec.Phase("INSTALL")
	if len(install.Runtimes) == 0 || !c.NoRuntimes {
		return
	}
	p := c.say(c.Spec.ProblemAt(install.Path+".runtime-versions", true, ""), fmt.Sprintf("runtime-versions is ignored, "+
		"because image %s does not support it", c.Image))
	p.Service, p.Hint = runtimes.NotSupported, "install the runtimes with commands, or use a curated image"
}

// deprecatedImage checks the image of the build and those of a batch.
func (c *checker) deprecatedImage() {
	// Each image is checked by its configured name, whatever image the build uses in its place.
	deprecated := func(image string, p diag.Problem) {
		if message, hint := project.Deprecation(image); message != "" {
			c.say(p, message).Hint = hint
		}
	}
	deprecated(c.Image, diag.Problem{File: c.Spec.File})
	for _, t := range tasks(c.Spec.Batch) {
		deprecated(t.Env.Image, c.Spec.ProblemAt(t.Path+".env.image", false, ""))
	}
	if c.Spec.Batch == nil || c.Spec.Batch.Matrix == nil {
		return
	}
	for i, image := range c.Spec.Batch.Matrix.Images {
		deprecated(image, c.Spec.ProblemAt(fmt.Sprintf("batch.build-matrix.dynamic.env.image[%d]", i), false, ""))
	}
}
