package sandbox

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/buildlocal/buildlocal/engine/sandbox/inside"
)

// identity decides which user IDs of the host the users of a sandbox have.
type identity struct {
	kind     string // idsRoot, idsRange or idsSingle
	uid, gid int    // of this process

	users, groups block // the subordinate IDs of kind idsRange
}

// block is a range of user or group IDs.
type block struct{ start, size int }

// The kinds of identity. The user of this program is root in the sandbox. With a range of
// subordinate IDs, which /etc/subuid and /etc/subgid assign, the sandbox has other users
// too.
const (
	idsRoot   = "root"
	idsRange  = "range"
	idsSingle = "single"
)

// singleID returns an identity with a single user.
//
// With one ID, all files are owned by it, and chown to another fails: it is the fallback that
// needs no configuration of the host.
func singleID() identity {
	id := identity{kind: idsSingle, uid: os.Geteuid(), gid: os.Getegid()}
	if id.uid == 0 {
		id.kind = idsRoot
	}
	return id
}

// identityOf returns the best identity that a user can have on this host.
func identityOf(user string) identity {
	id := singleID()
	if id.kind == idsRoot {
		return id
	}
	// A range without these setuid programs is useless: the kernel lets users map only their
	// own ID.
	_, noUIDs := exec.LookPath("newuidmap")
	_, noGIDs := exec.LookPath("newgidmap")
	names := []string{strconv.Itoa(id.uid)}
	if line, found := inside.User("/etc/passwd", names[0]); found {
		names = append(names, line[0])
	}
	if user != "" { // known only to a remote user database
		names = append(names, user)
	}
	id.users, id.groups = subIDs("/etc/subuid", names), subIDs("/etc/subgid", names)
	if noUIDs == nil && noGIDs == nil && id.users.size > 0 && id.groups.size > 0 {
		id.kind = idsRange
	}
	return id
}

// maxIDs is how many subordinate IDs are used: as many as a system without user namespaces
// has. A smaller range does not have all users of common images.
const maxIDs = 1<<16 - 1

// subIDs returns the first range that a file assigns to a user, given by names and ID.
func subIDs(file string, names []string) block {
	// A file that is missing assigns nothing.
	text, _ := os.ReadFile(file)
	for _, line := range strings.Split(string(text), "\n") {
		fields := strings.Split(strings.TrimSpace(line), ":")
		if len(fields) != 3 || !slices.Contains(names, fields[0]) {
			continue
		}
		start, err1 := strconv.Atoi(fields[1])
		size, err2 := strconv.Atoi(fields[2])
		if err1 == nil && err2 == nil && size > 0 {
			return block{start, min(size, maxIDs)}
		}
	}
	return block{}
}

// store returns the name of the directory of images whose files have these owners. Layers
// that were unpacked with one mapping cannot be used with another.
func (id identity) store() string {
	if id.kind == idsRange {
		return fmt.Sprintf("range-%d-%d", id.users.start, id.groups.start)
	}
	return id.kind
}

// opaqueAttribute returns the extended attribute that makes a directory of a layer hide the
// directory below it. The trusted namespace is for root alone; overlay reads the other one if
// mounted with userxattr.
func (id identity) opaqueAttribute() string {
	if id.kind == idsRoot {
		return "trusted.overlay.opaque"
	}
	return "user.overlay.opaque"
}

// processAttributes returns the attributes of a process with this identity in new namespaces.
func (id identity) processAttributes(flags uintptr) *syscall.SysProcAttr {
	attr := &syscall.SysProcAttr{Cloneflags: flags, Setsid: true}
	if id.kind == idsRoot {
		return attr
	}
	attr.Cloneflags |= unix.CLONE_NEWUSER
	if id.kind == idsSingle {
		attr.UidMappings = []syscall.SysProcIDMap{{ContainerID: 0, HostID: id.uid, Size: 1}}
		attr.GidMappings = []syscall.SysProcIDMap{{ContainerID: 0, HostID: id.gid, Size: 1}}
	}
	return attr
}

// writeIDMaps maps the subordinate IDs into the user namespace of a process. Only the
// setuid programs newuidmap and newgidmap may do that.
func (id identity) writeIDMaps(pid int) error {
	// Each program takes some milliseconds, so both run at the same time.
	groups := make(chan error, 1)
	go func() { groups <- mapping("newgidmap", pid, id.gid, id.groups) }()
	users := mapping("newuidmap", pid, id.uid, id.users)
	return errors.Join(users, <-groups)
}

// mapping runs one of them. ID 0 in the namespace is the user, and IDs from 1 on are the
// subordinate ones.
func mapping(program string, pid, own int, more block) error {
	var complaint bytes.Buffer
	c := exec.Command(
		program,
		strconv.Itoa(pid),
		"0",
		strconv.Itoa(own),
		"1",
		"1",
		strconv.Itoa(more.start),
		strconv.Itoa(more.size),
	)
	c.Stderr = &complaint
	if err := c.Run(); err != nil {
		return fmt.Errorf("%s: %w: %s", program, err, strings.TrimSpace(complaint.String()))
	}
	return nil
}
