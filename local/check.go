package local

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/buildlocal/buildlocal/buildspec"
	"github.com/buildlocal/buildlocal/internal/atomicfile"
	"github.com/buildlocal/buildlocal/internal/diag"
	"github.com/buildlocal/buildlocal/internal/regular"
	"github.com/buildlocal/buildlocal/lint"
	"github.com/buildlocal/buildlocal/project"
	"github.com/buildlocal/buildlocal/runner"
	"github.com/buildlocal/buildlocal/runtimes"
)

// Against is everything that a buildspec is checked against. Builds, the command validate and the
// language server get it from the same function, so that they report the same problems.
type Against struct {
	Project     *project.Project // nil if not known
	ProjectFile string
	Image       string // as configured; "" if not known
	Privileged  bool
	Variables   []string    // names that the request sets
	Root        string      // directory of the source; "" if not known
	Ignore      []string    // names of checks
	Inspect     bool        // Docker may be asked for the runtimes of the image
	Known       *lint.Input // the runtimes of the image, if they are known already
}

// Against returns what the buildspecs of a request are checked against. It reads the environment
// files of the request.
func (h *Host) Against(ctx context.Context, r *Request, p *project.Project) (Against, diag.List, error) {
	overrides, problems, err := h.readVariables(ctx, r)
	return r.against(p, overrides), problems, err
}

// against is Against with the variables of the request.
func (r *Request) against(p *project.Project, overrides []runner.Override) Against {
	in := Against{
		Image: cmp.Or(r.Image.Name, p.Environment.Image), Ignore: r.Checks.Ignore,
		Privileged: r.Engine.Privileged || r.Engine.Docker == "socket",
	}
	for _, o := range overrides {
		for _, v := range o.Variables {
			in.Variables = append(in.Variables, v.Name)
		}
	}
	if r.Source.Project != "" { // without a document nothing is known about the project
		in.Project, in.ProjectFile = p, r.Source.Project
	}
	return in
}

// maxLinted is the largest file of the source that is checked, and maxRuntimes the
// largest runtimes.yml of an image, in bytes.
const (
	maxLinted   = 16 << 20
	maxRuntimes = 4 << 20
)

// Check returns all problems of a parsed buildspec, including those found by the parser.
func (h *Host) Check(ctx context.Context, spec *buildspec.Buildspec, found diag.List, in Against) diag.List {
	return lint.Check(h.lintInput(ctx, spec, in), found, in.Ignore)
}

// lintInput returns the facts that a buildspec is checked against.
func (h *Host) lintInput(ctx context.Context, spec *buildspec.Buildspec, in Against) lint.Input {
	input := lint.Input{
		Spec: spec, Project: in.Project, ProjectFile: in.ProjectFile, Image: in.Image, Variables: in.Variables,
		Privileged:     in.Privileged || in.Project != nil && in.Project.Environment.Privileged,
		ExecBits:       runtime.GOOS != "windows",
		ImageVariables: sync.OnceValue(func() []string { return h.imageVariables(ctx, in.Image) }),
	}
	if in.Root != "" {
		input.Source = regular.FS(in.Root, maxLinted)
	}
	// Only checks of runtime-versions need the runtimes of the image.
	if install, _ := spec.Phase("INSTALL"); len(install.Runtimes) > 0 && in.Known == nil {
		h.Offers(ctx, &input, in.Inspect)
	}
	if k := in.Known; k != nil {
		input.Runtimes, input.RuntimesFrom, input.Exact, input.NoRuntimes = k.Runtimes, k.RuntimesFrom, k.Exact, k.NoRuntimes
	}
	return input
}

