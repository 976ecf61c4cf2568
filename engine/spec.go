package engine

import (
	"fmt"
	"net"
	"strings"
)

// Spec describes a container to start. The zero value of every group is valid, except
// that engines with images need Image.Names and drivers may need Mounts.Temp.
type Spec struct {
	Name   string            // unique; the prefix of every name that the driver chooses
	Labels map[string]string // put on every resource that the driver creates
	Env    []string          // NAME=VALUE, in addition to the image's environment

	Image     ImageRef
	Resources Resources
	Mounts    Mounts
	Network   Network
	Hooks     Hooks

	// Main is the container's first process, and the container ends with it. Its
	// streams are attached before it starts, and its Stdin ends with the client. If
	// Main is nil, the container waits until Close.
	Main *Process
	// Keep lets the container outlive this program. The user removes it.
	Keep bool
	// Resume continues with the files that Preserve has kept in Mounts.Temp, for a container of
	// the same name. Its image, its mounts and its limits are those that it had; the other fields
	// of the spec have to be equal. The files stay if Start fails.
	Resume bool
	// Snapshot is the directory of a snapshot whose files the container has from the beginning, see
	// Snapshotter. It is not changed, and has to be kept as long as the container. The image and the
	// paths of the trees have to be those of the snapshot's container; a file of a tree's Host that
	// the snapshot does not have is visible.
	Snapshot string
}

// ImageRef selects an image.
type ImageRef struct {
	Alias    string   // a local name that takes precedence over Names; never pulled
	Names    []string // spellings of one image in order of preference
	Pull     Pull
	Digest   string // that the image must have: sha256:… of a registry, or its ID; empty for any
	Platform string // such as linux/arm64; empty for the engine's own
}

// Pinned returns the names to pull: those of the image, by its digest if one is set.
// Local images (oci: and tar:) cannot be addressed by digest and are returned unchanged.
func (r ImageRef) Pinned() []string {
	if r.Digest == "" {
		return r.Names
	}
	var all []string
	for _, name := range r.Names {
		if _, _, local := CutLocal(name); local {
			all = append(all, name)
			continue
		}
		all = append(all, Repository(name)+"@"+r.Digest)
	}
	return all
}

// Pull decides when an image is pulled from its registry.
type Pull string

// The values of Pull, named as those of docker run --pull. The zero value means
// PullMissing.
const (
	PullAlways  Pull = "always"
	PullMissing Pull = "missing"
	PullNever   Pull = "never"
)

// Resources limits and extends the rights of a container.
type Resources struct {
	// Limits that the engine cannot enforce, or that exceed the host, are reported to
	// Hooks.OnWarning. They do not keep the container from starting.
	Limits Limits
	// Privileged gives the container all capabilities and devices, and a volume for
	// the data of a Docker daemon.
	Privileged bool
}

// Limits are the processor and memory limits of a container.
type Limits struct {
	CPUs   float64 // processors; 0 for unlimited
	Memory int64   // bytes; 0 for unlimited
}

// Shortfall returns a message about the limits that exceed a host with the given CPUs
// and bytes of memory (0 if unknown), or "" if the host has enough.
func (l Limits) Shortfall(cpus int, memory int64) string {
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
		over = append(over, fmt.Sprintf("%.3gGiB of memory, not %.3g", float64(memory)/gib, float64(l.Memory)/gib))
	}
	if len(over) == 0 {
		return ""
	}
	return "This host has " + strings.Join(over, ", and ") + ": the build gets less than its compute type provides."
}

// Mounts are the directories of a container that do not come from its image.
type Mounts struct {
	Scratch []string // absolute paths of empty directories that every user may write to
	Trees   []Tree
	Volumes []Volume
	Binds   []Bind
	Temp    string // an existing directory of the host for the driver's own files
}

// Tree is a directory of the host, mounted copy-on-write: whatever the container does,
// no byte of the host's directory changes.
type Tree struct {
	Host string   // absolute directory of the host
	Path string   // absolute directory in the container
	Hide []string // slash-separated names below Host that the container does not see
	// Overlays are further directories of the host that the container sees as if they
	// were copied over Host in order. Hide does not apply to them. They do not change
	// either.
	Overlays []string
}

// Volume is a directory that outlives the container: the next container with the same
// volume finds its content. Containers that use it at the same time share it.
type Volume struct {
	Name   string            // for engines that manage volumes
	Host   string            // for all others: an absolute directory of the host, created if missing
	Path   string            // absolute directory in the container
	Labels map[string]string // put on a volume that is created
}

// Network is the access of a container to other programs.
type Network struct {
	// Name, Hosts and Ports are the engine's network that the container joins instead of the
	// default one (none for no network), additional names, and published ports. A driver whose
	// containers share the network of the host returns ErrUnsupported for them.
	Name  string
	Hosts []HostName
	Ports []Port
	// Socket gives the container access to the engine that runs it, unless it is nil.
	Socket *Socket
	// Services are served by this program and reached from the container.
	Services []Service
	// Metadata allows connections to the addresses where a cloud publishes the host's
	// credentials, see MetadataAddresses. If it is not set, the driver blocks them as
	// far as it can, and reports to Hooks.OnWarning if it cannot.
	Metadata bool
}

// Socket gives the container access to the engine's API, limited to resources that the
// container creates. Existing images can be used; nothing else is visible. Close removes
// those resources.
type Socket struct {
	Path       string // absolute, in the container
	KeepImages bool   // Close does not remove images that were built
}

// Service is a server in this program that the processes of one container can connect
// to, as can those of containers inside it. No other process can, unless the service had
// to fall back to a port of the host.
type Service struct {
	Address string // link-local, with a port: 169.254.170.2:80
	// Serve accepts connections until the listener is closed, which Close does.
	Serve func(net.Listener) error
	// OnFallback is called before Start returns if the service cannot be at Address.
	// It then has the given port of 127.0.0.1, which other processes of the host may
	// reach too, so that the service has to authenticate its clients.
	OnFallback func(address string)
}

// Hooks are called by a driver while it starts and runs a container. Every field may be
// nil; drivers call the methods, which check that.
type Hooks struct {
	// OnImage receives the image that the container is created from.
	OnImage func(Image)
	// OnProgress receives the progress of a pull. Calls do not overlap.
	OnProgress func(Progress)
	// OnWarning receives a message for the user: a limitation, or a choice that the
	// driver made.
	OnWarning func(format string, args ...any)
	// OnExit is called once, after Main ended and all its output was written. If err
	// is nil, exit is its status.
	OnExit func(exit int, err error)
}

// ReportImage calls OnImage.
func (h Hooks) ReportImage(i Image) {
	if h.OnImage != nil {
		h.OnImage(i)
	}
}

// ReportProgress calls OnProgress.
func (h Hooks) ReportProgress(p Progress) {
	if h.OnProgress != nil {
		h.OnProgress(p)
	}
}

// ReportExit calls OnExit.
func (h Hooks) ReportExit(exit int, err error) {
	if h.OnExit != nil {
		h.OnExit(exit, err)
	}
}

// Warnf calls OnWarning.
func (h Hooks) Warnf(format string, args ...any) {
	if h.OnWarning != nil {
		h.OnWarning(format, args...)
	}
}
