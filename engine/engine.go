// Package engine says what a build environment can do, without saying how:
// an Engine starts containers, a Container runs processes and moves files.
//
// engine/enginetest holds the contract as tests; every driver runs them.
package engine

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strings"
	"time"
)

// ErrUnsupported is wrapped by the error of a driver that cannot honour a field
// of Spec or Process. Nothing is ignored in silence.
var ErrUnsupported = errors.New("not supported by this engine")

// Engine makes build environments.
type Engine interface {
	// Start makes a container from spec and starts it. Whatever it made is
	// gone again when it returns an error. Errors a user can do something
	// about are *Fault.
	Start(ctx context.Context, spec Spec) (Container, error)
}

// Container is one running build environment.
type Container interface {
	// Exec runs one more process and returns its exit status. A process that
	// ran and failed is an exit status; an error means that it did not run.
	// When ctx ends, the process and its group are gone before Exec returns
	// context.Cause(ctx). What it put in the background on purpose stays
	// until Close.
	Exec(ctx context.Context, p Process) (exit int, err error)

	// CopyIn unpacks a tar stream below dir, an absolute path that need not
	// exist. Names are relative to dir; one that leaves it is refused.
	// Owners are kept as the stream says, by number.
	CopyIn(ctx context.Context, dir string, tar io.Reader) error

	// CopyOut returns what stands at path as a tar stream: for a directory
	// itself, as "./", and then its content with names that begin with "./";
	// for a file one entry with its base name. Links are followed at path,
	// not below. A path that does not exist is fs.ErrNotExist.
	CopyOut(ctx context.Context, path string) (io.ReadCloser, error)

	// Close removes the container and all that was made for it. It waits for
	// that, at most until ctx ends; a second Close does nothing.
	Close(ctx context.Context) error
}

// Spec is what a container is made from.
type Spec struct {
	Name   string   // unique; the base of every name the driver makes
	Alias  string   // a name the image may have at the engine; looked for first, never pulled
	Images []string // spellings of one image; the first that is had counts
	Pull   Pull
	Digest string // that the image must have: sha256:… of a registry, or its ID; empty for any

	Platform   string // such as linux/arm64; empty for the engine's own
	Privileged bool   // with all capabilities and devices, and a volume for a dockerd

	// Limits are what the container may use at most. Where the machine cannot hold
	// it to one, or is smaller, Say tells so, and the container starts.
	Limits Limits

	Labels  map[string]string // put on everything that is made
	Env     []string          // NAME=VALUE, on top of the image's
	Scratch []string          // absolute paths: empty directories anybody may write to
	Trees   []Tree
	Volumes []Volume
	Temp    string // a directory of the host for the driver's own files; it exists
	Keep    bool   // the container outlives the client, until somebody removes it

	// Socket gives the container the engine it runs on; nil does not.
	Socket *Socket
	// Services are of ours, and reached from inside.
	Services []Service
	// Metadata lets the container reach the addresses at which a cloud tells this
	// machine its credentials. By default it does not, as far as the driver can
	// tell; where it cannot, Say tells so.
	Metadata bool

	// Main, when not nil, is the process the container lives for: it is the
	// first one, and the container ends with it. Its streams are attached
	// before it starts, and its Stdin ends with the client. Without it the
	// container waits until Close.
	Main *Process
	// Ended is called once when Main ended, all its output written. A nil
	// error means that exit is its status.
	Ended func(exit int, err error)

	// Found is told which image the container is made from; nil means that nobody listens.
	Found func(Image)
	// Progress is told what a pull does; nil means that nobody listens.
	Progress func(Progress)
	// Say is told what the user should know: a warning, a choice made.
	Say func(format string, args ...any)
}

// Socket is the engine's own API in a container, for what that makes: but for images,
// which it may use, all else at the engine it neither sees nor changes. What it leaves
// there is removed by Close.
type Socket struct {
	Path       string // absolute, in the container
	KeepImages bool   // images that are built there stay
}

// Service is something in this program that the processes of one container reach,
// and those of containers inside it, at an address that is theirs alone.
type Service struct {
	Address string // link-local, with a port: 169.254.170.2:80
	// Serve serves connections until the listener is closed, which Close does.
	Serve func(net.Listener) error
	// Elsewhere is told, before Start returns, where the service is reached if it
	// cannot be at Address: a port of 127.0.0.1, which others on this machine may
	// reach too.
	Elsewhere func(address string)
}

// Limits are of processor time and memory.
type Limits struct {
	CPUs   float64 // processors; 0 for no limit
	Memory int64   // bytes; 0 for no limit
}

