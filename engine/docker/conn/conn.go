// Package conn connects to a Docker engine, or to any engine with Docker's API, and has
// the operations that all parts of the driver share: it translates errors into
// [engine.Fault], copies files as tar streams, and lists and removes resources.
//
// [Connect] looks for an engine; [Engine.API] is the client for everything else. The
// package knows nothing of builds: creating their containers is the task of engine/docker.
package conn

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"time"

	"github.com/docker/cli/cli/config"
	"github.com/docker/cli/cli/config/configfile"
	cliContext "github.com/docker/cli/cli/context"
	contextdocker "github.com/docker/cli/cli/context/docker"
	"github.com/docker/cli/cli/context/store"
	"github.com/docker/docker/api/types/container"
	"github.com/docker/docker/api/types/network"
	"github.com/docker/docker/client"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/buildlocal/buildlocal/engine"
)

// CleanupTimeout bounds operations that must finish although their context has ended, such
// as removing the remains of a failed start.
const CleanupTimeout = 30 * time.Second

// Options select an engine as the docker CLI does. With the zero value, Connect tries the
// sockets where engines usually listen. The fields are named after the variables of the docker CLI;
// the caller reads them.
type Options struct {
	Host      string // DOCKER_HOST: unix://, tcp://, ssh://
	Context   string // DOCKER_CONTEXT
	TLSVerify bool   // DOCKER_TLS_VERIFY
	CertPath  string // DOCKER_CERT_PATH
	ConfigDir string // DOCKER_CONFIG; empty for ~/.docker
	Home      string // the user's home directory
	Runtime   string // XDG_RUNTIME_DIR
	Version   string // DOCKER_API_VERSION; empty to negotiate
}

// Engine is a connection to an engine. Its methods can be called concurrently.
type Engine struct {
	API    *client.Client
	config *configfile.ConfigFile
	host   string // the engine's address
	origin string // where the address comes from, for messages

	sem      chan struct{} // a lock that can be waited for with a context, see Lock
	platform string        // of the engine's host once it is known; protected by sem
}

// Connect finds an engine: from DOCKER_HOST, else the docker context, else the well-known
// sockets of Docker, rootless Docker, Colima, Docker Desktop, OrbStack, Rancher Desktop and
// Podman. It does not connect yet; see Ping.
func Connect(o Options) (*Engine, error) {
	o.ConfigDir = configDir(o)
	// A missing file is an empty configuration. A damaged one is an error, because it may name the
	// engine.
	file, err := config.Load(o.ConfigDir)
	if err != nil {
		return nil, &engine.Fault{Kind: engine.NoEngine, Err: err,
			Message: fmt.Sprintf("read the docker configuration: %v", err),
			Hint:    "Fix or remove " + filepath.Join(o.ConfigDir, "config.json") + "."}
	}
	endpoint, origin, err := findEndpoint(o, file)
	if err != nil {
		return nil, err
	}
	api, err := newClient(endpoint, o.Version)
	if err != nil {
		return nil, &engine.Fault{Kind: engine.NoEngine, Err: err,
			Message: fmt.Sprintf("connect to Docker at %s (from %s): %v", endpoint.Host, origin, err),
			Hint: "Set DOCKER_HOST, or the host of the docker context, to unix://PATH, tcp://HOST:PORT " +
				"or ssh://USER@HOST."}
	}
	return &Engine{
		API: api, config: file, host: cmp.Or(endpoint.Host, api.DaemonHost()), origin: origin, sem: make(chan struct{}, 1),
	}, nil
}

// IsConfigured reports whether the user has named an engine, by DOCKER_HOST or a docker context. An
// invalid configuration counts, because it may name one.
func IsConfigured(o Options) bool {
	if o.Host != "" {
		return true
	}
	file, err := config.Load(configDir(o))
	if err != nil {
		return true
	}
	name := cmp.Or(o.Context, file.CurrentContext)
	return name != "" && name != "default"
}

// configDir returns the directory of the docker configuration.
func configDir(o Options) string { return cmp.Or(o.ConfigDir, filepath.Join(o.Home, ".docker")) }

// Credentials are a login of a registry. All fields are empty if there is no login.
type Credentials struct{ Username, Password, IdentityToken, RegistryToken string }

