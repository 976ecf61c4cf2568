// Package docker runs build environments on a Docker engine, or on anything
// that speaks its API.
package docker

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"strings"

	"github.com/docker/cli/cli/config"
	"github.com/docker/cli/cli/config/configfile"
	cliContext "github.com/docker/cli/cli/context"
	contextdocker "github.com/docker/cli/cli/context/docker"
	"github.com/docker/cli/cli/context/store"
	"github.com/docker/docker/client"

	"github.com/buildlocal/buildlocal/engine"
)

// Options say where the engine is. The zero value looks in the usual places.
type Options struct {
	Host      string // DOCKER_HOST: unix://, tcp://, ssh://
	Context   string // DOCKER_CONTEXT
	TLSVerify bool   // DOCKER_TLS_VERIFY
	CertPath  string // DOCKER_CERT_PATH
	ConfigDir string // DOCKER_CONFIG, else ~/.docker
	Home      string // the user's home directory
	Runtime   string // XDG_RUNTIME_DIR
	Version   string // DOCKER_API_VERSION; empty negotiates
	// Relay returns the file of this program for Linux on an architecture, such as
	// amd64. It serves a container's services. Nil where there is none.
	Relay func(architecture string) (string, error)
	// Measure asks a registry how large an image is for a platform; of one that has the
	// digest have it need tell no more than that. Nil where that is not asked.
	Measure func(ctx context.Context, image, platform, have string) (engine.ImageSize, error)
}

// Engine is a Docker engine.
type Engine struct {
	api    *client.Client
	config *configfile.ConfigFile
	host   string // its address as it was found
	found  string // how the engine was found, for a message
	relay  func(architecture string) (string, error)

	measure func(ctx context.Context, image, platform, have string) (engine.ImageSize, error)

	turn     chan struct{} // held by the one who makes the relay's image, or asks for the platform
	platform string        // of its machine, once it was asked
}

// Connect finds the engine: DOCKER_HOST, then the context, then the sockets that
// Docker, its rootless kind, Colima, Docker Desktop, OrbStack and Podman are known
// to listen on. It talks to none yet; see Ping.
func Connect(o Options) (*Engine, error) {
	if o.ConfigDir == "" {
		o.ConfigDir = filepath.Join(o.Home, ".docker")
	}
	file, err := config.Load(o.ConfigDir)
	if err != nil {
		return nil, &engine.Fault{Kind: engine.NoEngine, Err: err,
			Message: fmt.Sprintf("read the docker configuration: %v", err),
			Hint:    "Mend or remove " + filepath.Join(o.ConfigDir, "config.json") + "."}
	}
	endpoint, found, err := find(o, file)
	if err != nil {
		return nil, err
	}
	api, err := newClient(endpoint, o.Version)
	if err != nil {
		return nil, &engine.Fault{Kind: engine.NoEngine, Err: err,
			Message: fmt.Sprintf("connect to Docker at %s (from %s): %v", endpoint.Host, found, err),
			Hint:    "DOCKER_HOST, as a docker context, names an engine by unix://PATH, tcp://HOST:PORT or ssh://USER@HOST."}
	}
	return &Engine{api: api, config: file, host: cmp.Or(endpoint.Host, api.DaemonHost()), found: found, relay: o.Relay, measure: o.Measure, turn: make(chan struct{}, 1)}, nil
}

// Credentials are what the docker configuration, and its credential helpers, say
// to a registry. They may be empty.
type Credentials struct{ Username, Password, IdentityToken, RegistryToken string }

// CredentialsFor returns those for a registry, such as ghcr.io.
func CredentialsFor(o Options, registry string) (Credentials, error) {
	if o.ConfigDir == "" {
		o.ConfigDir = filepath.Join(o.Home, ".docker")
	}
	file, err := config.Load(o.ConfigDir)
	if err != nil {
		return Credentials{}, fmt.Errorf("read the docker configuration: %w", err)
	}
	a, err := file.GetAuthConfig(loginName(registry))
	return Credentials{a.Username, a.Password, a.IdentityToken, a.RegistryToken}, err
}

// loginName is how the configuration calls a registry.
func loginName(registry string) string {
	if registry == "docker.io" || registry == "index.docker.io" {
		return "https://index.docker.io/v1/"
	}
	return registry
}

// Version returns the engine's version, such as 28.2.2.
func (e *Engine) Version(ctx context.Context) (string, error) {
	v, err := e.api.ServerVersion(ctx)
	return v.Version, e.fault(orCause(ctx, err), "ask the engine for its version")
}

func newClient(endpoint contextdocker.Endpoint, version string) (*client.Client, error) {
	opts, err := endpoint.ClientOpts()
	if err != nil {
		return nil, err
	}
	if version != "" {
		opts = append(opts, client.WithVersion(version))
	}
	return client.NewClientWithOpts(append(opts, client.WithUserAgent("buildlocal"))...)
}

