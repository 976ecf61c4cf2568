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
	"time"

	"github.com/docker/docker/api/types"
	"github.com/docker/docker/api/types/container"
	"github.com/docker/docker/api/types/mount"
	"github.com/docker/docker/api/types/network"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/buildlocal/buildlocal/engine"
)

// cleanupLimit bounds how long the remains of a failed Start are removed.
const cleanupLimit = 30 * time.Second

// Start makes and starts a container. See engine.Engine.
func (e *Engine) Start(ctx context.Context, s engine.Spec) (engine.Container, error) {
	c := &Container{engine: e, spec: s}
	if err := orCause(ctx, e.start(ctx, s, c)); err != nil {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), cleanupLimit)
		defer cancel()
		return nil, errors.Join(err, c.Close(ctx))
	}
	return c, nil
}

func (e *Engine) start(ctx context.Context, s engine.Spec, c *Container) error {
	reach := e.reachOf(ctx, s)
	image, err := e.need(ctx, s)
	if err != nil {
		return err
	}
	image.tell(s)
	mounts, err := e.mounts(ctx, s, c)
	if err != nil {
		return err
	}
	config, host := configs(s, image)
	host.Mounts = mounts
	if err := e.limit(ctx, s, host); err != nil {
		return err
	}
	made, err := c.create(ctx, config, host, &reach)
	if isTaken(err) {
		c.volumes, c.hidden = nil, nil // they are of the container that has the name
	}
	if err != nil {
		return e.fault(image.missing(err), "make a container from "+image.name)
	}
	c.id = made.ID
	c.serveSocket(reach.given)
	for _, warning := range made.Warnings {
		if s.Resources.Limits != (engine.Limits{}) { // of a kernel that cannot hold it
			s.Hooks.Warnf("docker: %s", warning)
		}
	}
	if err := ctx.Err(); err != nil {
		return context.Cause(ctx)
	}
	c.prepare(ctx, &reach)
	if err := c.begin(ctx, image.name); err != nil {
		return err
	}
	return c.connect(ctx, reach)
}

// mounts makes what stands in the container besides its image.
func (e *Engine) mounts(ctx context.Context, s engine.Spec, c *Container) ([]mount.Mount, error) {
	mounts, err := e.mountTrees(ctx, s, c)
	if err != nil {
		return nil, err
	}
	kept, err := e.keptVolumes(ctx, s)
	if err != nil {
		return nil, err
	}
	own, err := e.openSocket(ctx, s, c)
	if err != nil {
		return nil, err
	}
	mounts = slices.Concat(mounts, kept, own)
	if s.Resources.Privileged && !slices.ContainsFunc(s.Mounts.Volumes, func(v engine.Volume) bool { return v.Path == dockerDir }) {
		// The image's own dockerd needs a file system that is no overlay.
		mounts = append(mounts, c.volume(s.Name+"-docker", dockerDir))
	}
	return mounts, nil
}

// dockerDir is where a dockerd inside keeps what it has.
const dockerDir = "/var/lib/docker"

// limit asks for the limits the engine can keep: it refuses more processors than
// it has.
func (e *Engine) limit(ctx context.Context, s engine.Spec, host *container.HostConfig) error {
	if s.Resources.Limits == (engine.Limits{}) {
		return nil
	}
	info, err := e.api.Info(ctx)
	if err != nil {
		return e.fault(err, "ask the engine for its processors")
	}
	if over := s.Resources.Limits.Shortfall(info.NCPU, info.MemTotal); over != "" {
		s.Hooks.Warnf("%s", over)
	}
	// What it cannot, an engine without root may pass over in silence, or refuse.
	if s.Resources.Limits.Memory > 0 && info.MemoryLimit {
		host.Memory, host.MemorySwap = s.Resources.Limits.Memory, s.Resources.Limits.Memory
	} else if s.Resources.Limits.Memory > 0 {
		s.Hooks.Warnf("The build's memory is not limited to that of its compute type: the engine does not support it.")
	}
	const nano = 1e9
	if s.Resources.Limits.CPUs > 0 && info.CPUCfsQuota {
		host.NanoCPUs = int64(min(s.Resources.Limits.CPUs, float64(info.NCPU)) * nano)
	} else if s.Resources.Limits.CPUs > 0 {
		s.Hooks.Warnf("The build's cpu is not limited to that of its compute type: the engine does not support it.")
	}
	return nil
}

// create makes a container. Once asked, the engine makes it whether we wait or
// not: the end of ctx does not keep us from hearing what it is called.
func (e *Engine) create(ctx context.Context, s engine.Spec, config *container.Config, host *container.HostConfig, own *network.NetworkingConfig) (container.CreateResponse, error) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), cleanupLimit)
	defer cancel()
	return e.api.ContainerCreate(ctx, config, host, own, platformOf(s), s.Name)
}

