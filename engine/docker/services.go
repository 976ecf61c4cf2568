package docker

import (
	"archive/tar"
	"bytes"
	"context"
	"crypto/sha256"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"

	"github.com/docker/docker/api/types/container"
	"github.com/docker/docker/api/types/image"
	"github.com/docker/docker/api/types/network"
	"github.com/docker/docker/pkg/stdcopy"

	"github.com/buildlocal/buildlocal/engine"
	"github.com/buildlocal/buildlocal/internal/relay"
)

// metadata is where clouds tell a machine its credentials, and credentials where
// CodeBuild and ECS tell a container its own.
const (
	metadata    = "169.254.169.254"
	credentials = "169.254.170.2"
)

// bridge is the network that containers are in by default.
const bridge = "bridge"

// networkOf gives a container addresses that would lead to the machine's metadata:
// what it asks there ends in itself, and in no container inside it is it otherwise.
// The engine takes link-local addresses on every network.
func networkOf(s engine.Spec) *network.NetworkingConfig {
	own := []string{metadata, credentials}
	if s.Metadata {
		own = nil
		for _, service := range s.Services {
			if host, _, err := net.SplitHostPort(service.Address); err == nil {
				own = append(own, host)
			}
		}
	}
	if len(own) == 0 {
		return nil
	}
	return &network.NetworkingConfig{EndpointsConfig: map[string]*network.EndpointSettings{
		bridge: {IPAMConfig: &network.EndpointIPAMConfig{LinkLocalIPs: own}},
	}}
}

// serve makes services reachable: a container of ours in the network of the build's
// listens, and carries each connection to us over its streams. It ends with us.
func (c *Container) serve(ctx context.Context, s engine.Spec) error {
	if len(s.Services) == 0 {
		return nil
	}
	name, err := c.engine.relayImage(ctx)
	if err != nil {
		return err
	}
	var addresses []string
	for _, service := range s.Services {
		addresses = append(addresses, service.Address)
	}
	made, err := c.engine.create(ctx, engine.Spec{Name: s.Name + "-services", Metadata: true}, &container.Config{
		Image: name, Cmd: addresses, Labels: s.Labels, OpenStdin: true, StdinOnce: true, AttachStdin: true, AttachStdout: true, AttachStderr: true,
	}, &container.HostConfig{
		NetworkMode: container.NetworkMode("container:" + c.id), CapDrop: []string{"ALL"}, CapAdd: []string{"NET_BIND_SERVICE"},
		ReadonlyRootfs: true, SecurityOpt: []string{"no-new-privileges"}, LogConfig: container.LogConfig{Type: "none"}, AutoRemove: true,
	})
	if err != nil {
		return c.engine.fault(err, "make a container for services")
	}
	c.relay = made.ID
	return c.beginRelay(ctx, s)
}

func (c *Container) beginRelay(ctx context.Context, s engine.Spec) error {
	stream, err := c.engine.api.ContainerAttach(ctx, c.relay, container.AttachOptions{Stream: true, Stdin: true, Stdout: true, Stderr: true})
	if err != nil {
		return c.engine.fault(err, "attach to the container for services")
	}
	if err := c.engine.api.ContainerStart(ctx, c.relay, container.StartOptions{}); err != nil {
		stream.Close()
		return c.engine.fault(err, "start the container for services")
	}
	var complaint bytes.Buffer
	r, w := io.Pipe()
	go func() {
		_, err := stdcopy.StdCopy(w, &complaint, stream.Reader)
		w.CloseWithError(err)
	}()
	listeners, at, err := relay.Near(&duplex{r, stream.Conn}, len(s.Services))
	if err != nil {
		stream.Close()
		return fmt.Errorf("start the container for services: %w%s", err, said(complaint.String()))
	}
	for i, service := range s.Services {
		if at[i] != service.Address && service.Elsewhere != nil {
			service.Elsewhere(at[i])
		}
		go func() { _ = service.Serve(listeners[i]) }()
	}
	return nil
}

// said is what a program complained about, behind an error.
func said(text string) string {
	if text = strings.TrimSpace(text); text != "" {
		return ": " + text
	}
	return ""
}

// duplex is what a container prints and what it reads.
type duplex struct {
	io.Reader
	net.Conn
}

// Read reads what the container prints.
func (d *duplex) Read(p []byte) (int, error) { return d.Reader.Read(p) }

// relayImage returns the image that holds the relay, which is made when it is first
// needed: this program, and what it is linked with.
func (e *Engine) relayImage(ctx context.Context) (string, error) {
	version, err := e.api.ServerVersion(ctx)
	if err != nil {
		return "", e.fault(err, "ask the engine for its architecture")
	}
	if e.relay == nil {
		return "", fmt.Errorf("services in a container: %w", engine.ErrUnsupported)
	}
	program, err := e.relay(version.Arch)
	if err != nil {
		return "", err
	}
	var archive bytes.Buffer
	if err := packProgram(&archive, program, "/"+relay.Name); err != nil {
		return "", fmt.Errorf("pack %s for the container for services: %w", program, err)
	}
	const digits = 6 // bytes of a hash that tell programs apart
	hash := sha256.Sum256(archive.Bytes())
	name := fmt.Sprintf("%s:%x", relay.Name, hash[:digits])
	if _, err := e.api.ImageInspect(ctx, name); err == nil {
		return name, nil
	}
	done, err := e.api.ImageImport(ctx, image.ImportSource{Source: &archive, SourceName: "-"}, name, image.ImportOptions{
		Platform: "linux/" + version.Arch, Changes: []string{`ENTRYPOINT ["/` + relay.Name + `"]`},
	})
	if err != nil {
		return "", e.fault(err, "make the image for services")
	}
	defer done.Close()
	if _, err := io.Copy(io.Discard, done); err != nil {
		return "", e.fault(err, "make the image for services")
	}
	return name, nil
}

// packProgram writes a program and its libraries as a tar stream, the same bytes for
// the same files.
func packProgram(w io.Writer, program, name string) error {
	all := map[string]string{name: program}
	order := []string{name}
	libraries, err := librariesOf(program)
	if err != nil {
		return err
	}
	for _, l := range libraries {
		all[l] = l
		order = append(order, l)
	}
	archive := tar.NewWriter(w)
	for _, name := range order {
		text, err := os.ReadFile(all[name])
		if err != nil {
			return err
		}
		head := &tar.Header{Name: strings.TrimPrefix(filepath.ToSlash(name), "/"), Mode: 0o755, Size: int64(len(text)), Typeflag: tar.TypeReg}
		if err := archive.WriteHeader(head); err != nil {
			return err
		}
		if _, err := archive.Write(text); err != nil {
			return err
		}
	}
	return archive.Close()
}
