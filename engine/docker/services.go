package docker

import (
	"archive/tar"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"

	"github.com/docker/docker/api/types/container"
	"github.com/docker/docker/api/types/filters"
	"github.com/docker/docker/api/types/image"
	"github.com/docker/docker/pkg/stdcopy"

	"github.com/buildlocal/buildlocal/engine"
	"github.com/buildlocal/buildlocal/internal/relay"
)

// relayed is the name of an image that holds a relay.
type relayed struct {
	name string
	err  error
}

// findRelay finds that image while the build's container is made. What it returns waits
// for it.
func (e *Engine) findRelay(ctx context.Context, s engine.Spec) func() relayed {
	found := make(chan relayed, 1)
	go func() {
		name, err := e.relayImage(ctx, s.Hooks.Warnf)
		found <- relayed{name, err}
	}()
	return sync.OnceValue(func() relayed { return <-found })
}

// serve makes services reachable: a container of ours in the network of the build's
// listens, and carries each connection to us over its streams. It ends with us. Before,
// it takes the addresses of own.
func (c *Container) serve(ctx context.Context, image relayed, own []string) error {
	s := c.spec
	if image.err != nil {
		return image.err
	}
	var addresses []string
	for _, service := range s.Network.Services {
		addresses = append(addresses, service.Address)
	}
	_, listeners, at, err := c.listenInside(ctx, "services", image.name, own, addresses)
	if err != nil {
		return err
	}
	for i, service := range s.Network.Services {
		if at[i] != service.Address && service.OnFallback != nil {
			service.OnFallback(at[i])
		}
		go func() { _ = service.Serve(listeners[i]) }()
	}
	return nil
}

// listenInside listens at addresses in the container's network, by a container of ours
// that is called after what it is for; first it gives that network addresses of its own.
// It returns that container, and where each listener really is.
func (c *Container) listenInside(ctx context.Context, what, image string, own, addresses []string) (string, []net.Listener, []string, error) {
	s := c.spec
	config := &container.Config{
		Image: image, Cmd: slices.Concat(own, addresses), Labels: s.Labels, OpenStdin: true, StdinOnce: true, AttachStdin: true, AttachStdout: true, AttachStderr: true,
	}
	rights := []string{"NET_BIND_SERVICE"}
	if len(own) > 0 {
		rights = append(rights, "NET_ADMIN")
	}
	host := &container.HostConfig{
		NetworkMode: container.NetworkMode("container:" + c.id), CapDrop: []string{"ALL"}, CapAdd: rights,
		ReadonlyRootfs: true, SecurityOpt: []string{"no-new-privileges"}, LogConfig: container.LogConfig{Type: "none"}, AutoRemove: true,
	}
	spec := engine.Spec{Name: s.Name + "-" + what}
	made, err := c.engine.create(ctx, spec, config, host, nil)
	if isGone(err) { // another version of this program has just removed the image
		if config.Image, err = c.engine.relayImage(ctx, s.Hooks.Warnf); err != nil {
			return "", nil, nil, err
		}
		made, err = c.engine.create(ctx, spec, config, host, nil)
	}
	if err != nil {
		return "", nil, nil, c.engine.fault(err, "make a container for "+what)
	}
	if !c.keepRelay(made.ID) {
		return "", nil, nil, errors.Join(errClosed, c.engine.removeContainer(ctx, made.ID))
	}
	listeners, at, err := c.beginRelay(ctx, made.ID, what, len(addresses))
	if err != nil { // it is to be in the way of no other
		err = errors.Join(err, c.dropRelay(context.WithoutCancel(ctx), made.ID))
	}
	return made.ID, listeners, at, err
}

// dropRelay removes a container of ours before this one goes.
func (c *Container) dropRelay(ctx context.Context, id string) error {
	ctx, cancel := context.WithTimeout(ctx, cleanupLimit)
	defer cancel()
	if err := c.engine.removeContainer(ctx, id); err != nil {
		return err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.relays = slices.DeleteFunc(c.relays, func(r string) bool { return r == id })
	return nil
}

// errClosed is what comes too late.
var errClosed = errors.New("the container has been removed")

// keepRelay notes a container of ours that goes with this one, unless that is gone.
func (c *Container) keepRelay(id string) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.closed {
		c.relays = append(c.relays, id)
	}
	return !c.closed
}

func (c *Container) beginRelay(ctx context.Context, id, what string, count int) ([]net.Listener, []string, error) {
	stream, err := c.engine.api.ContainerAttach(ctx, id, container.AttachOptions{Stream: true, Stdin: true, Stdout: true, Stderr: true})
	if err != nil {
		return nil, nil, c.engine.fault(err, "attach to the container for "+what)
	}
	if err := c.engine.api.ContainerStart(ctx, id, container.StartOptions{}); err != nil {
		stream.Close()
		return nil, nil, c.engine.fault(err, "start the container for "+what)
	}
	complaint := &head{to: io.Discard}
	r, w := io.Pipe()
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		_, err := stdcopy.StdCopy(w, complaint, stream.Reader)
		w.CloseWithError(err)
	}()
	both := &duplex{r, stream.Conn}
	impatient := context.AfterFunc(ctx, func() { _ = both.Close() })
	listeners, at, err := relay.Near(both, count)
	if !impatient() && err == nil {
		err = context.Cause(ctx)
	}
	if err != nil {
		_ = both.Close()
		<-ended
		return nil, nil, fmt.Errorf("start the container for %s: %w%s", what, err, said(string(complaint.kept)))
	}
	return listeners, at, nil
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
	*io.PipeReader
	net.Conn
}

