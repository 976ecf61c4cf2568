package local

import (
	"context"
	"errors"
	"path/filepath"
	"strconv"

	"github.com/buildlocal/buildlocal/engine"
	"github.com/buildlocal/buildlocal/engine/docker"
	"github.com/buildlocal/buildlocal/engine/sandbox"
	"github.com/buildlocal/buildlocal/internal/rundir"
)

// Labels of every resource that an engine creates for a build.
const (
	LabelBuild   = "dev.buildlocal.build"  // name of the build
	LabelSource  = "dev.buildlocal.source" // directory of the source
	LabelHost    = "dev.buildlocal.host"   // hostname of the machine that runs buildlocal
	LabelUser    = "dev.buildlocal.user"   // ID of the user who runs it
	LabelTemp    = "dev.buildlocal.temp"   // directory of the run
	LabelStarted = "dev.buildlocal.started"
	LabelKept    = "dev.buildlocal.kept" // set if the user asked to keep it
)

// Kinds of resources that builds run in.
const (
	kindContainer = "container"
	kindSandbox   = "sandbox"
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

// State describes the resource in a word.
func (r Resource) State() string {
	switch {
	case !r.Ours:
		return "another's"
	case r.Alive:
		return "running"
	case r.Labels[LabelKept] != "":
		return "kept"
	}
	return "left"
}

// Resources lists the resources of all builds. The Docker engine is nil if it cannot be
// reached and the user did not name one; else the caller closes it. With an error, the
// sandboxes are returned.
func (h *Host) Resources(ctx context.Context) (*docker.Engine, []Resource, error) {
	all := h.sandboxes()
	e, err := h.Docker(ctx)
	var fault *engine.Fault
	named := h.Env("DOCKER_HOST") != "" || h.Env("DOCKER_CONTEXT") != ""
	if errors.As(err, &fault) && !named && (fault.Kind == engine.NoEngine || fault.Kind == engine.NoPermission) {
		why := "Cannot connect to Docker"
		if fault.Kind == engine.NoPermission {
			why = "Permission denied on the Docker socket"
		}
		h.Warnf("%s; showing builds without Docker only.", why)
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

// Prune removes the resources of builds that have ended, and calls removed for each. Kept
// containers are removed too. Builds that run and builds of others are not affected.
func (h *Host) Prune(ctx context.Context, removed func(kind, name string)) error {
	e, all, err := h.Resources(ctx)
	if err != nil {
		return errors.Join(err, h.pruneRuns(ctx, "", removed))
	}
	if e == nil {
		return h.pruneRuns(ctx, "", removed)
	}
	defer e.Close()
	var errs []error
	for _, r := range all { // containers come before the volumes that they use
		if r.Alive || !r.Ours || r.Kind == kindSandbox {
			continue
		}
		if err := e.Remove(ctx, r.Resource); err != nil {
			errs = append(errs, err)
			continue
		}
		removed(r.Kind, r.Name)
	}
	return errors.Join(append(errs, h.pruneRuns(ctx, e.Host(), removed))...)
}

// pruneRuns removes the directories of runs that have ended. Directories that a kept
// container needs stay, except those of the engine that was just pruned.
func (h *Host) pruneRuns(ctx context.Context, engine string, removed func(kind, name string)) error {
	e := h.Sandbox(sandbox.Images)
	// Control groups of killed sandboxes first: the directories show which runs are alive.
	e.Sweep(func(temp string) bool {
		_, alive := rundir.Alive(temp)
		return alive
	})
	var errs []error
	for _, dir := range h.Runs().All() {
		gone, err := rundir.Retire(dir, engine)
		if err == nil && gone != "" {
			// The sandbox also unmounts, and removes files of subordinate IDs.
			err = e.Discard(ctx, gone)
		}
		if err == nil && gone != "" {
			removed("directory", dir)
		}
		errs = append(errs, err)
	}
	h.Runs().RemoveIfEmpty()
	return errors.Join(errs...)
}
