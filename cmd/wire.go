package cmd

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"runtime"
	"strings"

	"github.com/buildlocal/buildlocal/engine"
	"github.com/buildlocal/buildlocal/engine/docker"
	"github.com/buildlocal/buildlocal/engine/images"
	"github.com/buildlocal/buildlocal/engine/sandbox"
)

// dockerOptions are what this machine says of its Docker engine.
func (a *App) dockerOptions() docker.Options {
	verify, _ := a.LookupEnv("DOCKER_TLS_VERIFY")
	return docker.Options{
		Host: a.env("DOCKER_HOST"), Context: a.env("DOCKER_CONTEXT"), TLSVerify: verify != "", CertPath: a.env("DOCKER_CERT_PATH"),
		ConfigDir: a.env("DOCKER_CONFIG"), Home: a.Home, Runtime: a.env("XDG_RUNTIME_DIR"), Version: a.env("DOCKER_API_VERSION"),
		Relay: a.relay,
		Measure: func(ctx context.Context, image, platform, have string) (engine.ImageSize, error) {
			return images.Measure(ctx, image, platform, have, a.login)
		},
	}
}

// engine connects to the Docker engine.
func (a *App) engine(ctx context.Context) (*docker.Engine, error) {
	e, err := docker.Connect(a.dockerOptions())
	if err != nil {
		return nil, err
	}
	if err := e.Ping(ctx); err != nil {
		return nil, errors.Join(err, e.Close())
	}
	return e, nil
}

// environment is the engine of one build.
type environment struct {
	engine.Engine
	host    string // where a container that is kept is found
	place   string // what stands for an image; empty for one
	sandbox bool   // it ends with this program
	close   func() error
}

// ownFiles is what a build on the engine host runs in.
const ownFiles = "this machine's own files: your tools, not CodeBuild's image"

// environment returns the engine that is asked for. By itself it is Docker; on
// Linux without it, an image that is named is run by us, and without one the build
// is in the machine's own files. An image of this machine's files is always run by
// us: Docker knows only its own.
func (a *App) environment(ctx context.Context, f *runFlags, g *found) (*environment, error) {
	if err := a.wrongCache(f); err != nil { // nothing is started for a build that cannot keep its cache
		return nil, err
	}
	if g.early != nil {
		return g.early, nil
	}
	image := firstText(f.image, g.project.Environment.Image)
	if f.engine == "sandbox" || f.engine == "auto" && isLocalImage(image) {
		return a.sandbox(f, sandbox.Images), nil
	}
	e, err := docker.Connect(a.dockerOptions())
	if err != nil {
		return nil, err // what was said of it is wrong
	}
	if err = e.Ping(ctx); err == nil {
		return &environment{Engine: e, host: e.Host(), close: e.Close}, nil
	}
	err = errors.Join(err, e.Close())
	var fault *engine.Fault
	if f.engine != "auto" || f.docker == "socket" || runtime.GOOS != "linux" || !errors.As(err, &fault) || fault.Kind != engine.NoEngine && fault.Kind != engine.NoPermission {
		return nil, err
	}
	why := "Cannot connect to Docker at " + e.Host()
	if fault.Kind == engine.NoPermission {
		why = "Permission denied on the Docker engine at " + e.Host()
	}
	if image != "" {
		fmt.Fprintf(a.Stderr, "%s: running without Docker, in the image %s.\n", why, image)
		return a.sandbox(f, sandbox.Images), nil
	}
	fmt.Fprintf(a.Stderr, "%s: running in %s.\n", why, ownFiles)
	return a.sandbox(f, sandbox.Host), nil
}

// early starts an engine that is asked for by name, while the build is still read:
// what it needs first takes as long as that.
func (a *App) early(f *runFlags) *environment {
	if !f.daemonless() || f.dryRun {
		return nil
	}
	e := a.sandbox(f, sandbox.Mode(f.engine))
	e.Engine.(*sandbox.Engine).Warm()
	return e
}

// sandbox returns the engine that needs no daemon.
func (a *App) sandbox(f *runFlags, shape sandbox.Mode) *environment {
	var hidden []string
	for _, name := range f.secretPaths() {
		if full, err := filepath.Abs(name); err == nil {
			hidden = append(hidden, full)
		}
	}
	e := a.sandboxEngine(shape, hidden...)
	env := &environment{Engine: e, sandbox: true, close: e.Close}
	if shape == sandbox.Host {
		env.place = ownFiles
	}
	return env
}

func (a *App) sandboxEngine(shape sandbox.Mode, hidden ...string) *sandbox.Engine {
	const usual = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
	o := sandbox.Options{Mode: shape, User: a.User, Store: a.imageStore(), Now: a.Now}
	if shape == sandbox.Host {
		o.Path, o.Mask = firstText(a.env("PATH"), usual), append(hidden, a.secretPlaces()...)
	}
	o.Login = a.login
	return sandbox.New(o)
}

// login is what the docker configuration says to a registry.
func (a *App) login(registry string) (images.Login, error) {
	c, err := docker.CredentialsFor(a.dockerOptions(), registry)
	return images.Login(c), err
}

// imageStore is where images are kept that need no daemon.
func (a *App) imageStore() string {
	if dir := a.cacheFile("images"); dir != "" {
		return dir
	}
	return filepath.Join(a.tempRoot(), "images") // a user without a home
}

// isLocalImage tells an image in this machine's files from one that a registry or
// an engine has.
func isLocalImage(name string) bool {
	return strings.HasPrefix(name, "oci:") || strings.HasPrefix(name, "tar:")
}

// secretPlaces are where this machine keeps credentials, which no build gets by
// itself.
func (a *App) secretPlaces() []string {
	var all []string
	for _, name := range []string{"AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE"} {
		if file := a.env(name); filepath.IsAbs(file) {
			all = append(all, file)
		}
	}
	for _, dir := range []string{a.Home, "/root"} {
		for _, name := range []string{".aws", ".ssh", ".docker", ".config/gcloud", ".kube", ".netrc", ".git-credentials", ".npmrc", ".pypirc"} {
			if dir != "" {
				all = append(all, filepath.Join(dir, name))
			}
		}
	}
	return all
}
