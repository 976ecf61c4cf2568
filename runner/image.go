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

// found notes which image the build has, and tells where it is another one than the last
// time: a tag may be moved.
func (b *build) found(i engine.Image) {
	e := &b.record.Environment
	e.ImageID, e.ImageDigest, e.ImagePlatform, e.StandIn = i.ID, i.Digest, i.Platform, b.plan.StandIn
	b.image = i
	if b.LastImage == nil || b.plan.Digest != "" {
		return
	}
	last, build := b.LastImage(b.plan.Image)
	if last.ImageID == "" || last.ImageID == i.ID || last.StandIn != b.plan.StandIn || last.ImagePlatform != i.Platform {
		return
	}
	if _, before := b.told.LoadOrStore("drift", true); before {
		return
	}
	was, is := last.ImageID, i.ID
	if last.ImageDigest != "" && i.Digest != "" {
		was, is = last.ImageDigest, i.Digest
	}
	b.note("The image %s is another one than in build %s: %s, not %s. --image-digest %s would keep that one.", b.plan.Image, build, short(is), short(was), was)
}

// paceScript is work whose time is measured.
const paceScript = `i=0; while [ $i -lt 20000 ]; do i=$((i+1)); done`

// warnEmulated tells that an image runs emulated, and how much slower the same work is
// done there than here.
func (b *build) warnEmulated(ctx context.Context) error {
	if !b.image.Emulated {
		return nil
	}
	slower, here := "several times slower", time.Duration(0)
	if b.Pace != nil && b.image.Local {
		here = b.Pace(ctx, paceScript)
	}
	if here > 0 {
		began := b.Now()
		_, exit, err := b.sessions[""].Capture(ctx, paceScript)
		if err != nil {
			return err
		}
		if there := b.Now().Sub(began); exit == 0 && there > here {
			slower = fmt.Sprintf("about %s times slower in one short test", times(float64(there)/float64(here)))
		}
	}
	whose := "this machine"
	if !b.image.Local {
		whose = "the engine's machine"
	}
	b.note("The image is for %s and %s is %s: it runs emulated, %s.", b.image.Platform, whose, b.image.Native, slower)
	return nil
}

// times writes a factor with as many digits as it is worth.
func times(factor float64) string {
	const whole = 10
	if factor < whole {
		return fmt.Sprintf("%.1f", factor)
	}
	return fmt.Sprintf("%.0f", factor)
}

// short is a digest for a person.
func short(digest string) string {
	const length = len("sha256:") + 12
	return digest[:min(len(digest), length)]
}

// StandIn is an image that stands for others here.
type StandIn struct {
	Name  string // of the image, or a pattern: * is any text
	Image string
}

// standInFor returns the image that stands for another one: by its name, else by the
// first pattern that fits; "" for none.
func standInFor(image string, all []StandIn) string {
	for _, s := range all {
		if s.Name == image {
			return s.Image
		}
	}
	for _, s := range all {
		if fits(s.Name, image) {
			return s.Image
		}
	}
	return ""
}

// fits reports whether a name is as a pattern says.
func fits(pattern, name string) bool {
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

// waysOn says what to do about an image that nobody publishes.
func waysOn(image, published string, spec *buildspec.Buildspec) string {
	way, _ := project.Unpublished(image)
	if !strings.HasPrefix(image, "aws/codebuild/standard:") {
		return way
	}
	name, _ := project.CuratedName(image)
	if runtimes.Curated(name) == nil {
		return way + fmt.Sprintf(" In %s it had the versions %s.", runtimes.CuratedDate, strings.Join(runtimes.CuratedVersions("standard"), ", "))
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
	return fmt.Sprintf("%s\nOr run with -i %s, which is published and %s (by a table of %s). It is Amazon Linux and not Ubuntu: dnf in the place of apt-get, and sh is bash.\n"+
		"Or substitute your own image: --images %s=IMAGE, or images in .buildlocal.yml.", way, other, has, runtimes.CuratedDate, image)
}

// siblings are the other images of a family, the newest first.
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

// lacking returns what an image does not have, by the table.
func lacking(image string, wishes []buildspec.Variable) []string {
	name, _ := project.CuratedName(image)
	table := runtimes.Curated(name)
	return versions(slices.DeleteFunc(slices.Clone(wishes), func(v buildspec.Variable) bool {
		return table.Check(runtimes.Wish{Name: v.Name, Version: v.Value}) == nil
	}))
}

func versions(all []buildspec.Variable) []string {
	var texts []string
	for _, v := range all {
		texts = append(texts, v.Name+" "+v.Value)
	}
	return texts
}
