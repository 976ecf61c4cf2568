package runner

import (
	"context"
	"errors"
	"io"
	"maps"
	"slices"
	"strings"

	"github.com/buildlocal/buildlocal/engine"
	"github.com/buildlocal/buildlocal/runner/shell"
)

// provision starts the container. A cache or a source that the engine cannot mount is
// copied into it.
func (b *build) provision(ctx context.Context) result {
	if b.continues() {
		if err := b.start(ctx, b.plan.directories(), nil); err != nil {
			return b.fault(ctx, "", err)
		}
		return result{}
	}
	mount := b.cache.planMount(ctx)
	if restored := b.restoration.mount(); restored != nil {
		mount = restored
	}
	err := b.start(ctx, b.plan.directories(), mount)
	if mount != nil && errors.Is(err, engine.ErrUnsupported) {
		b.cache.dropMount()
		err = b.start(ctx, b.plan.directories(), nil)
	}
	var refused *engine.Fault // an error with another reason than the mounts
	if errors.Is(err, engine.ErrUnsupported) && !errors.As(err, &refused) {
		b.rec.note("The source is copied into the container, because mounting it is %s.",
			strings.TrimPrefix(err.Error(), "mount the source: "))
		err = b.startWithCopies(ctx)
	}
	if err != nil {
		return b.fault(ctx, b.startErrorCode(ctx, err), err)
	}
	return result{}
}

// start starts the container with root's shell as its main process.
func (b *build) start(ctx context.Context, mounted []Extra, mount *cacheMount) error {
	session := b.shells.create("")
	spec := b.spec(session)
	spec.Mounts.Trees, spec.Resume = trees(mounted, mount), b.continues()
	if b.restoration != nil {
		spec.Snapshot = b.restoration.Dir
	}
	b.reports.searchMounted(ctx, spec.Mounts.Trees, mount != nil)
	c, err := b.Engine.Start(ctx, spec)
	if err != nil {
		_ = session.Close() // which never fails: no driver has been started
		return err
	}
	b.container = c
	b.live.container.Store(&c)
	b.shells.add("", session)
	if b.OnLive != nil && !b.rewound {
		b.OnLive(b.live)
	}
	b.meter = startMeter(ctx, c, b.Now)
	return nil
}

// startWithCopies starts the container and copies the source into it.
func (b *build) startWithCopies(ctx context.Context) error {
	if err := b.start(ctx, nil, nil); err != nil {
		return err
	}
	for _, e := range b.plan.directories() {
		if err := copyTree(ctx, b.container, e); err != nil {
			return err // FINALIZING removes the container
		}
	}
	return nil
}

func copyTree(ctx context.Context, c engine.Container, e Extra) error {
	r, w := io.Pipe()
	go func() { w.CloseWithError(e.Stream(w, strings.TrimPrefix(e.Tree.Path, "/"))) }()
	defer r.Close()
	return c.CopyIn(ctx, "/", r)
}

// startErrorCode returns the status code for a container that could not be started. For
// an image that is not published it adds the plan's hint, and for any other image those that
// the engine has.
func (b *build) startErrorCode(ctx context.Context, err error) string {
	var f *engine.Fault
	if !errors.As(err, &f) || f.Kind != engine.NoImage && f.Kind != engine.NoRegistry && f.Kind != engine.WrongArch {
		return ""
	}
	if f.Hint == "" {
		f.Hint = b.plan.NoImage // which names all ways on
		return PullError
	}
	if b.Instead != nil && ctx.Err() == nil {
		images, hint := b.Instead(ctx)
		if f.Instead = images; hint != "" {
			f.Hint += "\n" + hint
		}
	}
	return PullError
}

// directories returns the directories of all sources and their extra directories. Two
// worktrees may need the same repository, which is listed once: it is the same for both.
func (p *Plan) directories() []Extra {
	var all []Extra
	for _, s := range p.Sources {
		all = append(all, Extra{s.Tree, s.Stream})
		for _, e := range s.Extra {
			if !slices.ContainsFunc(all, func(other Extra) bool { return other.Tree.Path == e.Tree.Path }) {
				all = append(all, e)
			}
		}
	}
	return all
}

// trees returns the directories to mount: the primary source first, with the cache's
// files on top of it.
func trees(mounted []Extra, mount *cacheMount) []engine.Tree {
	var all []engine.Tree
	for i, e := range mounted {
		if i == 0 && mount != nil {
			e.Tree.Overlays = slices.Concat(mount.overlays, e.Tree.Overlays)
		}
		all = append(all, e.Tree)
	}
	if mount != nil {
		all = append(all, mount.trees...)
	}
	return all
}

// ImageRef returns the image of the build, as the engine looks for it.
func (p *Plan) ImageRef() engine.ImageRef {
	return engine.ImageRef{Alias: p.Alias, Names: p.Images, Pull: p.Pull, Digest: p.Digest, Platform: p.Platform}
}

// scratch returns the directories of the container that are in memory. With a debugger the helper
// commands are copied into the container, so they cannot be there.
func (b *build) scratch() []string {
	if b.Pause != nil {
		return []string{StateDir, readonlyDir}
	}
	return []string{StateDir, readonlyDir, userBin}
}

// spec returns the container's specification without the directories to mount.
func (b *build) spec(session *shell.Session) engine.Spec {
	p := b.plan
	spec := engine.Spec{
		Name: b.Name, Labels: maps.Clone(b.Labels), Env: p.earlyEnv(), Keep: b.Keep,
		Image:     p.ImageRef(),
		Resources: engine.Resources{Privileged: p.Privileged, Limits: p.Limits},
		Mounts: engine.Mounts{
			Scratch: b.scratch(), Volumes: b.Volumes, Binds: p.Binds, Temp: b.Temp,
		},
		Network: engine.Network{
			Name: p.Network.Name, Hosts: p.Network.Hosts, Ports: p.Network.Ports,
			Metadata: p.Metadata, Services: b.endpoints.services(),
		},
		Main: &engine.Process{
			Args: session.Args(), Stdin: session.Stdin(), Stdout: session.Stdout(), Stderr: session.Stderr(),
		},
		Hooks: engine.Hooks{
			OnImage: b.image.onImage, OnExit: session.End, OnWarning: b.rec.note,
			OnProgress: func(p engine.Progress) { b.rec.notify(Event{Kind: Pulled, Pull: Pull(p)}) },
		},
	}
	if p.Socket {
		spec.Network.Socket = &engine.Socket{
			Path: dockerSocket, KeepImages: slices.Contains(p.CacheModes, DockerLayerCache),
		}
	}
	if b.docker.enabled() {
		spec.Main.Args = withDockerd(spec.Main.Args)
	}
	return spec
}