// configs returns what the engine is asked for. The container lives for Main; or,
// where there is none, for a shell that reads our end of a stream. The image's
// entrypoint does not run.
func configs(s engine.Spec, image found) (*container.Config, *container.HostConfig) {
	config := &container.Config{
		Image: image.name, Labels: s.Labels, Env: s.Env, User: "0", WorkingDir: "/",
		OpenStdin: true, StdinOnce: !s.Keep, AttachStdin: true, AttachStdout: true, AttachStderr: true,
	}
	config.Entrypoint = []string{"sh"}
	if s.Main != nil {
		config.Entrypoint = s.Main.Args
		config.Env = append(config.Env, s.Main.Env...)
	}
	host := &container.HostConfig{
		Privileged: s.Resources.Privileged,
		// What a build prints goes to us; the engine need not keep it.
		LogConfig: container.LogConfig{Type: "none"},
		Tmpfs:     map[string]string{},
	}
	if !s.Resources.Privileged {
		host.MaskedPaths = maskedPaths()
	}
	for _, path := range s.Mounts.Scratch {
		host.Tmpfs[path] = "exec,mode=1777"
	}
	return config, host
}

// maskedPaths returns the files that a container sees empty: those that engines mask
// unless they are told otherwise, and the memory of the first process, which tells how
// commands ended. Its /proc/1/fd cannot be masked, for the runtime needs it to start.
func maskedPaths() []string {
	all := []string{
		"/proc/acpi", "/proc/asound", "/proc/interrupts", "/proc/kcore", "/proc/keys", "/proc/latency_stats", "/proc/sched_debug",
		"/proc/scsi", "/proc/timer_list", "/proc/timer_stats", "/sys/devices/virtual/powercap", "/sys/firmware",
		"/proc/1/mem", "/proc/1/task/1/mem",
	}
	for cpu := range runtime.NumCPU() {
		all = append(all, fmt.Sprintf("/sys/devices/system/cpu/cpu%d/thermal_throttle", cpu))
	}
	return all
}

func platformOf(s engine.Spec) *ocispec.Platform {
	parts := append(strings.Split(s.Image.Platform, "/"), "", "")
	if s.Image.Platform == "" {
		return nil
	}
	return &ocispec.Platform{OS: parts[0], Architecture: parts[1], Variant: parts[2]}
}

// begin attaches the streams, starts the container and hands it to Main.
func (c *Container) begin(ctx context.Context, image string) error {
	stream, err := c.engine.api.ContainerAttach(ctx, c.id, container.AttachOptions{Stream: true, Stdin: true, Stdout: true, Stderr: true})
	if err != nil && strings.Contains(err.Error(), "unable to upgrade") {
		// podman prepares it already here; why it cannot is told only by a start.
		err = cmp.Or(c.engine.api.ContainerStart(ctx, c.id, container.StartOptions{}), err)
		return c.started(err, image)
	}
	if err != nil {
		return c.engine.fault(err, "attach to the container")
	}
	c.stream = stream
	if err := c.started(c.engine.api.ContainerStart(ctx, c.id, container.StartOptions{}), image); err != nil {
		return err
	}
	if c.spec.Main != nil {
		go c.follow(stream, *c.spec.Main, c.mainExit)
		return nil
	}
	return c.awaitShell(ctx, image)
}

// started tells why a start failed.
func (c *Container) started(err error, image string) error {
	if err != nil && isMountFailure(err.Error(), c.spec.Name) {
		return fmt.Errorf("mount the source: %w (%w)", engine.ErrUnsupported, err)
	}
	return c.engine.fault(err, "start a container from "+image)
}

// follow copies Main's streams until it ends, then tells Ended.
func (c *Container) follow(stream types.HijackedResponse, p engine.Process, exit func(context.Context) (int, error)) {
	stderr := &head{to: orDiscard(p.Stderr)}
	p.Stderr = stderr
	err := copyStreams(stream, p)
	// The streams have ended; the engine knows why.
	ctx, cancel := context.WithTimeout(context.Background(), cleanupLimit)
	defer cancel()
	status, exitErr := exit(ctx)
	if err == nil && exitErr == nil && status != 0 {
		exitErr = neverRan(string(stderr.kept), "run "+p.Args[0])
	}
	c.spec.Hooks.ReportExit(status, errors.Join(err, exitErr))
}

func (c *Container) mainExit(ctx context.Context) (int, error) {
	waited, failed := c.engine.api.ContainerWait(ctx, c.id, container.WaitConditionNotRunning)
	select {
	case w := <-waited:
		if w.Error != nil { // podman's, of a container that is removed
			return int(w.StatusCode), fmt.Errorf("wait for the container: %s", w.Error.Message)
		}
		return int(w.StatusCode), nil
	case err := <-failed:
		return 0, c.engine.fault(err, "wait for the container")
	}
}

// awaitShell waits until the idle shell answers.
func (c *Container) awaitShell(ctx context.Context, image string) error {
	const ready = "buildlocal-is-ready"
	// If it ended already, what it printed says more than the error here.
	_, _ = io.WriteString(c.stream.Conn, "echo "+ready+"\n")
	// Two, for a long output must not push out the error that came before it.
	seen, complained := newWatch(ready), newWatch(ready)
	go func() {
		_ = copyStreams(c.stream, engine.Process{Stdout: seen, Stderr: complained})
		seen.end()
	}()
	select {
	case <-seen.found:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-seen.ended:
		printed := strings.TrimSpace(seen.text() + "\n" + complained.text())
		if err := neverRan(printed, "start a container from "+image); err != nil {
			return err
		}
		return &engine.Fault{Kind: engine.Died,
			Message: fmt.Sprintf("start a container from %s: its shell ended before the build began\n%s", image, printed),
			Hint:    "An image needs an sh that runs: try docker run --entrypoint sh."}
	}
}