// Offers finds out which runtimes the image of input has. They are read from the image
// if it is at the Docker engine and inspect is set, else taken from a table.
func (h *Host) Offers(ctx context.Context, input *lint.Input, inspect bool) {
	image := input.Image
	if image == "" {
		input.Runtimes = runtimes.AllCurated()
		input.RuntimesFrom = "no image is named: the curated images of " + runtimes.CuratedDate + " together"
		return
	}
	if inspect {
		text, here, err := h.ImageRuntimes(ctx, image)
		switch {
		case err != nil || !here:
		case text == nil:
			input.NoRuntimes = true
			return
		default:
			if table, err := runtimes.Read(text); err == nil {
				input.Runtimes, input.RuntimesFrom, input.Exact = table, "by "+runtimes.Path+" of the image "+image, true
				return
			}
		}
	}
	// Nothing is known of other images, so their runtimes are not checked.
	if name, curated := project.CuratedName(image); curated {
		input.Runtimes = runtimes.Curated(name)
		input.RuntimesFrom = fmt.Sprintf("by a table of %s; %s is not available here", runtimes.CuratedDate, image)
	}
}

// imageVariables returns the names of the variables that an image sets, as far as the Docker
// engine has it.
func (h *Host) imageVariables(ctx context.Context, image string) []string {
	if image == "" || IsLocalImage(image) {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, maxInspectTime)
	defer cancel()
	e, err := h.Docker(ctx)
	if err != nil {
		return nil
	}
	defer e.Close()
	id, err := e.ImageID(ctx, project.ImageCandidates(image))
	if err != nil || id == "" {
		return nil
	}
	env, _, err := e.ImageEnv(ctx, id)
	if err != nil {
		return nil
	}
	names := make([]string, len(env))
	for i, v := range env {
		names[i], _, _ = strings.Cut(v, "=")
	}
	return names
}

// maxInspectTime is how long an engine may take to return the runtimes of an image.
const maxInspectTime = 5 * time.Second

// ImageRuntimes returns the runtimes.yml of an image, or nil if it has no such file.
// Here is false if the Docker engine does not have the image. The file is kept in the
// user's cache, by the ID of the image.
func (h *Host) ImageRuntimes(ctx context.Context, image string) (text []byte, here bool, err error) {
	ctx, cancel := context.WithTimeout(ctx, maxInspectTime)
	defer cancel()
	e, err := h.Docker(ctx)
	if err != nil {
		return nil, false, err
	}
	defer e.Close()
	id, err := e.ImageID(ctx, project.ImageCandidates(image))
	if err != nil || id == "" {
		return nil, false, err
	}
	// The content of an image with this ID cannot change. An empty file means that the image
	// has no runtimes.yml.
	file := h.runtimesFile(id)
	if text, err := regular.Read(file, maxRuntimes); err == nil {
		return nilIfEmpty(text), true, nil
	}
	// A file can be read only from a container, which is labelled for prune.
	run, err := h.Runs().New(h.PID)
	if err != nil {
		return nil, false, err
	}
	defer run.Remove()
	text, err = e.ReadImageFile(ctx, id, runtimes.Path, map[string]string{
		LabelBuild: "look-into-image", LabelHost: h.Hostname, LabelUser: strconv.Itoa(h.UID), LabelTemp: run.Path,
		LabelStarted: h.Now().UTC().Format(time.RFC3339),
	})
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, false, err
	}
	if file != "" {
		_ = atomicfile.Write(file, text, 0o644) // if that fails, the image is read again
	}
	return nilIfEmpty(text), true, nil
}

func (h *Host) runtimesFile(id string) string {
	return h.CacheFile("runtimes", strings.TrimPrefix(id, "sha256:")+".yml")
}

func nilIfEmpty(text []byte) []byte {
	if len(text) == 0 {
		return nil
	}
	return text
}

// KnownRuntimes returns the runtimes of an image that was inspected before, by its ID,
// and whether it was.
func (h *Host) KnownRuntimes(id string) (map[string][]string, bool) {
	text, err := regular.Read(h.runtimesFile(id), maxRuntimes)
	if err != nil {
		return nil, false
	}
	return RuntimeVersions(text), true
}

// RuntimeVersions returns the versions of each runtime in a runtimes.yml.
func RuntimeVersions(text []byte) map[string][]string {
	table, err := runtimes.Read(text)
	if err != nil || len(text) == 0 {
		return nil
	}
	all := map[string][]string{}
	for name, r := range table {
		all[name] = r.Keys()
	}
	return all
}
