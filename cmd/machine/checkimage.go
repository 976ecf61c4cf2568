package machine

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"

	"github.com/buildlocal/buildlocal/engine"
	"github.com/buildlocal/buildlocal/engine/images"
	"github.com/buildlocal/buildlocal/engine/sandbox"
	"github.com/buildlocal/buildlocal/internal/human"
	"github.com/buildlocal/buildlocal/local"
	"github.com/buildlocal/buildlocal/project"
	"github.com/buildlocal/buildlocal/runner"
)

// checkImage looks for the image of the build, without pulling it, in the places where the
// build would look. An image that can be pulled is a warning: the build works, but its start
// takes longer and needs the network.
func checkImage(ctx context.Context, d *diagnosis) []finding {
	// The plan has the image after all rules: flag, project, substitute, curated name.
	p, err := d.plan()
	if err != nil || !d.flags.Engine.Kind.HasImages() {
		return nil
	}
	wanted, shown := p.Image, p.Image
	if p.StandIn != "" { // with --images
		wanted, shown = p.StandIn, p.StandIn+" (substitute for "+p.Image+")"
	}
	if local.IsLocalImage(wanted) {
		return []finding{checkImageFile(wanted, shown)}
	}
	// The store counts only if the build uses it: on request, or because Docker is not there.
	found, reachable := d.imageAtDocker(ctx, p, shown)
	if d.flags.Engine.Kind == local.EngineSandbox || !reachable {
		found = append(found, d.imageInStore(p, shown)...)
	}
	switch {
	case len(found) > 0:
		return found
	case p.NoImage != "": // no registry has it, as for the Ubuntu images of CodeBuild
		return []finding{failure("image", shown+" is not available locally", p.NoImage)}
	case !reachable && d.flags.Engine.Kind == local.EngineAuto && !d.inputs.NamesImage():
		return []finding{ok("image", "not set: builds run on this host's tools")}
	}
	// The fix is a command for another terminal: pulling may take minutes.
	f := finding{Check: "image", Verdict: verdictInfo,
		Message: shown + " is not available locally; the first build pulls it", Fix: "buildlocal image pull " + wanted}
	if d.flags.Engine.Kind == local.EngineSandbox {
		f.Fix += " --engine sandbox"
	}
	if text := project.DeprecatedImage(p.Image); text != "" {
		f.Notes = append(f.Notes, text)
	}
	return []finding{f}
}

// checkImageFile checks that the file of an oci: or tar: image exists. The name is
// KIND:FILE[:NAME].
func checkImageFile(image, shown string) finding {
	kind, file, _ := strings.Cut(image, ":")
	file, _, _ = strings.Cut(file, ":")
	if _, err := os.Stat(file); err != nil {
		return failure("image", err.Error(), "Check the path after "+kind+":")
	}
	return ok("image", shown+" exists")
}

// imageAtDocker looks for the image at the Docker engine, and reports whether the engine
// can be reached. It is not asked for a build in the sandbox. Errors other than a wrong
// architecture mean that the image is not there; checkEngines reports those of the engine.
func (d *diagnosis) imageAtDocker(ctx context.Context, p *runner.Plan, shown string) (found []finding, reachable bool) {
	e, err := d.app.Docker(ctx)
	if err != nil {
		return nil, false
	}
	defer e.Close()
	if d.flags.Engine.Kind == local.EngineSandbox {
		return nil, true
	}
	ref := engine.ImageRef{Alias: p.Alias, Names: p.Images, Platform: p.Platform, Pull: engine.PullNever}
	got, err := e.Need(ctx, engine.Spec{Name: "doctor", Image: ref})
	var fault *engine.Fault
	switch {
	case err == nil:
		message := fmt.Sprintf("%s is at the Docker engine, %s, %s", shown, got.Platform, human.Bytes(got.Size))
		return []finding{ok("image", message)}, true
	case errors.As(err, &fault) && fault.Kind == engine.WrongArch:
		return []finding{failed("image", verdictFail, err)}, true
	}
	return nil, true
}

// imageInStore looks for the image in the store of the sandbox engine.
func (d *diagnosis) imageInStore(p *runner.Plan, shown string) []finding {
	all, _, err := d.app.Sandbox(sandbox.Images).Images()
	at := slices.IndexFunc(all, func(i images.Named) bool {
		return slices.ContainsFunc(p.Images, func(name string) bool { return i.Name == name || i.Name == name+":latest" })
	})
	if err != nil || at < 0 {
		return nil
	}
	return []finding{ok("image", fmt.Sprintf("%s is in the sandbox store, %s", shown, human.Bytes(all[at].Size)))}
}
