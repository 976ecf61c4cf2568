package runner

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/buildlocal/buildlocal/buildspec"
	"github.com/buildlocal/buildlocal/engine"
	"github.com/buildlocal/buildlocal/project"
	"github.com/buildlocal/buildlocal/runtimes"
)

// imageCheck reports facts about the image that the build runs in.
type imageCheck struct {
	*Runner
	plan  *Plan
	rec   *recorder
	image engine.Image // the zero value if the engine has not reported it
}

// onImage records the image, and notes if a tag points to another image than in the last
// build. The engine calls it during Start.
func (c *imageCheck) onImage(i engine.Image) {
	c.image = i
	c.rec.update(func(r *Record) {
		e := &r.Environment
		e.ImageID, e.ImageDigest, e.ImagePlatform, e.StandIn = i.ID, i.Digest, i.Platform, c.plan.StandIn
	})
	if c.LastImage == nil || c.plan.Digest != "" {
		return
	}
	last, build := c.LastImage(c.plan.Image)
	same := last.StandIn == c.plan.StandIn && last.ImagePlatform == i.Platform
	if last.ImageID == "" || last.ImageID == i.ID || !same {
		return
	}
	was, is := last.ImageID, i.ID
	if last.ImageDigest != "" && i.Digest != "" {
		was, is = last.ImageDigest, i.Digest
	}
	// Once: provision may start the container again without mounts.
	c.rec.noteOnce("The image %s has changed since build %s: %s, not %s. Use --image-digest %s to keep the previous one.",
		c.plan.Image, build, short(is), short(was), was)
}

// paceScript is a computation whose duration is measured.
const paceScript = `i=0; while [ $i -lt 20000 ]; do i=$((i+1)); done`

// reportEmulation notes that an image runs emulated. If the engine is on the host, it
// measures how much slower the same computation is in the container.
func (c *imageCheck) reportEmulation(ctx context.Context, shells *shellState) error {
	if !c.image.Emulated {
		return nil
	}
	slower, onHost := "several times slower", time.Duration(0)
	if c.Pace != nil && c.image.Local {
		onHost = c.Pace(ctx, paceScript)
	}
	if onHost > 0 {
		began := c.Now()
		_, exit, err := shells.capture(ctx, paceScript)
		if err != nil {
			return err
		}
		if emulated := c.Now().Sub(began); exit == 0 && emulated > onHost {
			factor := formatFactor(float64(emulated) / float64(onHost))
			slower = fmt.Sprintf("about %s times slower in one short test", factor)
		}
	}
	machine := "this host"
	if !c.image.Local {
		machine = "the engine's machine"
	}
	c.rec.note("The image is for %s and %s is %s: it runs emulated, %s.",
		c.image.Platform, machine, c.image.Native, slower)
	return nil
}

// formatFactor formats a measured factor with two significant digits.
func formatFactor(factor float64) string {
	const whole = 10
	if factor < whole {
		return fmt.Sprintf("%.1f", factor)
	}
	return fmt.Sprintf("%.0f", factor)
}

// short returns the beginning of a digest, as Docker shows it.
func short(digest string) string {
	const length = len("sha256:") + 12
	return digest[:min(len(digest), length)]
}

// StandIn is a local substitute for images.
type StandIn struct {
	Name  string // of the replaced image, or a pattern in which * matches any text
	Image string // the substitute
}

// standInFor returns the substitute for an image, or "". An exact name wins over the first
// matching pattern.
func standInFor(image string, all []StandIn) string {
	for _, s := range all {
		if s.Name == image {
			return s.Image
		}
	}
	for _, s := range all {
		if matchName(s.Name, image) {
			return s.Image
		}
	}
	return ""
}

// matchName reports whether a name matches a pattern.
func matchName(pattern, name string) bool {
	parts := strings.Split(pattern, "*")
	rest, begins := strings.CutPrefix(name, parts[0])
	last := parts[len(parts)-1]
	if !begins || len(parts) == 1 || len(rest) < len(last) {
		return begins && len(parts) == 1 && rest == ""
	}
	for _, part := range parts[1 : len(parts)-1] {
		at := strings.Index(rest, part)
		if at < 0 {
			return false
		}
		rest = rest[at+len(part):]
	}
	return strings.HasSuffix(rest, last)
}

// unpublishedHint returns the next steps for an image that no registry has. For a standard
// image it suggests the published image that lacks the fewest of the buildspec's runtimes.
func unpublishedHint(image, published string, spec *buildspec.Buildspec) string {
	hint, _ := project.Unpublished(image)
	if !strings.HasPrefix(image, "aws/codebuild/standard:") {
		return hint
	}
	name, _ := project.CuratedName(image)
	if runtimes.Curated(name) == nil {
		known := strings.Join(runtimes.CuratedVersions("standard"), ", ")
		return hint + fmt.Sprintf(" In %s it had the versions %s.", runtimes.CuratedDate, known)
	}
	install, _ := spec.Phase("INSTALL")
	other, missing := published, versions(install.Runtimes)
	for _, candidate := range append([]string{published}, siblings(published)...) {
		if lacks := lacking(candidate, install.Runtimes); len(lacks) < len(missing) || len(lacks) == 0 {
			other, missing = candidate, lacks
		}
		if len(missing) == 0 {
			break
		}
	}
	has := "has what runtime-versions asks for"
	switch {
	case len(install.Runtimes) == 0:
		has = "has the same runtimes, or later ones"
	case len(missing) > 0:
		has = "has no " + strings.Join(missing, ", ")
	}
	return fmt.Sprintf("%s\nOr run with -i %s, which is published and %s (by a table of %s). "+
		"It is Amazon Linux and not Ubuntu: dnf in the place of apt-get, and sh is bash.\n"+
		"Or substitute your own image: --images %s=IMAGE, or images in .buildlocal.yml.",
		hint, other, has, runtimes.CuratedDate, image)
}

// siblings returns all images of an image's family, newest first.
func siblings(image string) []string {
	name, _ := project.CuratedName(image)
	family, _, _ := strings.Cut(name, ":")
	all := runtimes.CuratedVersions(family)
	for i, version := range all {
		all[i] = "aws/codebuild/" + family + ":" + strings.TrimPrefix(version, family+":")
	}
	slices.Reverse(all)
	return all
}

// lacking returns the runtimes that an image does not have, by the table of curated images.
func lacking(image string, wishes []buildspec.Variable) []string {
	name, _ := project.CuratedName(image)
	table := runtimes.Curated(name)
	return versions(slices.DeleteFunc(slices.Clone(wishes), func(v buildspec.Variable) bool {
		return table.Check(runtimes.Wish{Name: v.Name, Version: v.Value}) == nil
	}))
}

// versions formats runtimes with their versions.
func versions(all []buildspec.Variable) []string {
	var texts []string
	for _, v := range all {
		texts = append(texts, v.Name+" "+v.Value)
	}
	return texts
}
