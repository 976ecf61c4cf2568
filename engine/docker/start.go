package docker

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"runtime"
	"slices"
	"strings"

	"github.com/docker/docker/api/types"
	"github.com/docker/docker/api/types/container"
	"github.com/docker/docker/api/types/mount"

	"github.com/buildlocal/buildlocal/engine"
	"github.com/buildlocal/buildlocal/engine/docker/conn"
	"github.com/buildlocal/buildlocal/engine/docker/image"
	"github.com/buildlocal/buildlocal/engine/docker/relay"
	"github.com/buildlocal/buildlocal/engine/docker/share"
)

// Start creates and starts a container. See engine.Engine.
func (e *Engine) Start(ctx context.Context, s engine.Spec) (engine.Container, error) {
	c := &Container{conn: e.conn, spec: s, network: relay.NewNetwork(ctx, e.relays, s)}
	if s.Resume {
		return e.resume(ctx, c)
	}
	if err := conn.CauseOr(ctx, e.start(ctx, s, c)); err != nil {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), conn.CleanupTimeout)
		defer cancel()
		return nil, errors.Join(err, c.Close(ctx))
	}
	return c, nil
}

// start notes created objects in c, so that Close can remove it after an error.
func (e *Engine) start(ctx context.Context, s engine.Spec, c *Container) error {
	image, err := e.Resolve(ctx, s)
	if err != nil {
		return err
	}
	s.Hooks.ReportImage(image.About())
	c.baseImage = image.About().ID
	if s.Snapshot != "" {
		if err := engine.ReadSnapshot(s.Snapshot, &c.restored); err != nil {
			return err
		}
	}
	mounts, err := c.mounts(ctx)
	if err != nil {
		return err
	}
	config, host := configs(s, cmp.Or(c.restored.Image, image.Name))
	host.Mounts = append(mounts, binds(s)...)
	if err := e.applyLimits(ctx, s, host); err != nil {
		return err
	}
	if err := c.create(ctx, image, config, host); err != nil {
		return err
	}
	if err := c.unpackTrees(ctx); err != nil {
		return err
	}
	// The socket is served before the container starts, because its first process may use it.
	c.socket.Serve(share.Target{
		ID: c.id, Exec: c.Exec, BlocksMetadata: c.network.Applied(),
		Listen: func(ctx context.Context, purpose string, addresses []string) (share.Relay, error) {
			r, err := c.network.Listen(ctx, purpose, addresses)
			return share.Relay(r), err
		},
	})
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	c.network.Prepare(ctx)
	if err := c.attachAndStart(ctx, image.Name); err != nil {
		return err
	}
	return c.network.Connect(ctx)
}

// create creates the container. After a conflict of names nothing is removed: another build
// uses the container and its volumes, whose names derive from that of the container.
func (c *Container) create(
	ctx context.Context,
	image image.Local,
	config *container.Config,
	host *container.HostConfig,
) error {
	made, err := c.network.Create(ctx, conn.Creation{
		Name: c.spec.Name, Platform: c.spec.Image.Platform, Config: config, Host: host,
	})
	if conn.IsNameConflict(err) {
		c.volumes, c.whiteoutDirs = nil, nil // they belong to the container that has the name
	}
	if err := c.networkErr(err); err != nil {
		return err
	}
	if err != nil {
		return c.conn.Fault(image.NotFoundErr(err), "make a container from "+image.Name)
	}
	c.id = made.ID
	for _, warning := range made.Warnings {
		if c.spec.Resources.Limits != (engine.Limits{}) { // the kernel does not support one of them
			c.spec.Hooks.Warnf("docker: %s", warning)
		}
	}
	return nil
}

// mounts creates the mounts of the container.
func (c *Container) mounts(ctx context.Context) ([]mount.Mount, error) {
	mounts, err := c.mountTrees(ctx)
	if err != nil {
		return nil, err
	}
	kept, err := c.mountVolumes(ctx)
	if err != nil {
		return nil, err
	}
	socket, shared, err := share.Open(ctx, c.conn, c.spec)
	c.socket = socket // also after an error, for Close
	if err != nil {
		return nil, err
	}
	mounts = slices.Concat(mounts, kept, shared)
	hasData := slices.ContainsFunc(c.spec.Mounts.Volumes, func(v engine.Volume) bool { return v.Path == dockerDir })
	if c.spec.Resources.Privileged && !hasData {
		// The dockerd of the image cannot use overlays on an overlay, which the container's
		// root directory usually is.
		mounts = append(mounts, c.volume(c.spec.Name+"-docker", dockerDir))
	}
	return mounts, nil
}

