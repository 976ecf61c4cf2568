package local

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"time"

	"github.com/buildlocal/buildlocal/engine"
	"github.com/buildlocal/buildlocal/engine/docker"
	"github.com/buildlocal/buildlocal/engine/images"
	"github.com/buildlocal/buildlocal/engine/sandbox"
)

// HostFiles describes the place of a build on the engine host.
const HostFiles = "this host's tools, not CodeBuild's image"

// DockerOptions returns the settings of the Docker client in the host's environment.
func (h *Host) DockerOptions() docker.Options {
	verify := h.Env("DOCKER_TLS_VERIFY")
	return docker.Options{
		Host: h.Env(
			"DOCKER_HOST",
		), Context: h.Env("DOCKER_CONTEXT"), TLSVerify: verify != "", CertPath: h.Env("DOCKER_CERT_PATH"),
		ConfigDir: h.Env(
			"DOCKER_CONFIG",
		), Home: h.Home, Runtime: h.Env("XDG_RUNTIME_DIR"), Version: h.Env("DOCKER_API_VERSION"),
		Relay: h.Program,
		Measure: func(ctx context.Context, image, platform, have string) (engine.ImageSize, error) {
			return images.Measure(ctx, image, platform, have, h.Login)
		},
	}
}

// Docker connects to the Docker engine. The caller closes it.
func (h *Host) Docker(ctx context.Context) (*docker.Engine, error) {
	e, err := docker.Connect(h.DockerOptions())
	if err != nil {
		return nil, err
	}
	if err := e.Ping(ctx); err != nil {
		return nil, errors.Join(err, e.Close())
	}
	return e, nil
}

// Sandbox returns the engine that needs no daemon. The paths in hidden are not visible in
// builds that see the host's files.
func (h *Host) Sandbox(mode sandbox.Mode, hidden ...string) *sandbox.Engine {
	const usualPath = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
	o := sandbox.Options{Mode: mode, User: h.User, Store: h.ImageStore(), Now: h.Now, Login: h.Login}
	if mode == sandbox.Host {
		if o.Path = h.Env("PATH"); o.Path == "" {
			o.Path = usualPath
		}
		// The sockets of runs are for the user of this host, and not for builds, whose processes
		// may have the same user.
		o.Mask = append(append(hidden, h.Runs().Path), h.credentialFiles()...)
	}
	return sandbox.New(o)
}

// Login returns the user's login for a registry, from the Docker configuration.
func (h *Host) Login(registry string) (images.Login, error) {
	c, err := docker.CredentialsFor(h.DockerOptions(), registry)
	return images.Login(c), err
}

// ImageStore returns the directory of the images of the sandbox engine.
func (h *Host) ImageStore() string {
	if dir := h.CacheFile("images"); dir != "" {
		return dir
	}
	return filepath.Join(h.Runs().Path, "images")
}

// credentialFiles returns files and directories with credentials of the user, which no
// build can read.
func (h *Host) credentialFiles() []string {
	var all []string
	for _, name := range []string{"AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE"} {
		if file := h.Env(name); filepath.IsAbs(file) {
			all = append(all, file)
		}
	}
	names := []string{
		".aws", ".ssh", ".docker", ".config/gcloud", ".kube", ".netrc", ".git-credentials", ".npmrc", ".pypirc",
	}
	for _, dir := range []string{h.Home, "/root"} {
		for _, name := range names {
			if dir != "" {
				all = append(all, filepath.Join(dir, name))
			}
		}
	}
	return all
}

// chosenEngine is the engine of one build.
type chosenEngine struct {
	engine.Engine
	kind  EngineKind
	host  string // address of the engine; "" without a daemon
	place string // where the build runs if it has no image, else ""
	why   string // why it was chosen instead of Docker; "" if it was requested
	note  string // the same for the user, with the consequence
	close func() error

	unreachable bool // it cannot run builds, and has no Engine
}

// String returns the name and the address of the engine, for display.
func (e *chosenEngine) String() string {
	switch {
	case e.unreachable:
		return string(e.kind) + " (cannot be reached)"
	case e.host != "":
		return string(e.kind) + " at " + e.host
	case e.why != "":
		return string(e.kind) + " (" + e.why + ")"
	}
	return string(e.kind)
}

// ownNetwork reports whether builds have a network namespace of their own.
func (e *chosenEngine) ownNetwork() bool { return !e.kind.Daemonless() }

