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

// native returns the only platform whose images can run here: there is no emulator.
func native() string { return "linux/" + runtime.GOARCH }

// Engine creates sandboxes. See engine.Engine.
type Engine struct {
	options Options
	id      identity

	mu   sync.Mutex
	warm *server // started by Warm, and used by the next Start; nil if not started
}

// New returns an Engine. The host is not checked before Start or Check.
func New(o Options) *Engine {
	if o.Mode == Host { // another mapping of user IDs would show the host's files with wrong owners
		return &Engine{options: o, id: singleID()}
	}
	return &Engine{options: o, id: identityOf(o.User)}
}

// Warm starts the processes of a sandbox before its spec is known, while the build
// is still being read. Close ends them if nothing was started.
//
// They do not depend on the inputs, so they start while these are read.
func (e *Engine) Warm() {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.warm == nil {
		e.warm, _ = e.startWarm("") // Start tries again and reports the error
	}
}

// Close ends the processes that Warm started.
func (e *Engine) Close() error {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.warm != nil {
		e.warm.kill()
		e.warm = nil
	}
	return nil
}

// process returns a server in its own namespaces: the one of Warm, or a new one.
func (e *Engine) process(name string) (*server, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	// A warm server has no name in process lists, because the build was not known. It is used
	// once: a second sandbox gets a server of its own.
	if p := e.warm; p != nil {
		e.warm = nil
		return p, nil
	}
	return e.startWarm(name)
}

