package local

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/buildlocal/buildlocal/engine/docker"
	"github.com/buildlocal/buildlocal/engine/sandbox"
	"github.com/buildlocal/buildlocal/internal/human"
	"github.com/buildlocal/buildlocal/internal/rundir"
)

// Leftover is everything that a build which has ended left on this machine.
type Leftover struct {
	Build   string // name; "" for directories whose build is not known
	Project string
	Source  string
	Kept    bool      // the user asked to keep it, or can continue the build
	Failed  bool      // it is the state of a failed build, with which debug goes on
	Started time.Time // zero if it is not known
	Kinds   []string  // of the resources, such as container, in their order
	Size    *int64    // bytes that removing it frees; nil if it is not known, see Measure

	resources []Resource
	dirs      []string // of the run
}

// Contents describes the resources: "container, 3 volumes".
func (l Leftover) Contents() string {
	var parts, seen []string
	for _, kind := range l.Kinds {
		if slices.Contains(seen, kind) {
			continue
		}
		seen = append(seen, kind)
		n := 0
		for _, other := range l.Kinds {
			if other == kind {
				n++
			}
		}
		if n == 1 {
			parts = append(parts, kind)
			continue
		}
		noun := kind
		if kind == kindDirectory {
			noun = "directorie"
		}
		parts = append(parts, human.Count(n, noun))
	}
	return strings.Join(parts, ", ")
}

// kindDirectory is the kind of a run's directory.
const kindDirectory = "directory"

// Cleaner removes leftovers.
type Cleaner struct {
	All     []Leftover
	Running []Resource // the builds that run

	host   *Host
	docker *docker.Engine // nil if it cannot be reached
}

// NewCleaner finds everything that builds of this user left. With an error, that of the Docker
// engine is missing. The cleaner must be closed.
func (h *Host) NewCleaner(ctx context.Context) (*Cleaner, error) {
	e, all, err := h.Resources(ctx)
	c := &Cleaner{host: h, docker: e}
	ofBuild := map[string]int{}
	owner := map[string]int{} // index in All by the directory of the run
	for _, r := range all {
		if r.Alive && r.RunsBuild() {
			c.Running = append(c.Running, r)
		}
		if r.Alive || !r.Ours {
			continue
		}
		name := r.Labels[LabelBuild]
		at, known := ofBuild[name]
		if !known {
			at = len(c.All)
			ofBuild[name] = at
			c.All = append(c.All, Leftover{
				Build: name, Project: r.Project(), Source: r.Labels[LabelSource], Started: r.Started()})
		}
		l := &c.All[at]
		l.Failed = l.Failed || c.host.goesOn(r.Labels[LabelTemp])
		l.Kept = l.Kept || l.Failed || r.Labels[LabelKept] != ""
		if temp := r.Labels[LabelTemp]; temp != "" {
			owner[temp] = at
		}
		l.resources, l.Kinds = append(l.resources, r), append(l.Kinds, r.Kind)
	}
	c.addDirs(owner)
	return c, err
}

// addDirs adds the directories of runs that have ended.
func (c *Cleaner) addDirs(owner map[string]int) {
	address := ""
	if c.docker != nil {
		address = c.docker.Host()
	}
	for _, dir := range c.host.Runs().All() {
		if _, alive := rundir.Alive(dir); alive {
			continue
		}
		at, known := owner[dir]
		switch {
		case known:
			c.All[at].dirs = append(c.All[at].dirs, dir)
			if !slices.Contains(c.All[at].Kinds, kindSandbox) { // which is this directory
				c.All[at].Kinds = append(c.All[at].Kinds, kindDirectory)
			}
		case !rundir.Needed(dir, address):
			l := Leftover{Kinds: []string{kindDirectory}, dirs: []string{dir}}
			if info, err := os.Stat(dir); err == nil {
				l.Started = info.ModTime()
			}
			c.All = append(c.All, l)
		}
	}
}

// maxMeasureTime limits how long the Docker engine may take to measure its resources.
const maxMeasureTime = 20 * time.Second

// Measure sets the sizes of all leftovers. They are unknown if the engine does not measure them in time.
func (c *Cleaner) Measure(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, maxMeasureTime)
	defer cancel()
	var sizes map[string]int64
	isDocker := func(r Resource) bool { return r.Kind != kindSandbox }
	if slices.ContainsFunc(c.All, func(l Leftover) bool { return slices.ContainsFunc(l.resources, isDocker) }) {
		var err error
		if sizes, err = c.docker.Sizes(ctx); err != nil {
			return // a size is not worth an error
		}
	}
	for i := range c.All {
		l := &c.All[i]
		var sum int64
		for _, r := range l.resources {
			sum += sizes[r.ID] // volumes that are mounts of others, and networks, have no size
		}
		for _, dir := range l.dirs {
			sum += sizeOfTree(dir)
		}
		l.Size = &sum
	}
}

// sizeOfTree returns the size of the files below a directory, in bytes. Files that cannot be
// looked at do not count.
func sizeOfTree(dir string) int64 {
	var sum int64
	_ = filepath.WalkDir(dir, func(_ string, entry fs.DirEntry, err error) error {
		if err != nil {
			return nil
		}
		if info, err := entry.Info(); err == nil && info.Mode().IsRegular() {
			sum += info.Size()
		}
		return nil
	})
	return sum
}

// Remove removes a leftover.
func (c *Cleaner) Remove(ctx context.Context, l Leftover) error {
	e := c.host.Sandbox(sandbox.Images)
	// Control groups of killed sandboxes first: the directories show which runs are alive.
	e.Sweep(func(temp string) bool {
		_, alive := rundir.Alive(temp)
		return alive
	})
	var errs []error
	address := ""
	for _, r := range l.resources { // containers come before the volumes that they use
		if r.Kind != kindSandbox {
			address = c.docker.Host()
			errs = append(errs, c.docker.Remove(ctx, r.Resource))
		}
	}
	if err := errors.Join(errs...); err != nil {
		return err // the directory shows whose the rest is
	}
	for _, dir := range l.dirs {
		gone, err := rundir.Retire(dir, address)
		if err == nil && gone != "" {
			// The sandbox also unmounts, and removes files of subordinate IDs.
			err = e.Discard(ctx, gone)
		}
		errs = append(errs, err)
	}
	return errors.Join(errs...)
}

// Close releases the engine.
func (c *Cleaner) Close() error {
	c.host.Runs().RemoveIfEmpty()
	if c.docker == nil {
		return nil
	}
	return c.docker.Close()
}

// AwaitEnd waits until a run has ended, whose directory is given.
func AwaitEnd(ctx context.Context, run string, limit time.Duration) error {
	limited, cancel := context.WithTimeoutCause(ctx, limit, fmt.Errorf("has not ended after %s", human.Duration(limit)))
	defer cancel()
	for {
		if _, alive := rundir.Alive(run); !alive {
			return nil
		}
		if err := sleep(limited, followInterval); err != nil {
			return err
		}
	}
}