// CredentialsFor returns the login of a registry, such as ghcr.io, from the docker
// configuration and its credential helpers.
func CredentialsFor(o Options, registry string) (Credentials, error) {
	file, err := config.Load(configDir(o))
	if err != nil {
		return Credentials{}, fmt.Errorf("read the docker configuration: %w", err)
	}
	a, err := file.GetAuthConfig(AuthKey(registry))
	return Credentials{a.Username, a.Password, a.IdentityToken, a.RegistryToken}, err
}

// AuthKey returns the key of a registry in the docker configuration. Docker Hub has the
// address of its first API there, for historical reasons.
func AuthKey(registry string) string {
	if registry == "docker.io" || registry == "index.docker.io" {
		return "https://index.docker.io/v1/"
	}
	return registry
}

// Config returns the docker configuration that Connect has read.
func (e *Engine) Config() *configfile.ConfigFile { return e.config }

// newClient returns a client for an endpoint. Without a version it negotiates one with the engine.
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

// findEndpoint returns the endpoint, and where it comes from.
func findEndpoint(o Options, file *configfile.ConfigFile) (contextdocker.Endpoint, string, error) {
	if o.Host != "" {
		return fromHost(o)
	}
	name, origin := o.Context, "DOCKER_CONTEXT"
	if name == "" {
		name, origin = file.CurrentContext, "the docker configuration"
	}
	// The context "default" means the local engine and has no metadata.
	if name != "" && name != "default" {
		e, err := fromContext(o.ConfigDir, name)
		if err != nil {
			return e, "", &engine.Fault{Kind: engine.NoEngine, Err: err,
				Message: fmt.Sprintf("read the docker context %q named by %s: %v", name, origin, err),
				Hint:    "List the contexts with docker context ls, and select one with docker context use."}
		}
		return e, "the docker context " + name, nil
	}
	host := firstSocket(o)
	return contextdocker.Endpoint{EndpointMeta: cliContext.EndpointMetaBase{Host: host}}, "the default location", nil
}

// fromHost returns the endpoint of DOCKER_HOST, with the certificates that the docker CLI would
// use.
func fromHost(o Options) (contextdocker.Endpoint, string, error) {
	e := contextdocker.Endpoint{EndpointMeta: cliContext.EndpointMetaBase{Host: o.Host}}
	if !o.TLSVerify && o.CertPath == "" {
		return e, "DOCKER_HOST", nil
	}
	dir := cmp.Or(o.CertPath, o.ConfigDir)
	e.SkipTLSVerify = !o.TLSVerify
	tls, err := cliContext.TLSDataFromFiles(
		filepath.Join(dir, "ca.pem"),
		filepath.Join(dir, "cert.pem"),
		filepath.Join(dir, "key.pem"),
	)
	if err != nil {
		return e, "", &engine.Fault{Kind: engine.NoEngine, Err: err,
			Message: fmt.Sprintf("read the certificates for %s: %v", o.Host, err),
			Hint:    "Set DOCKER_CERT_PATH to the directory with ca.pem, cert.pem and key.pem."}
	}
	e.TLSData = tls
	return e, "DOCKER_HOST", nil
}

// fromContext reads a docker context from the store of the CLI.
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

// firstSocket returns the address of the first well-known socket that accepts a
// connection. Otherwise it returns the first that exists, so that the error names a
// socket that the user knows, and else Docker's default. A socket that exists but refuses
// connections is usually that of an engine that was stopped.
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
			continue // Home or Runtime is not set
		}
		if acceptsConnections(path) {
			return "unix://" + path
		}
		info, err := os.Stat(path)
		if err == nil && first == "" && info.Mode()&fs.ModeSocket != 0 {
			first = "unix://" + path
		}
	}
	return cmp.Or(first, client.DefaultDockerHost)
}

// acceptsConnections reports whether a process listens at a socket. The file of a stopped engine
// remains.
func acceptsConnections(path string) bool {
	conn, err := net.Dial("unix", path)
	if err == nil {
		_ = conn.Close()
	}
	return err == nil
}