// dockerDir is the data directory of a dockerd in the container.
const dockerDir = "/var/lib/docker"

// applyLimits sets the limits that the engine supports, and reports the others. An engine
// without root may ignore an unsupported limit silently or refuse the container, and every
// engine refuses more CPUs than its host has.
func (e *Engine) applyLimits(ctx context.Context, s engine.Spec, host *container.HostConfig) error {
	limits := s.Resources.Limits
	if limits == (engine.Limits{}) {
		return nil
	}
	info, err := e.conn.API.Info(ctx)
	if err != nil {
		return e.conn.Fault(err, "get the engine's CPUs and memory")
	}
	if shortfall := limits.Shortfall(info.NCPU, info.MemTotal); shortfall != "" {
		s.Hooks.Warnf("%s", shortfall)
	}
	if limits.Memory > 0 && info.MemoryLimit {
		// MemorySwap is the sum of memory and swap; without it Docker allows as much swap again.
		host.Memory, host.MemorySwap = limits.Memory, limits.Memory
	} else if limits.Memory > 0 {
		s.Hooks.Warnf("The build's memory is not limited to that of its compute type: the engine does not support it.")
	}
	const nano = 1e9
	if limits.CPUs > 0 && info.CPUCfsQuota {
		host.NanoCPUs = int64(min(limits.CPUs, float64(info.NCPU)) * nano)
	} else if limits.CPUs > 0 {
		s.Hooks.Warnf("The build's cpu is not limited to that of its compute type: the engine does not support it.")
	}
	return nil
}

// configs returns the settings of the container. Its first process is Main, or a shell that
// reads from a stream of ours and ends with it. The entrypoint of the image does not run, as
// in CodeBuild.
func configs(s engine.Spec, image string) (*container.Config, *container.HostConfig) {
	config := &container.Config{
		Image: image, Labels: s.Labels, Env: s.Env, User: "0", WorkingDir: "/",
		// StdinOnce closes the input when this program ends, even if it is killed, and the idle
		// shell exits. A container that is to be kept must survive that.
		OpenStdin: true, StdinOnce: !s.Keep, AttachStdin: true, AttachStdout: true, AttachStderr: true,
	}
	config.Entrypoint = []string{"sh"}
	if s.Main != nil {
		config.Entrypoint = s.Main.Args
		config.Env = append(config.Env, s.Main.Env...)
	}
	host := &container.HostConfig{
		Privileged: s.Resources.Privileged,
		LogConfig:  container.LogConfig{Type: "none"}, // the attached streams have all output
		Tmpfs:      map[string]string{},
	}
	if !s.Resources.Privileged {
		host.MaskedPaths = maskedPaths()
	}
	join(s.Network, config, host)
	for _, path := range s.Mounts.Scratch {
		host.Tmpfs[path] = "exec,mode=1777" // Docker's default for a tmpfs is noexec
	}
	return config, host
}

// maskedPaths returns the files that the container sees empty: the engine's defaults, which
// setting the list replaces, and the memory of the first process. That process is the
// runner's shell, and its memory has the results of commands. /proc/1/fd cannot be masked,
// because the runtime needs it to start.
func maskedPaths() []string {
	all := []string{
		"/proc/acpi", "/proc/asound", "/proc/interrupts", "/proc/kcore", "/proc/keys", "/proc/latency_stats",
		"/proc/sched_debug", "/proc/scsi", "/proc/timer_list", "/proc/timer_stats", "/sys/devices/virtual/powercap",
		"/sys/firmware", "/proc/1/mem", "/proc/1/task/1/mem",
	}
	for cpu := range runtime.NumCPU() {
		all = append(all, fmt.Sprintf("/sys/devices/system/cpu/cpu%d/thermal_throttle", cpu))
	}
	return all
}