// Read reads what the container prints.
func (d *duplex) Read(p []byte) (int, error) { return d.PipeReader.Read(p) }

// Close ends both.
func (d *duplex) Close() error { return errors.Join(d.PipeReader.Close(), d.Conn.Close()) }

// relayImage returns the image that holds the relay, which is made when it is first
// needed: this program, and what it is linked with.
func (e *Engine) relayImage(ctx context.Context, say func(format string, args ...any)) (string, error) {
	native, err := e.native(ctx)
	if err != nil {
		return "", err
	}
	if e.relay == nil {
		return "", fmt.Errorf("services in a container: %w", engine.ErrUnsupported)
	}
	program, err := e.relay(strings.TrimPrefix(native, "linux/"))
	if err != nil {
		return "", err
	}
	files, err := filesOf(program)
	if err != nil {
		return "", fmt.Errorf("use %s for the container for services: %w", program, err)
	}
	name := relay.Name + ":" + files.tag()
	turn, err := e.await(ctx) // another start of this program may be at it
	if err != nil {
		return "", err
	}
	defer turn()
	if _, err := e.api.ImageInspect(ctx, name); err == nil {
		return name, nil
	}
	say("The image %s is made, which carries connections out of a build; that is done once.", relay.Name)
	archive := files.pack()
	defer archive.Close()
	done, err := e.api.ImageImport(ctx, image.ImportSource{Source: archive, SourceName: "-"}, name, image.ImportOptions{
		Platform: native, Changes: []string{`ENTRYPOINT ["/` + relay.Name + `"]`, "LABEL " + relayLabel + "=1"},
	})
	if err != nil {
		return "", e.fault(err, "make the image for services")
	}
	defer done.Close()
	if err := follow(done, name, func(engine.Progress) {}); err != nil { // also what the engine says in it
		return "", e.fault(err, "make the image for services")
	}
	e.forgetRelays(ctx)
	return name, nil
}

// relayLabel is on all images that hold a relay.
const relayLabel = "dev.buildlocal.relay"

// forgetRelays removes the images of other versions of this program. One that is in
// use stays, and one that is new: a build may be about to use it.
func (e *Engine) forgetRelays(ctx context.Context) {
	const old = 24 * 60 * 60 // seconds
	relays, _ := e.api.ImageList(ctx, image.ListOptions{Filters: filters.NewArgs(filters.Arg("label", relayLabel))})
	newest := int64(0) // the one that has just been made
	for _, i := range relays {
		newest = max(newest, i.Created)
	}
	for _, i := range relays {
		if i.Created+old < newest {
			_, _ = e.api.ImageRemove(ctx, i.ID, image.RemoveOptions{})
		}
	}
}

// programFile is a file of an image for one program.
type programFile struct {
	name, file string // in the image and here
	info       os.FileInfo
}

// program is all files that a program needs, itself first.
type program []programFile

func filesOf(file string) (program, error) {
	libraries, err := librariesOf(file)
	if err != nil {
		return nil, err
	}
	all := program{{name: relay.Name, file: file}}
	for _, l := range libraries {
		all = append(all, programFile{name: strings.TrimPrefix(filepath.ToSlash(l), "/"), file: l})
	}
	for i, p := range all {
		if all[i].info, err = os.Stat(p.file); err != nil {
			return nil, err
		}
	}
	return all, nil
}

// tag tells programs apart without reading them.
func (p program) tag() string {
	h := sha256.New()
	for _, f := range p {
		fmt.Fprintf(h, "%s\n%s\n%d\n%d\n", f.name, f.file, f.info.Size(), f.info.ModTime().UnixNano())
	}
	const digits = 8
	return fmt.Sprintf("%x", h.Sum(nil)[:digits])
}

// pack returns the files as a tar stream.
func (p program) pack() io.ReadCloser {
	r, w := io.Pipe()
	go func() {
		archive := tar.NewWriter(w)
		for _, f := range p {
			if err := addFile(archive, f); err != nil {
				w.CloseWithError(err)
				return
			}
		}
		w.CloseWithError(archive.Close())
	}()
	return r
}

func addFile(archive *tar.Writer, f programFile) error {
	from, err := os.Open(f.file)
	if err != nil {
		return err
	}
	defer from.Close()
	if err := archive.WriteHeader(&tar.Header{Name: f.name, Mode: 0o755, Size: f.info.Size(), Typeflag: tar.TypeReg}); err != nil {
		return err
	}
	_, err = io.CopyN(archive, from, f.info.Size())
	return err
}
