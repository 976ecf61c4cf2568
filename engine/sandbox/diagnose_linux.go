package sandbox

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strings"
	"syscall"

	"github.com/buildlocal/buildlocal/engine"
)

// sysctls lists settings of the kernel that keep users from creating namespaces, each with
// the value that does and a hint.
var sysctls = []struct{ file, off, way string }{
	{"/proc/sys/user/max_user_namespaces", "0", "Let root set it: sysctl -w user.max_user_namespaces=15000."},
	{"/proc/sys/kernel/unprivileged_userns_clone", "0", "Let root set it: sysctl -w kernel.unprivileged_userns_clone=1."},
	{"/proc/sys/kernel/apparmor_restrict_unprivileged_userns", "1",
		"Let root allow it for this program with an AppArmor profile of the line: profile buildlocal PATH " +
			"flags=(unconfined) { userns, } - or for all: sysctl -w kernel.apparmor_restrict_unprivileged_userns=0."},
}

// diagnose returns a fault with the reason why namespaces cannot be created on this host,
// and a hint.
//
// The kernel reports only EPERM, so the settings that cause it are looked at one by one.
func (e *Engine) diagnose(err error) error {
	var known *engine.Fault
	if errors.As(err, &known) {
		return err
	}
	f := &engine.Fault{Kind: engine.NoEngine, Err: err, Hint: "Use docker."}
	switch {
	// Probably by the OOM killer: a server that fails sends the reason first.
	case errors.Is(err, io.EOF) || errors.Is(err, syscall.EPIPE):
		f.Message = "the process that creates the sandbox was killed"
	case !isRefused(err):
		f.Message = "sandbox not supported on this host: " + err.Error()
	case inContainer():
		f.Message = fmt.Sprintf("this container may not make namespaces (%v)", err)
		f.Hint = "Run the container with --privileged, or use docker."
	case e.id.kind == idsRoot:
		f.Message = fmt.Sprintf("root may not make namespaces here (%v)", err)
		f.Hint = "Grant the capability SYS_ADMIN, which a service manager or a container may remove, or use docker."
	default:
		f.Message, f.Hint = refusedUser(err)
	}
	return f
}

// isRefused reports whether the kernel does not permit namespaces, rather than not supporting
// them. ENOSPC and EUSERS mean that their number is limited, often to zero.
func isRefused(err error) bool {
	for _, errno := range []error{syscall.EPERM, syscall.EACCES, syscall.ENOSPC, syscall.EUSERS, fs.ErrPermission} {
		if errors.Is(err, errno) {
			return true
		}
	}
	return false
}

// refusedUser returns the reason why a non-root user cannot create namespaces, and a hint.
func refusedUser(err error) (message, way string) {
	for _, s := range sysctls {
		text, readErr := os.ReadFile(s.file)
		if readErr == nil && strings.TrimSpace(string(text)) == s.off {
			name := strings.ReplaceAll(strings.TrimPrefix(s.file, "/proc/sys/"), "/", ".")
			return fmt.Sprintf("plain users may not make namespaces here: %s is %s (%v)", name, s.off, err), s.way
		}
	}
	return fmt.Sprintf("you may not make user namespaces here (%v)", err), "Run as root, or use docker."
}

// inContainer reports whether this process runs in a container, by the marker files of
// Docker and Podman and the control groups of others.
func inContainer() bool {
	for _, file := range []string{"/.dockerenv", "/run/.containerenv"} {
		if exists(file) {
			return true
		}
	}
	// systemd defines this variable for containers, and most runtimes set it.
	text, err := os.ReadFile("/proc/1/environ")
	return err == nil && strings.Contains(string(text), "container=")
}