// Over returns a message about the limits that exceed a host with the given CPUs and
// bytes of memory (0 if unknown), or "" if none does.
func (l Limits) Over(cpus int, memory int64) string {
	const gib = 1 << 30
	var over []string
	if l.CPUs > float64(cpus) {
		unit := "CPUs"
		if cpus == 1 {
			unit = "CPU"
		}
		over = append(over, fmt.Sprintf("%d %s, not %g", cpus, unit, l.CPUs))
	}
	if memory > 0 && l.Memory > memory {
		over = append(over, fmt.Sprintf("%.3g GiB of memory, not %.3g", float64(memory)/gib, float64(l.Memory)/gib))
	}
	if len(over) == 0 {
		return ""
	}
	return "This host has " + strings.Join(over, ", and ") + ": the build gets less than its compute type provides."
}

// Pull says when an image is fetched from its registry.
type Pull string

// The values of Pull, as docker run --pull has them. Empty means PullMissing.
const (
	PullAlways  Pull = "always"
	PullMissing Pull = "missing"
	PullNever   Pull = "never"
)

// Tree is a directory of the host, wanted at a path inside, copy-on-write:
// whatever the container does, no byte of the host's directory changes.
type Tree struct {
	Host string   // absolute directory on the host
	Path string   // absolute directory in the container
	Hide []string // slash-separated names below Host that are not to be seen inside
	// Over are further directories of the host, seen as if they were copied over Host,
	// the first one last; what Hide hides is not hidden in them. They do not change
	// either.
	Over []string
}

// Volume is a directory that outlives the container: what one leaves in it is there in
// the next one that has it. Two at once see each other.
type Volume struct {
	Name   string            // where the driver's engine keeps volumes
	Host   string            // where it does not: an absolute directory of the host, made where it is missing
	Path   string            // absolute directory in the container
	Labels map[string]string // put on what is made
}

// Process is one command in a container.
type Process struct {
	Args           []string // the program and its arguments; looked up in PATH
	Env            []string // NAME=VALUE, on top of the container's
	Dir            string   // absolute; empty for the container's root directory
	User           string   // name or uid[:gid]; empty for root
	Stdin          io.Reader
	Stdout, Stderr io.Writer // kept apart; nil throws the stream away
	TTY            *TTY      // nil for none; with one, all output goes to Stdout
}

// TTY is a terminal of Columns by Rows characters. Resize, when not nil, sends
// its new size.
type TTY struct {
	Columns, Rows uint16
	Resize        <-chan TTY
}

// Progress is one step of pulling an image.
type Progress struct {
	Image          string
	Layer          string // short digest; empty when the whole image is meant
	Status         string // the engine's word: Downloading, Extracting, Pull complete
	Current, Total int64  // bytes; Total 0 when unknown
	Disk, Free     int64  // of Sized: bytes that the image will have on disk, and bytes free there; 0 when unknown
}

// Sized is the Status of a pull that begins: Total is how many bytes are to come at most.
const Sized = "Sized"

// Watcher is a Container that can tell what was written to it without reading it.
type Watcher interface {
	// Untouched reports that nothing has changed since Start at path, an absolute path
	// in a Tree, and below it. Where the driver cannot tell it is false.
	Untouched(path string) bool
	// Written returns where this machine has what was written to a file at an absolute
	// path: a directory, and a name below it, slash-separated, on which no link leads
	// out of the directory for whoever follows none out. Both are empty where the driver
	// cannot tell. It may be another file than the container sees there: whoever reads
	// it compares size and time. It is gone after Close.
	Written(path string) (dir, name string)
}

// Viewer is a Container whose files this machine can list without asking a process there.
type Viewer interface {
	// View opens the container's root directory, as its processes see it. No link leads
	// out of it. Pipes of the build are in it: open with O_NONBLOCK.
	View() (*os.Root, error)
}

// Usage is what the processes of a container have used since it was started.
type Usage struct {
	CPU    time.Duration // processor time
	Memory int64         // bytes in use now, without what the kernel can forget of files; 0 where it is not counted
	Killed int           // of its processes, for want of memory; -1 where that is not known
}

// Meter is a Container that is measured.
type Meter interface {
	// Usage returns what has been used. An error that wraps ErrUnsupported means that it
	// never can; any other that it cannot now, as when the container has ended.
	Usage(ctx context.Context) (Usage, error)
}

// Left is something a driver made that still exists.
type Left struct {
	Kind    string // container, network, volume or image
	ID      string
	Name    string
	Labels  map[string]string
	Created time.Time
	Running bool
}

// Lister is an Engine that finds and removes what runs left behind.
type Lister interface {
	// List returns all that carries the label key, with any value.
	List(ctx context.Context, key string) ([]Left, error)
	// Remove removes one of them; one that is gone already is no error.
	Remove(ctx context.Context, left Left) error
}
