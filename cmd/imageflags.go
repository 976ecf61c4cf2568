package cmd

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
	"sync"

	"github.com/buildlocal/buildlocal/compute"
	"github.com/buildlocal/buildlocal/project"
	"github.com/buildlocal/buildlocal/runner"
)

// standIns are the images that stand for others.
func (f *runFlags) standIns() []runner.StandIn {
	var all []runner.StandIn
	for _, text := range f.standIn {
		name, image, _ := strings.Cut(text, "=")
		name = project.Curated(name)
		all = append(all, runner.StandIn{Name: name, Image: image})
	}
	return all
}

// digestForm is how an image's digest, or its ID, is written.
var digestForm = sync.OnceValue(func() *regexp.Regexp {
	return regexp.MustCompile(`^sha256:[0-9a-f]{64}$`)
})

// wrongImages refuses what is no digest, and what names no image.
func (f *runFlags) wrongImages() error {
	var errs []error
	f.image = project.Curated(f.image)
	if f.imageDigest != "" && !digestForm().MatchString(f.imageDigest) {
		errs = append(errs, f.wrong("image-digest", fmt.Sprintf("invalid value %q; expected sha256: and 64 hexadecimal digits, as buildlocal image ls --full shows", f.imageDigest)))
	}
	for _, text := range f.standIn {
		if name, image, _ := strings.Cut(text, "="); name == "" || image == "" {
			errs = append(errs, f.wrong("images", fmt.Sprintf("invalid value %q; expected NAME=IMAGE, such as aws/codebuild/standard:*=my/standard, or in %s a mapping of them", strings.TrimSuffix(text, "="), configFile)))
		}
	}
	return joined(errs)
}

// wrongComputeType refuses one that is not known, or that says no size.
func (f *runFlags) wrongComputeType() error {
	if f.computeType == "" {
		return nil
	}
	f.computeType = strings.ToUpper(f.computeType)
	if short := "BUILD_GENERAL1_" + f.computeType; slices.Contains(compute.Types, short) {
		f.computeType = short
	}
	known := slices.DeleteFunc(slices.Clone(compute.Types), func(t string) bool { return compute.Size("", t) == compute.Machine{} })
	return f.oneOf("compute-type", f.computeType, known...)
}