// Host returns the engine's address, such as unix:///var/run/docker.sock.
func (e *Engine) Host() string { return e.host }

// Close closes the connections to the engine.
func (e *Engine) Close() error { return e.API.Close() }

// Ping checks that an engine answers. The error is a *engine.Fault, or the cause of ctx.
func (e *Engine) Ping(ctx context.Context) error {
	const doing = "reach the Docker engine"
	pong, err := e.API.Ping(ctx)
	switch {
	case err == nil && pong.APIVersion == "":
		err = errors.New("the server is not Docker")
	case err == nil: // else the first request of the client would ask once more
		e.API.NegotiateAPIVersionPing(pong)
	}
	err = e.Fault(CauseOr(ctx, err), doing)
	if err == nil || ctx.Err() != nil || IsFault(err) {
		return err
	}
	// An error of Ping that is not classified otherwise means that something else than an engine has
	// answered.
	return e.noEngine(errors.Unwrap(err), doing)
}

// Version returns the engine's version, such as 28.2.2.
func (e *Engine) Version(ctx context.Context) (string, error) {
	v, err := e.API.ServerVersion(ctx)
	return v.Version, e.Fault(CauseOr(ctx, err), "get the engine's version")
}

// Info describes an engine.
type Info struct {
	Version     string
	CPUs        int
	Memory      int64  // bytes
	Storage     string // storage driver, such as overlay2
	Root        string // data directory on the engine's host
	SharesFiles bool   // the engine can mount this host's files
}

// Info returns a description of the engine.
func (e *Engine) Info(ctx context.Context) (Info, error) {
	info, err := e.API.Info(ctx)
	if err != nil {
		return Info{}, e.Fault(CauseOr(ctx, err), "get the engine's description")
	}
	return Info{
		Version: info.ServerVersion, CPUs: info.NCPU, Memory: info.MemTotal, Storage: info.Driver,
		Root: info.DockerRootDir, SharesFiles: e.CheckSharedFiles() == nil,
	}, nil
}

// Lock serializes slow operations whose result is shared by concurrent starts. The caller
// calls unlock. The error is the cause of ctx.
func (e *Engine) Lock(ctx context.Context) (unlock func(), err error) {
	select {
	case e.sem <- struct{}{}:
		return func() { <-e.sem }, nil
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
}

// Native returns the platform of the engine's host. The engine is asked at most once,
// because Podman takes seconds to answer.
func (e *Engine) Native(ctx context.Context) (string, error) {
	if e.CheckLocal() == nil {
		return Platform("linux", runtime.GOARCH, ""), nil
	}
	unlock, err := e.Lock(ctx)
	if err != nil {
		return "", err
	}
	defer unlock()
	if e.platform == "" {
		version, err := e.API.ServerVersion(ctx)
		if err != nil {
			return "", e.Fault(err, "get the engine's architecture")
		}
		e.platform = Platform("linux", version.Arch, "")
	}
	return e.platform, nil
}

// Platform joins the parts of a platform, such as linux/arm64 or linux/arm/v7. An image
// without an operating system is for Linux.
func Platform(os, arch, variant string) string {
	return strings.TrimSuffix(cmp.Or(os, "linux")+"/"+arch+"/"+variant, "/")
}

// ParsePlatform is the inverse of Platform. It returns nil for "".
func ParsePlatform(platform string) *ocispec.Platform {
	if platform == "" {
		return nil
	}
	parts := append(strings.Split(platform, "/"), "", "")
	return &ocispec.Platform{OS: parts[0], Architecture: parts[1], Variant: parts[2]}
}

// Creation describes a container to create.
type Creation struct {
	Name     string
	Platform string // empty for the engine's own
	Config   *container.Config
	Host     *container.HostConfig
	Network  *network.NetworkingConfig // nil for the default
}

// CreateContainer creates a container. It does not stop when ctx ends, because the engine
// would create the container all the same, and the caller could not remove it without
// its ID.
func (e *Engine) CreateContainer(ctx context.Context, c Creation) (container.CreateResponse, error) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), CleanupTimeout)
	defer cancel()
	return e.API.ContainerCreate(ctx, c.Config, c.Host, c.Network, ParsePlatform(c.Platform), c.Name)
}
