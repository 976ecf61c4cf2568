package relay

import (
	"archive/tar"
	"context"
	"crypto/sha256"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"github.com/docker/docker/api/types/filters"
	"github.com/docker/docker/api/types/image"

	"github.com/buildlocal/buildlocal/engine"
	"github.com/buildlocal/buildlocal/engine/docker/conn"
	tunnel "github.com/buildlocal/buildlocal/internal/relay"
)

// Images creates the image of relays. It can be used concurrently.
type Images struct {
	Conn *conn.Engine
	// Program returns the file of this program for Linux and an architecture, such as
	// amd64. If it is nil, Get returns engine.ErrUnsupported.
	Program func(architecture string) (string, error)
}

// Get returns the name of the image, which is created if the engine does not have it. Its
// tag depends on the program file, so that each version of this program has its own.
func (i *Images) Get(ctx context.Context, warnf func(format string, args ...any)) (string, error) {
	native, err := i.Conn.Native(ctx)
	if err != nil {
		return "", err
	}
	if i.Program == nil {
		return "", fmt.Errorf("services in a container: %w", engine.ErrUnsupported)
	}
	file, err := i.Program(strings.TrimPrefix(native, "linux/"))
	if err != nil {
		return "", err
	}
	files, err := programFiles(file)
	if err != nil {
		return "", fmt.Errorf("use %s for the container for services: %w", file, err)
	}
	name := tunnel.Name + ":" + files.tag()
	unlock, err := i.Conn.Lock(ctx) // a concurrent start may be creating it
	if err != nil {
		return "", err
	}
	defer unlock()
	if _, err := i.Conn.API.ImageInspect(ctx, name); err == nil {
		return name, nil
	}
	// Importing tens of megabytes takes seconds, and the user should know why.
	warnf("Creating the image %s, which forwards connections of builds (only once).", tunnel.Name)
	if err := i.create(ctx, name, native, files); err != nil {
		return "", i.Conn.Fault(err, "create the image for services")
	}
	i.removeOld(ctx)
	return name, nil
}

// create imports the files as an image. That needs no registry, no build and no base image.
func (i *Images) create(ctx context.Context, name, platform string, files program) error {
	archive := files.pack()
	defer archive.Close()
	progress, err := i.Conn.API.ImageImport(
		ctx,
		image.ImportSource{Source: archive, SourceName: "-"},
		name,
		image.ImportOptions{
			Platform: platform, Changes: []string{`ENTRYPOINT ["/` + tunnel.Name + `"]`, "LABEL " + conn.RelayLabel + "=1"},
		},
	)
	if err != nil {
		return err
	}
	defer progress.Close()
	return conn.ReadProgress(progress, name, func(engine.Progress) {})
}

// removeOld removes the images of other versions of this program, except those in use and
// those that are less than a day older than the newest: a build may be about to use them.
func (i *Images) removeOld(ctx context.Context) {
	const maxAge = 24 * 60 * 60 // seconds
	all, _ := i.Conn.API.ImageList(ctx, image.ListOptions{Filters: filters.NewArgs(filters.Arg("label", conn.RelayLabel))})
	newest := int64(0) // by the engine's clock, which may differ from this host's
	for _, image := range all {
		newest = max(newest, image.Created)
	}
	for _, old := range all {
		if old.Created+maxAge < newest {
			_, _ = i.Conn.API.ImageRemove(ctx, old.ID, image.RemoveOptions{})
		}
	}
}

// programFile is a file that a program needs.
type programFile struct {
	name, file string // in the image, and on this host
	info       os.FileInfo
}

// program is a program file, followed by its loader and shared libraries.
type program []programFile

// programFiles returns a program with all files that it needs to run in an empty image.
func programFiles(file string) (program, error) {
	libraries, err := sharedLibraries(file)
	if err != nil {
		return nil, err
	}
	all := program{{name: tunnel.Name, file: file}}
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

// tag identifies the files by names, sizes and times. Reading them would take longer than
// starting a relay.
func (p program) tag() string {
	h := sha256.New()
	for _, f := range p {
		fmt.Fprintf(h, "%s\n%s\n%d\n%d\n", f.name, f.file, f.info.Size(), f.info.ModTime().UnixNano())
	}
	const length = 8 // bytes
	return fmt.Sprintf("%x", h.Sum(nil)[:length])
}

// pack returns the files as a tar stream. Reading it returns the first error.
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

// addFile writes one file to the archive.
func addFile(archive *tar.Writer, f programFile) error {
	from, err := os.Open(f.file)
	if err != nil {
		return err
	}
	defer from.Close()
	if err := archive.WriteHeader(&tar.Header{Name: f.name, Mode: 0o755, Size: f.info.Size(),
		Typeflag: tar.TypeReg}); err != nil {
		return err
	}
	// The size is fixed by the header. A file that has become shorter is an error.
	_, err = io.CopyN(archive, from, f.info.Size())
	return err
}
