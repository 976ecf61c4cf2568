// Package engine defines the contract between a build and the program that isolates
// it, without naming one: an [Engine] starts a container from a [Spec], and a
// [Container] runs processes and transfers files.
//
// The drivers are engine/docker (any engine with Docker's API) and engine/sandbox
// (namespaces of Linux, without an engine). A driver that can do more than the
// contract implements the optional interfaces [Watcher], [Viewer], [Metered], [Mortal],
// [Preserver], [Snapshotter], [Restorer] and [Lister]; callers find out with a type assertion.
//
// engine/enginetest has the sentences of this contract as tests. Every driver runs them.
package engine

import (
	"context"
	"errors"
	"io"
	"os"
	"time"
)

// ErrUnsupported is wrapped by the error of a driver that cannot honour a field of
// Spec or Process. A driver never ignores a field silently.
var ErrUnsupported = errors.New("not supported by this engine")

// Engine creates build environments.
type Engine interface {
	// Start creates a container from spec and starts it. If it returns an error, it
	// has removed everything it created. Errors that a user can resolve are *Fault.
	Start(ctx context.Context, spec Spec) (Container, error)
}

// Container is one running build environment.
type Container interface {
	// Exec runs another process and returns its exit status. A process that ran and
	// failed has an exit status; an error means that it did not run. If ctx ends,
	// the process and its process group are killed before Exec returns
	// context.Cause(ctx). Processes that it moved to the background deliberately
	// survive until Close.
	Exec(ctx context.Context, p Process) (exit int, err error)

	// CopyIn unpacks a tar stream below dir, an absolute path that need not exist.
	// Names are relative to dir; a name that leaves dir is refused. Owners are kept
	// by number.
	CopyIn(ctx context.Context, dir string, tar io.Reader) error

	// CopyOut returns the file or directory at path as a tar stream. A directory is
	// the entry "./", followed by its content with names that begin with "./"; a
	// file is one entry with its base name. Links are followed at path, not below
	// it. The error for a path that does not exist is fs.ErrNotExist.
	CopyOut(ctx context.Context, path string) (io.ReadCloser, error)

	// Close removes the container and everything that was created for it. It waits
	// until that is done, or until ctx ends. A second Close does nothing.
	Close(ctx context.Context) error
}

// Process is a command to run in a container.
type Process struct {
	Args           []string // the program, which is looked up in PATH, and its arguments
	Env            []string // NAME=VALUE, in addition to the container's environment
	Dir            string   // absolute; empty for the container's root directory
	User           string   // name or uid[:gid]; empty for root
	Stdin          io.Reader
	Stdout, Stderr io.Writer // separate streams; output to nil is discarded
	TTY            *TTY      // nil for no terminal; with one, all output goes to Stdout
}

// TTY is a terminal of Columns by Rows characters. New sizes are sent on Resize, unless
// it is nil.
type TTY struct {
	Columns, Rows uint16
	Resize        <-chan TTY
}

// Watcher is a Container that knows which files were written without reading them.
type Watcher interface {
	// Untouched reports that nothing has changed since Start at path, an absolute
	// path in a Tree, and below it. It returns false if the driver does not know.
	Untouched(path string) bool
	// Written returns where the host stores the content that was written to the file
	// at an absolute path: a directory, and a slash-separated name below it. A link on
	// that name must not be followed out of the directory. Both are empty if the
	// driver does not know. The container may see another file at path, so the caller
	// compares size and time. The file is removed by Close.
	Written(path string) (dir, name string)
	// MayHaveWritten reports whether a file was written or moved since Start below path,
	// an absolute path in a Tree, to a base name for which match is true. It returns true
	// if the driver does not know.
	MayHaveWritten(path string, match func(name string) bool) bool
}

// Viewer is a Container whose files the host can list without starting a process in it.
type Viewer interface {
	// View opens the container's root directory as its processes see it. os.Root
	// follows no link out of it. The build may have created named pipes there: open
	// files with O_NONBLOCK. The error wraps ErrUnsupported if the host cannot see the
	// files.
	View() (*os.Root, error)
}

// Usage is the consumption of all processes of a container since it was started.
type Usage struct {
	CPU    time.Duration // processor time
	Memory int64         // bytes in use, without reclaimable file cache; 0 if unknown
	Killed int           // processes that the OOM killer ended; -1 if unknown
}

// Metered is a Container whose consumption is measured.
type Metered interface {
	// Usage returns the consumption so far. An error that wraps ErrUnsupported is
	// permanent; any other is temporary, for example because the container has ended.
	Usage(ctx context.Context) (Usage, error)
}

// PlatformChecker is an Engine that knows some images that its host cannot run before a build
// is started.
type PlatformChecker interface {
	// CheckPlatform returns a *Fault of the kind WrongArch if Start would fail because the
	// host cannot run the image. It pulls nothing: of an image that would be pulled, only the
	// requested platform is known. Other errors are left to Start.
	CheckPlatform(ctx context.Context, i ImageRef) error
}

// Resource is an object that a driver created and that still exists.
type Resource struct {
	Kind    string // container, network, volume or image
	ID      string
	Name    string
	Labels  map[string]string
	Created time.Time
	Running bool // containers only
}

// Lister is an Engine that finds and removes resources that a build did not remove
// itself, for example because it was killed.
type Lister interface {
	// List returns all resources that have the label key, with any value.
	List(ctx context.Context, key string) ([]Resource, error)
	// Remove removes a resource. It is not an error if the resource is gone already.
	Remove(ctx context.Context, r Resource) error
}
