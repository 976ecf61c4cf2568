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

// identity says whose numbers the users of a sandbox are.
type identity struct {
	kind     string // root, range or single
	uid, gid int    // of who runs this program

	users, groups block // kind range: the numbers he may borrow
}

// block is a run of numbers.
type block struct{ start, size int }

// The kinds of identity. A plain user is root inside; with a range there are
// other users too, whose numbers are set aside for him in /etc/subuid.
const (
	idsRoot   = "root"
	idsRange  = "range"
	idsSingle = "single"
)

// alone is an identity of one user.
func singleID() identity {
	id := identity{kind: idsSingle, uid: os.Geteuid(), gid: os.Getegid()}
	if id.uid == 0 {
		id.kind = idsRoot
	}
	return id
}

// identityOf returns the best identity a user can have here.
func identityOf(user string) identity {
	id := singleID()
	if id.kind == idsRoot {
		return id
	}
	_, noUIDs := exec.LookPath("newuidmap")
	_, noGIDs := exec.LookPath("newgidmap")
	names := []string{strconv.Itoa(id.uid)}
	if line, found := inside.User("/etc/passwd", names[0]); found {
		names = append(names, line[0])
	}
	if user != "" { // whom another directory of users knows
		names = append(names, user)
	}
	id.users, id.groups = subIDs("/etc/subuid", names), subIDs("/etc/subgid", names)
	if noUIDs == nil && noGIDs == nil && id.users.size > 0 && id.groups.size > 0 {
		id.kind = idsRange
	}
	return id
}

// enough is how many numbers are borrowed at most: those a system has.
const minIDs = 1<<16 - 1

// borrowed returns the first numbers a file sets aside for a user, who stands
// there by name or number.
func subIDs(file string, names []string) block {
	text, _ := os.ReadFile(file)
	for _, line := range strings.Split(string(text), "\n") {
		fields := strings.Split(strings.TrimSpace(line), ":")
		if len(fields) != 3 || !slices.Contains(names, fields[0]) {
			continue
		}
		start, err1 := strconv.Atoi(fields[1])
		size, err2 := strconv.Atoi(fields[2])
		if err1 == nil && err2 == nil && size > 0 {
			return block{start, min(size, minIDs)}
		}
	}
	return block{}
}

// store is the name of the directory of images whose files have these owners.
func (id identity) store() string {
	if id.kind == idsRange {
		return fmt.Sprintf("range-%d-%d", id.users.start, id.groups.start)
	}
	return id.kind
}

// opaque is the attribute by which a directory of a layer hides what lies below.
func (id identity) opaqueAttribute() string {
	if id.kind == idsRoot {
		return "trusted.overlay.opaque"
	}
	return "user.overlay.opaque"
}

// attributes are how a process of this identity is started, in further namespaces.
func (id identity) keepAttribute(flags uintptr) *syscall.SysProcAttr {
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

// lend gives a process that has been started its borrowed numbers. Only the
// system's own programs may do so.
func (id identity) writeIDMaps(pid int) error {
	groups := make(chan error, 1)
	go func() { groups <- mapping("newgidmap", pid, id.gid, id.groups) }()
	users := mapping("newuidmap", pid, id.uid, id.users)
	return errors.Join(users, <-groups)
}

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
