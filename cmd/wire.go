package cmd

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"

	"github.com/buildlocal/buildlocal/engine"
	"github.com/buildlocal/buildlocal/engine/docker"
	"github.com/buildlocal/buildlocal/engine/sandbox"
)

// engine connects to the Docker engine.
func (a *App) engine(ctx context.Context) (*docker.Engine, error) {
	verify, _ := a.LookupEnv("DOCKER_TLS_VERIFY")
	e, err := docker.Connect(docker.Options{
		Host: a.env("DOCKER_HOST"), Context: a.env("DOCKER_CONTEXT"), TLSVerify: verify != "", CertPath: a.env("DOCKER_CERT_PATH"),
		ConfigDir: a.env("DOCKER_CONFIG"), Home: a.Home, Runtime: a.env("XDG_RUNTIME_DIR"), Version: a.env("DOCKER_API_VERSION"),
	})
	if err != nil {
		return nil, err
	}
	if err := e.Ping(ctx); err != nil {
		return nil, err
	}
	return e, nil
}

// environment is the engine of one build.
type environment struct {
	engine.Engine
	host  string // where a container that is kept is found
	place string // what stands for an image; empty for one
	close func() error
}

// ownFiles is what a build on the engine host runs in.
const ownFiles = "this machine's own files: your tools, not CodeBuild's image"

// environment returns the engine that is asked for. By itself it is Docker; on
// Linux without it, where no image is named, it is the machine's own files.
func (a *App) environment(ctx context.Context, f *runFlags, g *found) (*environment, error) {
	if f.engine == "host" {
		return a.ownFiles(), nil
	}
	e, err := a.engine(ctx)
	if err == nil {
		return &environment{Engine: e, host: e.Host(), close: e.Close}, nil
	}
	var fault *engine.Fault
	named := firstText(f.image, g.project.Environment.Image) != ""
	if f.engine != "auto" || named || runtime.GOOS != "linux" || !errors.As(err, &fault) || fault.Kind != engine.NoEngine {
		return nil, err
	}
	fmt.Fprintf(a.Stderr, "No Docker engine answers: the build runs in %s.\n", ownFiles)
	return a.ownFiles(), nil
}

func (a *App) ownFiles() *environment {
	const usual = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
	e := sandbox.New(sandbox.Options{Path: firstText(a.env("PATH"), usual), Mask: secretPlaces(a.Home)})
	return &environment{Engine: e, place: ownFiles, close: func() error { return nil }}
}

// secretPlaces are where this machine keeps credentials, which no build gets by
// itself.
func secretPlaces(home string) []string {
	var all []string
	for _, dir := range []string{home, "/root"} {
		for _, name := range []string{".aws", ".ssh", ".docker", ".config/gcloud", ".kube", ".netrc", ".git-credentials", ".npmrc", ".pypirc"} {
			if dir != "" {
				all = append(all, filepath.Join(dir, name))
			}
		}
	}
	return all
}

// firstOfSandbox is the first process of a sandbox, when this is one.
func firstOfSandbox() {
	if sandbox.IsInit(os.Args) {
		os.Exit(sandbox.Init())
	}
}