// attachAndStart attaches the streams, so that no output is lost, and starts the container.
func (c *Container) attachAndStart(ctx context.Context, image string) error {
	stream, err := c.conn.API.ContainerAttach(
		ctx,
		c.id,
		container.AttachOptions{Stream: true, Stdin: true, Stdout: true, Stderr: true},
	)
	if err != nil && strings.Contains(err.Error(), "unable to upgrade") {
		// Podman prepares the container when it is attached to. If that fails, only the
		// error of a start has the reason.
		err = cmp.Or(c.conn.API.ContainerStart(ctx, c.id, container.StartOptions{}), err)
		return c.startErr(err, image)
	}
	if err != nil {
		return c.conn.Fault(err, "attach to the container")
	}
	c.stream = stream
	if err := c.startErr(c.conn.API.ContainerStart(ctx, c.id, container.StartOptions{}), image); err != nil {
		return err
	}
	if c.spec.Main != nil {
		go c.followMain(stream, *c.spec.Main)
		return nil
	}
	return c.awaitShell(ctx, image)
}

// startErr translates the error of starting the container.
func (c *Container) startErr(err error, image string) error {
	if err != nil && isMountFailure(err.Error(), c.spec.Name) {
		return fmt.Errorf("mount the source: %w (%w)", engine.ErrUnsupported, err)
	}
	if err := c.networkErr(err); err != nil {
		return err
	}
	return c.conn.Fault(err, "start a container from "+image)
}

// followMain copies the streams of Main until it ends, and then calls OnExit.
func (c *Container) followMain(stream types.HijackedResponse, p engine.Process) {
	stderr := &conn.Head{To: orDiscard(p.Stderr)}
	p.Stderr = stderr
	err := copyStreams(stream, p)
	// The streams have ended, but only the engine knows the reason. The context of Start is
	// not that of the process.
	ctx, cancel := context.WithTimeout(context.Background(), conn.CleanupTimeout)
	defer cancel()
	status, exitErr := c.mainExit(ctx)
	if err == nil && exitErr == nil && status != 0 {
		exitErr = conn.ExecFormatErr(string(stderr.Kept), "run "+p.Args[0])
	}
	c.spec.Hooks.ReportExit(status, errors.Join(err, exitErr))
}

// mainExit returns the exit code of Main. Not running is the right condition: next-exit would
// wait forever for a container that has ended already.
func (c *Container) mainExit(ctx context.Context) (int, error) {
	waited, failed := c.conn.API.ContainerWait(ctx, c.id, container.WaitConditionNotRunning)
	select {
	case w := <-waited:
		if w.Error != nil { // Podman's answer if the container is being removed
			return int(w.StatusCode), fmt.Errorf("wait for the container: %s", w.Error.Message)
		}
		return int(w.StatusCode), nil
	case err := <-failed:
		return 0, c.conn.Fault(err, "wait for the container")
	}
}

// awaitShell waits until the idle shell answers, which shows that the image can run one. An
// image without sh, for another architecture or with a broken loader fails here, with a
// hint, and not in the first command of the build.
func (c *Container) awaitShell(ctx context.Context, image string) error {
	const ready = "buildlocal-is-ready"
	// If the shell has ended already, its output has a better reason than this error.
	_, _ = io.WriteString(c.stream.Conn, "echo "+ready+"\n")
	// Two writers, so that a long output does not displace an error that came before it.
	stdout, stderr := newWatch(ready), newWatch(ready)
	go func() {
		_ = copyStreams(c.stream, engine.Process{Stdout: stdout, Stderr: stderr})
		stdout.end()
	}()
	select {
	case <-stdout.found:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-stdout.ended:
		printed := strings.TrimSpace(stdout.text() + "\n" + stderr.text())
		if err := conn.ExecFormatErr(printed, "start a container from "+image); err != nil {
			return err
		}
		return &engine.Fault{Kind: engine.Died,
			Message: fmt.Sprintf("start a container from %s: its shell ended before the build began\n%s", image, printed),
			Hint:    "Check the image with docker run --entrypoint sh: it requires a working sh."}
	}
}
