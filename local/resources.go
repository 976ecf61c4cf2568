package local

import (
	"cmp"
	"context"
	"errors"
	"path/filepath"
	"strconv"
	"time"

	"github.com/buildlocal/buildlocal/builds"
	"github.com/buildlocal/buildlocal/console"
	"github.com/buildlocal/buildlocal/engine"
	"github.com/buildlocal/buildlocal/engine/docker"
	"github.com/buildlocal/buildlocal/internal/rundir"
)

// Labels of every resource that an engine creates for a build.
const (
	LabelBuild   = "dev.buildlocal.build"  // name of the build
	LabelSource  = "dev.buildlocal.source" // directory of the source
	LabelHost    = "dev.buildlocal.host"   // hostname of the host that runs buildlocal
	LabelUser    = "dev.buildlocal.user"   // ID of the user who runs it
	LabelTemp    = "dev.buildlocal.temp"   // directory of the run
	LabelStarted = "dev.buildlocal.started"
	LabelKept    = "dev.buildlocal.kept"    // set if the user asked to keep it
	LabelProject = "dev.buildlocal.project" // name of the project
	LabelOutput  = "dev.buildlocal.output"  // directory of the build's results
)

// Kinds of resources that builds run in.
const (
	kindContainer = "container"
	kindSandbox   = "sandbox"
	kindImage     = "image"
)

// Resource is something that a build uses or left, such as a container.
type Resource struct {
	engine.Resource
	PID   int  // of the process that runs the build
	Alive bool // the build is running
	Ours  bool // made on this host by this user, or the user is root; else PID and Alive are unknown
}

// RunsBuild reports whether a build runs in the resource.
func (r Resource) RunsBuild() bool {
	return r.Kind == kindContainer && r.Labels[docker.InsideLabel] == "" || r.Kind == kindSandbox
}

// Project returns the name of the build's project. Without a label it is the name of the
// source's directory, as for most builds.
func (r Resource) Project() string {
	return cmp.Or(r.Labels[LabelProject], filepath.Base(r.Labels[LabelSource]))
}

// Started returns the time at which the build began; zero if it is not known. A label may have
// any text, because other programs can set it too.
func (r Resource) Started() time.Time {
	t, err := time.Parse(time.RFC3339, r.Labels[LabelStarted])
	if err != nil {
		return time.Time{}
	}
	return t
}

// Place returns where the build is; zero if that is not known.
func (r Resource) Place() console.Whereabouts {
	dir := r.Labels[LabelOutput]
	if dir == "" || !r.Ours {
		return console.Whereabouts{}
	}
	journal, err := builds.Build{Path: dir}.OpenJournal()
	if err != nil {
		return console.Whereabouts{}
	}
	defer journal.Close()
	return console.PlaceIn(journal)
}

// States of a resource.
const (
	StateForeign = "another's" // of another user or machine
	StateRunning = "running"
	StateKept    = "kept"
	StateFailed  = "failed" // the build can go on at its failed command
	StateKilled  = "killed" // the process ended without removing it
)

// State describes the resource in a word.
func (r Resource) State() string {
	switch {
	case !r.Ours:
		return StateForeign
	case r.Alive:
		return StateRunning
	case r.Labels[LabelKept] != "":
		return StateKept
	case isFailed(r.Labels[LabelTemp]):
		return StateFailed
	}
	return StateKilled
}

// Resources lists the resources of all builds. The Docker engine is nil if it cannot be
// reached and the user did not name one; else the caller closes it. With an error, the
// sandboxes are returned.
func (h *Host) Resources(ctx context.Context) (*docker.Engine, []Resource, error) {
	all := h.sandboxes()
	e, err := h.Docker(ctx)
	var fault *engine.Fault
	named := docker.IsConfigured(h.DockerOptions())
	if errors.As(err, &fault) && !named && (fault.Kind == engine.NoEngine || fault.Kind == engine.NoPermission) {
		why := "cannot connect to Docker"
		if fault.Kind == engine.NoPermission {
			why = "permission denied on the Docker socket"
		}
		h.Warnf("warning: %s: showing builds without Docker only", why)
		return nil, all, nil
	}
	if err != nil {
		return nil, all, err
	}
	found, err := e.List(ctx, LabelBuild)
	if err != nil {
		return nil, all, errors.Join(err, e.Close())
	}
	for _, f := range found {
		if dir := f.Labels[LabelSnapshot]; f.Kind == kindImage && dir != "" && isSnapshot(dir) {
			continue // it is a build's only if the rest of the snapshot is gone
		}
		ours := f.Labels[LabelHost] == h.Hostname && (h.UID == 0 || f.Labels[LabelUser] == strconv.Itoa(h.UID))
		r := Resource{Resource: f, Ours: ours}
		r.PID, r.Alive = rundir.Alive(f.Labels[LabelTemp])
		all = append(all, r)
	}
	keepUnfinished(all)
	return e, all, nil
}

// keepUnfinished marks resources that have only some of their labels as alive if their
// build is. The classic image builder of Docker adds labels one by one, each in a
// container and an image of its own.
func keepUnfinished(all []Resource) {
	alive := map[string]bool{}
	for _, r := range all {
		if r.Alive {
			alive[r.Labels[LabelBuild]] = true
		}
	}
	for i := range all {
		if r := &all[i]; r.Labels[LabelTemp] == "" {
			r.Alive = r.Alive || alive[r.Labels[LabelBuild]]
		}
	}
}

// sandboxes returns the sandboxes of this user's runs. A run that was killed left its
// directory.
func (h *Host) sandboxes() []Resource {
	var all []Resource
	for _, dir := range h.Runs().Runs() {
		labels, described := rundir.Labels(dir)
		if !described {
			continue
		}
		r := Resource{
			Resource: engine.Resource{Kind: kindSandbox, ID: dir, Name: filepath.Base(dir), Labels: labels},
			Ours:     true,
		}
		r.PID, r.Alive = rundir.Alive(dir)
		all = append(all, r)
	}
	return all
}
