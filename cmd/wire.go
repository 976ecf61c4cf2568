package cmd

import (
	"context"

	"github.com/buildlocal/buildlocal/engine/docker"
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