// startWarm starts a server in new namespaces, and the first process of the sandbox.
func (e *Engine) startWarm(name string) (*server, error) {
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

// metadata returns the metadata addresses in the form of package inside.
func metadata() []inside.Metadata {
	var all []inside.Metadata
	for _, m := range engine.MetadataAddresses() {
		all = append(all, inside.Metadata{Name: m.Address, Address: netip.MustParseAddr(m.Address).As16()})
	}
	return all
}

// namespaces are the kinds of namespaces that a sandbox has. The network is not among them:
// builds use the one of the host, including its proxies and VPNs, and a network namespace of a
// non-root user has no way out.
const namespaces = unix.CLONE_NEWNS | unix.CLONE_NEWPID | unix.CLONE_NEWIPC | unix.CLONE_NEWUTS

// Start creates a sandbox and starts Main. See engine.Engine.
func (e *Engine) Start(ctx context.Context, s engine.Spec) (engine.Container, error) {
	if err := e.options.check(s, e.id.kind == idsRoot); err != nil {
		return nil, err
	}
	c := &Container{
		id: e.id, base: filepath.Join(s.Mounts.Temp, "sandbox"), warnf: s.Hooks.Warnf, calls: map[int]*call{},
		kept: s.Resume,
	}
	if err := e.begin(ctx, s, c); err != nil {
		return nil, errors.Join(err, c.Close(context.WithoutCancel(ctx)))
	}
	if err := c.startMain(ctx, s); err != nil {
		return nil, errors.Join(err, c.Close(context.WithoutCancel(ctx)))
	}
	return c, nil
}

// begin starts the server of a sandbox and mounts its file system. Whatever it has created when
// it fails is in c, for Close.
func (e *Engine) begin(ctx context.Context, s engine.Spec, c *Container) error {
	path := e.options.Path
	var err error
	if c.server, err = e.process(s.Name); err != nil { // before an image is pulled in vain
		return e.diagnose(err)
	}
	if e.options.Mode == Images {
		if c.image, err = e.store().Need(ctx, s); err != nil {
			return err
		}
		s.Hooks.ReportImage(c.image.About)
		// The variables of the image follow PATH in the list, so its own PATH takes precedence
		// over the default one.
		path = defaultPath
		c.env = c.image.Env
	}
	c.env = slices.Concat([]string{"PATH=" + path, "HOSTNAME=" + inside.HostName}, c.env, s.Env)
	if err := c.setupRootfs(ctx, s, e); err != nil {
		return err
	}
	// Only now: until here the server answers one request at a time, and setupRootfs reads the
	// answers itself.
	go c.listen()
	return nil
}

// defaultPath is the PATH of an image that does not set one, as in Docker.
const defaultPath = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

// setupRootfs makes the server mount the file system, and waits for it.
func (c *Container) setupRootfs(ctx context.Context, s engine.Spec, e *Engine) error {
	if err := errors.Join(c.restore(&s), c.useSnapshot(&s)); err != nil {
		return err
	}
	if err := os.Mkdir(c.base, 0o700); err != nil && !s.Resume {
		return diskFull(err, "make a directory for the sandbox")
	}
	// The ports are needed for the redirections in the request below, and served only once it
	// is known that these work.
	if err := c.listenFor(s.Network.Services); err != nil {
		return err
	}
	// The server moves each process into the groups before its first instruction.
	c.limits = c.limit(s)
	l := &inside.Rootfs{
		Base: c.base, Scratch: s.Mounts.Scratch, Mask: e.options.Mask, Image: e.options.Mode == Images,
		Metadata: s.Network.Metadata, Redirects: c.redirects(s), Privileged: s.Resources.Privileged,
		Plain: c.id.kind != idsRoot, Alone: c.id.kind == idsSingle, Main: s.Main != nil, Resume: s.Resume,
		Snapshot: engine.SnapshotLayers(s.Snapshot), FailAt: e.options.failAt, Die: e.options.die,
	}
	if c.image != nil {
		l.Layers = c.image.Layers
	}
	c.trees = s.Mounts.Trees
	for _, t := range s.Mounts.Trees {
		l.Trees = append(l.Trees, inside.Tree{Host: t.Host, Path: t.Path, Hide: t.Hide, Over: t.Overlays})
	}
	var err error
	if l.Volumes, err = e.options.shared(s.Mounts); err != nil {
		return err
	}
	var groups []*os.File
	for _, g := range c.limits {
		groups = append(groups, g.members)
	}
	a, err := c.ask(ctx, inside.Request{Op: inside.Lay, Layout: l}, groups...)
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	// The caller may be able to provide the source in another way.
	if errors.Is(err, inside.ErrTree) {
		return fmt.Errorf("mount the source: %w (%w)", engine.ErrUnsupported, err)
	}
	if err != nil {
		return e.diagnose(diskFull(err, "lay the sandbox"))
	}
	c.kept, c.volatile = false, a.Volatile
	if a.Memory {
		// Untouched and Written would look at directories that do not exist on the host.
		c.trees = nil
		c.warnf("Build writes are kept in memory: %s does not support overlay mounts.", s.Mounts.Temp)
	}
	c.listenServices(s, a.Unguarded == "")
	if a.Unguarded != "" && !s.Network.Metadata {
		c.warnf("The build can reach metadata endpoints: %s.", a.Unguarded)
	}
	return nil
}

// limit creates the control groups of a sandbox.
func (c *Container) limit(s engine.Spec) []group {
	if over := s.Resources.Limits.Shortfall(runtime.NumCPU(), hostMemory()); over != "" {
		c.warnf("%s", over)
	}
	return applyLimits(s, c.warnf)
}

// shared returns the directories of the host that a sandbox writes to. A volume is kept after the
// build, which may be the first one to use it.
func (o Options) shared(m engine.Mounts) ([]inside.Tree, error) {
	var all []inside.Tree
	for _, v := range m.Volumes {
		if err := os.MkdirAll(v.Host, 0o755); err != nil {
			return nil, diskFull(err, "make a directory that is kept")
		}
		all = append(all, inside.Tree{Host: v.Host, Path: v.Path})
	}
	for _, b := range m.Binds {
		if info, err := os.Stat(b.Host); err == nil && !info.IsDir() {
			return nil, o.unsupported("mounts only directories, and " + b.Host + " is a file")
		}
		all = append(all, inside.Tree{Host: b.Host, Path: b.Path, ReadOnly: b.ReadOnly})
	}
	return all, nil
}
