// Package docker runs build environments on a Docker engine, or on any engine with Docker's
// API, such as Podman.
//
// [Connect] returns an [Engine], which implements engine.Engine and engine.Lister. This
// package creates containers and runs processes in them. The packages below it have the
// rest: conn the connection, errors and removal, image the images, relay services and
// metadata addresses, and share the engine's socket for builds, with the proxy of apiproxy.
package docker

import (
	"context"
	"errors"
	"fmt"

	"github.com/buildlocal/buildlocal/engine"
	"github.com/buildlocal/buildlocal/engine/docker/conn"
	"github.com/buildlocal/buildlocal/engine/docker/image"
	"github.com/buildlocal/buildlocal/engine/docker/relay"
	"github.com/buildlocal/buildlocal/engine/docker/share"
	"github.com/buildlocal/buildlocal/internal/tree"
)

// InsideLabel is the label of everything that a container created at the engine's socket.
// Its value is the container's name.
const InsideLabel = share.InsideLabel

// Options select an engine as the docker CLI does. With the zero value, Connect tries the
// sockets where engines usually listen.
type Options struct {
	Host      string // DOCKER_HOST: unix://, tcp://, ssh://
	Context   string // DOCKER_CONTEXT
	TLSVerify bool   // DOCKER_TLS_VERIFY
	CertPath  string // DOCKER_CERT_PATH
	ConfigDir string // DOCKER_CONFIG; empty for ~/.docker
	Home      string // the user's home directory
	Runtime   string // XDG_RUNTIME_DIR
	Version   string // DOCKER_API_VERSION; empty to negotiate
	// Relay returns the file of this program for Linux and an architecture, such as amd64,
	// which serves as the relay of services. If it is nil, services are not supported.
	Relay func(architecture string) (string, error)
	// Measure returns the size of an image in its registry, for a platform. If have is the
	// image's digest, it need not return more than the digest. If it is nil, sizes are not
	// checked before a pull.
	Measure func(ctx context.Context, image, platform, have string) (engine.ImageSize, error)
}

// connection returns the options that package conn needs: those that select the engine.
func (o Options) connection() conn.Options {
	return conn.Options{
		Host: o.Host, Context: o.Context, TLSVerify: o.TLSVerify, CertPath: o.CertPath,
		ConfigDir: o.ConfigDir, Home: o.Home, Runtime: o.Runtime, Version: o.Version,
	}
}

// Engine is a Docker engine. Its methods can be called concurrently.
type Engine struct {
	*image.Store // methods on images

	conn   *conn.Engine
	relays *relay.Images
}

// Connect finds an engine: from DOCKER_HOST, else the docker context, else the well-known
// sockets. It does not connect yet; see Ping.
func Connect(o Options) (*Engine, error) {
	c, err := conn.Connect(o.connection())
	if err != nil {
		return nil, err
	}
	return &Engine{
		Store: image.New(c, o.Measure), conn: c, relays: &relay.Images{Conn: c, Program: o.Relay},
	}, nil
}

// IsConfigured reports whether the user has named an engine, by DOCKER_HOST or a docker context.
func IsConfigured(o Options) bool { return conn.IsConfigured(o.connection()) }

// Credentials are a login of a registry. All fields are empty if there is no login.
type Credentials = conn.Credentials

// CredentialsFor returns the login of a registry, such as ghcr.io, from the docker
// configuration and its credential helpers.
func CredentialsFor(o Options, registry string) (Credentials, error) {
	return conn.CredentialsFor(o.connection(), registry)
}

// About describes an engine.
type About = conn.Info

// About returns a description of the engine.
func (e *Engine) About(ctx context.Context) (About, error) { return e.conn.Info(ctx) }

// Ping checks that the engine answers. The error is a *engine.Fault, or the cause of ctx.
func (e *Engine) Ping(ctx context.Context) error { return e.conn.Ping(ctx) }

// Version returns the engine's version, such as 28.2.2.
func (e *Engine) Version(ctx context.Context) (string, error) { return e.conn.Version(ctx) }

// Host returns the engine's address, such as unix:///var/run/docker.sock.
func (e *Engine) Host() string { return e.conn.Host() }

// Close closes the connections to the engine.
func (e *Engine) Close() error { return e.conn.Close() }

// List returns all resources that have a label. See engine.Lister.
func (e *Engine) List(ctx context.Context, key string) ([]engine.Resource, error) {
	return e.conn.List(ctx, key)
}

// Sizes returns the disk space that removing each resource frees, in bytes, by ID. Resources of
// unknown size are missing.
func (e *Engine) Sizes(ctx context.Context) (map[string]int64, error) { return e.conn.Sizes(ctx) }

// Remove removes a resource that List returned. See engine.Lister.
func (e *Engine) Remove(ctx context.Context, r engine.Resource) error { return e.conn.Remove(ctx, r) }

// Emulator returns the interpreter for programs of an architecture, such as arm64, or "" if
// this host has none. known is false if the host does not support binfmt_misc.
func Emulator(arch string) (program string, known bool) { return image.Emulator(arch) }

// FreeSpace returns how many bytes can still be written in a directory of this host. If
// the directory does not exist yet, its nearest parent counts.
func FreeSpace(dir string) (int64, error) {
	if free, known := tree.FreeSpaceFor(dir); known {
		return free, nil
	}
	return 0, fmt.Errorf("free space of %s: %w", dir, errors.ErrUnsupported)
}

var (
	_ engine.Lister          = (*Engine)(nil)
	_ engine.PlatformChecker = (*Engine)(nil)
)