// find returns the endpoint and how it was found.
func find(o Options, file *configfile.ConfigFile) (contextdocker.Endpoint, string, error) {
	if o.Host != "" {
		return fromHost(o)
	}
	name, origin := o.Context, "DOCKER_CONTEXT"
	if name == "" {
		name, origin = file.CurrentContext, "the docker configuration"
	}
	if name != "" && name != "default" {
		e, err := fromContext(o.ConfigDir, name)
		if err != nil {
			return e, "", &engine.Fault{Kind: engine.NoEngine, Err: err,
				Message: fmt.Sprintf("read the docker context %q named by %s: %v", name, origin, err),
				Hint:    "List the contexts with docker context ls, and choose one with docker context use."}
		}
		return e, "the docker context " + name, nil
	}
	host := firstSocket(o)
	return contextdocker.Endpoint{EndpointMeta: cliContext.EndpointMetaBase{Host: host}}, "its usual place", nil
}

func fromHost(o Options) (contextdocker.Endpoint, string, error) {
	e := contextdocker.Endpoint{EndpointMeta: cliContext.EndpointMetaBase{Host: o.Host}}
	if !o.TLSVerify && o.CertPath == "" {
		return e, "DOCKER_HOST", nil
	}
	dir := o.CertPath
	if dir == "" {
		dir = o.ConfigDir
	}
	e.SkipTLSVerify = !o.TLSVerify
	tls, err := cliContext.TLSDataFromFiles(filepath.Join(dir, "ca.pem"), filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem"))
	if err != nil {
		return e, "", &engine.Fault{Kind: engine.NoEngine, Err: err,
			Message: fmt.Sprintf("read the certificates for %s: %v", o.Host, err),
			Hint:    "DOCKER_CERT_PATH names the directory with ca.pem, cert.pem and key.pem."}
	}
	e.TLSData = tls
	return e, "DOCKER_HOST", nil
}

func fromContext(configDir, name string) (contextdocker.Endpoint, error) {
	contexts := store.New(filepath.Join(configDir, "contexts"), store.NewConfig(
		func() any { return &map[string]any{} },
		store.EndpointTypeGetter(contextdocker.DockerEndpoint, func() any { return &contextdocker.EndpointMeta{} }),
	))
	meta, err := contexts.GetMetadata(name)
	if err != nil {
		return contextdocker.Endpoint{}, err
	}
	endpoint, err := contextdocker.EndpointFromContext(meta)
	if err != nil {
		return contextdocker.Endpoint{}, err
	}
	return contextdocker.WithTLSData(contexts, name, endpoint)
}

// firstSocket returns the first usual socket at which something listens, for us; else
// the first that exists, else the default.
func firstSocket(o Options) string {
	candidates := []string{
		strings.TrimPrefix(client.DefaultDockerHost, "unix://"),
		filepath.Join(o.Runtime, "docker.sock"),
		filepath.Join(o.Home, ".docker/run/docker.sock"),
		filepath.Join(o.Home, ".docker/desktop/docker.sock"),
		filepath.Join(o.Home, ".colima/default/docker.sock"),
		filepath.Join(o.Home, ".config/colima/default/docker.sock"),
		filepath.Join(o.Home, ".orbstack/run/docker.sock"),
		filepath.Join(o.Home, ".rd/docker.sock"),
		filepath.Join(o.Runtime, "podman/podman.sock"),
		"/run/podman/podman.sock",
		filepath.Join(o.Home, ".local/share/containers/podman/machine/podman.sock"),
	}
	first := ""
	for _, path := range candidates {
		if !filepath.IsAbs(path) {
			continue // a base that is not known
		}
		if listens(path) {
			return "unix://" + path
		}
		info, err := os.Stat(path)
		if err == nil && first == "" && info.Mode()&fs.ModeSocket != 0 {
			first = "unix://" + path
		}
	}
	return cmp.Or(first, client.DefaultDockerHost)
}

func listens(path string) bool {
	conn, err := net.Dial("unix", path)
	if err == nil {
		_ = conn.Close()
	}
	return err == nil
}

// await waits for the turn, which ends with the function that is returned. The error is
// why ctx ended.
func (e *Engine) await(ctx context.Context) (func(), error) {
	select {
	case e.turn <- struct{}{}:
		return func() { <-e.turn }, nil
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
}

// Ping asks whether the engine answers. The error is a *engine.Fault, or why ctx
// ended.
func (e *Engine) Ping(ctx context.Context) error {
	const doing = "reach the Docker engine"
	pong, err := e.api.Ping(ctx)
	if err == nil && pong.APIVersion == "" {
		err = errors.New("the server is not Docker")
	}
	err = e.fault(orCause(ctx, err), doing)
	if err == nil || ctx.Err() != nil || isFault(err) {
		return err
	}
	return e.noEngine(errors.Unwrap(err), doing)
}

// Host returns the engine's address, such as unix:///var/run/docker.sock.
func (e *Engine) Host() string { return e.host }

// Close ends the connections to the engine.
func (e *Engine) Close() error { return e.api.Close() }
