package sandbox

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"sync"

	"golang.org/x/sys/unix"

	"github.com/buildlocal/buildlocal/engine"
	"github.com/buildlocal/buildlocal/engine/sandbox/inside"
)

func native() string { return "linux/" + runtime.GOARCH }

// Engine makes sandboxes. See engine.Engine.
type Engine struct {
	options Options
	id      identity

	mu   sync.Mutex
	warm *process // started before it is known what for; nil for none
}

// New returns an Engine of this machine.
func New(o Options) *Engine {
	if o.Shape == Host { // another user's files cannot be seen as another's
		return &Engine{options: o, id: alone()}
	}
	return &Engine{options: o, id: identityOf(o.User)}
}

// Warm starts what a sandbox needs first, while it is still settled what runs in
// it. Close ends it where nothing is started.
func (e *Engine) Warm() {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.warm == nil {
		e.warm, _ = e.startWarm("") // a failure is told when it is started in earnest
	}
}

// Close ends what Warm started.
func (e *Engine) Close() error {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.warm != nil {
		e.warm.kill()
		e.warm = nil
	}
	return nil
}

// process returns a process in namespaces of its own.
func (e *Engine) process(name string) (*process, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if p := e.warm; p != nil {
		e.warm = nil
		return p, nil
	}
	return e.startWarm(name)
}

// startWarm starts a process in namespaces, and the first process of the sandbox.
func (e *Engine) startWarm(name string) (*process, error) {
	p, err := e.id.start(name, namespaces)
	if err != nil {
		return nil, err
	}
	if err := p.send(inside.Request{Op: inside.Warm, Metadata: metadata()}); err != nil {
		p.kill()
		return nil, err
	}
	return p, nil
}

// metadata returns the addresses that a build does not reach.
func metadata() []inside.Metadata {
	var all []inside.Metadata
	for _, m := range engine.MetadataAddresses() {
		all = append(all, inside.Metadata{Name: m.Address, Address: netip.MustParseAddr(m.Address).As16()})
	}
	return all
}

// namespaces are those of a sandbox.
const namespaces = unix.CLONE_NEWNS | unix.CLONE_NEWPID | unix.CLONE_NEWIPC | unix.CLONE_NEWUTS

// Start lays a sandbox and starts its first process. See engine.Engine.
func (e *Engine) Start(ctx context.Context, s engine.Spec) (engine.Container, error) {
	if err := e.options.refuse(s, e.id.kind == idsRoot); err != nil {
		return nil, err
	}
	c := &Container{id: e.id, base: filepath.Join(s.Mounts.Temp, "sandbox"), warnf: s.Hooks.Warnf, calls: map[int]*call{}}
	if err := e.begin(ctx, s, c); err != nil {
		return nil, errors.Join(err, c.Close(context.WithoutCancel(ctx)))
	}
	if err := c.startMain(ctx, s); err != nil {
		return nil, errors.Join(err, c.Close(context.WithoutCancel(ctx)))
	}
	return c, nil
}

func (e *Engine) begin(ctx context.Context, s engine.Spec, c *Container) error {
	path := e.options.Path
	var err error
	if c.process, err = e.process(s.Name); err != nil { // before an image is brought in vain
		return e.cannot(err)
	}
	if e.options.Shape == Images {
		if c.image, err = e.store().Need(ctx, s); err != nil {
			return err
		}
		s.Hooks.ReportImage(c.image.About)
		path = usualPath
		c.env = c.image.Env
	}
	c.env = slices.Concat([]string{"PATH=" + path, "HOSTNAME=" + inside.HostName}, c.env, s.Env)
	if err := c.lay(ctx, s, e); err != nil {
		return err
	}
	go c.listen()
	return nil
}

// usualPath is the PATH of an image that says none, as Docker has it.
const usualPath = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

// lay has the file system laid, and waits for it.
func (c *Container) lay(ctx context.Context, s engine.Spec, e *Engine) error {
	if err := os.Mkdir(c.base, 0o700); err != nil {
		return diskFull(err, "make a directory for the sandbox")
	}
	if err := c.listenFor(s.Network.Services); err != nil {
		return err
	}
	if over := s.Resources.Limits.Shortfall(runtime.NumCPU(), memoryOfMachine()); over != "" {
		c.warnf("%s", over)
	}
	c.limits = limit(s, c.warnf)
	l := &inside.Layout{
		Base: c.base, Scratch: s.Mounts.Scratch, Mask: e.options.Mask, Image: e.options.Shape == Images,
		Metadata: s.Network.Metadata, Detours: c.detours(s), Privileged: s.Resources.Privileged, Plain: c.id.kind != idsRoot, Alone: c.id.kind == idsSingle, Main: s.Main != nil, FailAt: e.options.failAt, Die: e.options.die,
	}
	if c.image != nil {
		l.Layers = c.image.Layers
	}
	c.trees = s.Mounts.Trees
	for _, t := range s.Mounts.Trees {
		l.Trees = append(l.Trees, inside.Tree{Host: t.Host, Path: t.Path, Hide: t.Hide, Over: t.Overlays})
	}
	for _, v := range s.Mounts.Volumes {
		if err := os.MkdirAll(v.Host, 0o755); err != nil {
			return diskFull(err, "make a directory that is kept")
		}
		l.Volumes = append(l.Volumes, inside.Tree{Host: v.Host, Path: v.Path})
	}
	var groups []*os.File
	for _, g := range c.limits {
		groups = append(groups, g.procs)
	}
	a, err := c.ask(ctx, inside.Request{Op: inside.Lay, Layout: l}, groups...)
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	if errors.Is(err, inside.ErrTree) {
		return fmt.Errorf("mount the source: %w (%w)", engine.ErrUnsupported, err)
	}
	if err != nil {
		return e.cannot(diskFull(err, "lay the sandbox"))
	}
	if a.Memory {
		c.trees = nil
		c.warnf("Build writes are kept in memory: %s does not support overlay mounts.", s.Mounts.Temp)
	}
	c.reached(s, a.Unguarded == "")
	if a.Unguarded != "" && !s.Network.Metadata {
		c.warnf("The build can reach metadata endpoints: %s.", a.Unguarded)
	}
	return nil
}