// chooseEngine connects to the engine of the request. EngineAuto is Docker. On Linux
// without Docker, a build with an image runs in the sandbox, one without on the host. An
// image in files of this machine always runs in the sandbox, because Docker runs only its
// own images.
func (h *Host) chooseEngine(ctx context.Context, in *Inputs) (*chosenEngine, error) {
	r := in.Request
	if r.Engine.Kind.Daemonless() {
		return h.daemonless(r, r.Engine.Kind), nil
	}
	image := in.configuredImage()
	if r.Engine.Kind == EngineAuto && IsLocalImage(image) {
		return h.daemonless(r, EngineSandbox), nil
	}
	e, err := docker.Connect(h.DockerOptions())
	if err != nil {
		return nil, err // the configuration of the client is invalid
	}
	if err = e.Ping(ctx); err == nil {
		return &chosenEngine{Engine: e, kind: EngineDocker, host: e.Host(), close: e.Close}, nil
	}
	err = errors.Join(err, e.Close())
	// There is no fallback for a request that only Docker fulfills.
	var fault *engine.Fault
	if r.Engine.Kind != EngineAuto || r.Engine.Docker == "socket" || r.Access.needsDocker() ||
		runtime.GOOS != "linux" || !errors.As(err, &fault) {
		return nil, err
	}
	why, remedy := "", ""
	switch fault.Kind {
	case engine.NoEngine:
		why, remedy = "cannot connect to Docker at "+e.Host(), "start Docker"
	case engine.NoPermission:
		why = "permission denied on the Docker engine at " + e.Host()
		remedy = "join the group docker (sudo usermod -aG docker $USER, then log in again)"
	default: // there is an engine, but it does not work: the user expects the build to use it
		return nil, err
	}
	if image != "" {
		chosen := h.daemonless(r, EngineSandbox)
		chosen.why, chosen.note = why, fmt.Sprintf("warning: %s: building without Docker, in the image %s", why, image)
		return chosen, nil
	}
	if r.Image.Required {
		return nil, err
	}
	chosen := h.daemonless(r, EngineHost)
	chosen.why = why
	chosen.note = fmt.Sprintf("warning: %s: building with this host's tools, not in CodeBuild's image\n"+
		"hint: %s, or use --require-image to refuse this", why, remedy)
	return chosen, nil
}

// maxAutoTime is how long AutoEngine waits for a Docker engine.
const maxAutoTime = 2 * time.Second

// AutoEngine returns the engine that EngineAuto is for a request on this host now, and why it is not
// Docker, or "". The error says why builds cannot run here.
func (h *Host) AutoEngine(ctx context.Context, r *Request) (kind EngineKind, why string, err error) {
	ctx, cancel := context.WithTimeout(ctx, maxAutoTime)
	defer cancel()
	in := &Inputs{Request: r, host: h}
	// A project that cannot be read has no image. The build reports it.
	in.Project, _, _ = r.ReadProject(ctx)
	chosen, err := h.chooseEngine(ctx, in)
	switch {
	case err != nil && ctx.Err() != nil:
		return "", "", fmt.Errorf("no answer from Docker within %s", maxAutoTime)
	case err != nil:
		return "", "", err
	}
	return chosen.kind, chosen.why, chosen.close()
}

// daemonless returns a sandbox engine for a build. The build does not see the secrets file,
// even if it sees the rest of the host's files.
func (h *Host) daemonless(r *Request, kind EngineKind) *chosenEngine {
	var hidden []string
	for _, name := range r.secretPaths() {
		if full, err := filepath.Abs(name); err == nil {
			hidden = append(hidden, full)
		}
	}
	e := h.Sandbox(sandbox.Mode(kind), hidden...)
	chosen := &chosenEngine{Engine: e, kind: kind, close: e.Close}
	if kind == EngineHost {
		chosen.place = HostFiles
	}
	return chosen
}

// Warm starts the sandbox of a build before its inputs are read, because both take about
// as long. It returns nil for other engines.
func (h *Host) Warm(r *Request) *Warmed {
	if !r.Engine.Kind.Daemonless() || r.DryRun {
		return nil
	}
	chosen := h.daemonless(r, r.Engine.Kind)
	chosen.Engine.(*sandbox.Engine).Warm()
	return &Warmed{chosen}
}

// Warmed is a sandbox that was started early, to be passed to Prepare.
type Warmed struct{ engine *chosenEngine }

// Close ends the sandbox, if no build has used it. It may be called on nil.
func (w *Warmed) Close() error {
	if w == nil {
		return nil
	}
	return w.engine.close()
}

// programVariable names a build of this program for Linux, on other systems.
const programVariable = "BUILDLOCAL_LINUX_PROGRAM"

// Program returns the file of this program for Linux on an architecture, to be run in or
// beside a container: itself, or a file beside it.
func (h *Host) Program(architecture string) (string, error) {
	if file := h.Env(programVariable); file != "" {
		return file, nil
	}
	self, err := os.Executable()
	if err != nil {
		return "", err
	}
	if runtime.GOOS == "linux" && runtime.GOARCH == architecture {
		return self, nil
	}
	name := "buildlocal-linux-" + architecture
	// Users of other systems build it and put it beside this program, see docs/secrets.md.
	beside := filepath.Join(filepath.Dir(self), name)
	if _, err := os.Stat(beside); err == nil {
		return beside, nil
	}
	return "", fmt.Errorf("containers need a linux/%[1]s build of buildlocal, and %[2]s is not beside %[3]s\n"+
		"Build it with GOOS=linux GOARCH=%[1]s CGO_ENABLED=0 go build -o %[2]s, or set %[4]s to its path",
		architecture, name, self, programVariable)
}
