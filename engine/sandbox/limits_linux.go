package sandbox

import (
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/buildlocal/buildlocal/engine"
	"github.com/buildlocal/buildlocal/internal/cgroup"
)

// group is a control group: a directory of the kernel whose member processes are counted
// and limited.
type group struct {
	dir     string
	members *os.File // a process joins by writing its ID, or 0 for itself, to this file
}

// memberFiles are the names of the file by which a process joins a group of version 1 or 2.
// That of version 1 moves a single thread. It is for processes that have only one, or that
// execute a program next, which ends all others.
var memberFiles = [2]string{"tasks", "cgroup.procs"}

// controller limits one resource, in one version of control groups.
type controller struct {
	name string // of the resource, also for messages
	// Content by name, for version 1 and 2. Both are nil if the resource is only counted.
	files [2]map[string]string
}

// limitsOf returns the content of each control file, for versions 1 and 2. Groups are also
// created for unlimited resources, to count them.
func limitsOf(l engine.Limits) []controller {
	all := []controller{{name: "memory"}, {name: "cpuacct"}}
	if l.Memory > 0 {
		bytes := strconv.FormatInt(l.Memory, 10)
		all[0].files = [2]map[string]string{{"memory.limit_in_bytes": bytes}, {"memory.max": bytes}}
	}
	// A limit above the processors of the host would change nothing, but the kernel would still
	// account for it.
	if l.CPUs > 0 && l.CPUs < float64(runtime.NumCPU()) {
		const period = 100_000 // microseconds; the kernel's default
		quota := strconv.Itoa(int(l.CPUs * period))
		all = append(
			all,
			controller{
				"cpu",
				[2]map[string]string{{"cpu.cfs_quota_us": quota}, {"cpu.max": quota + " " + strconv.Itoa(period)}},
			},
		)
	}
	return all
}

// applyLimits creates control groups with the limits. A limit that cannot be enforced is
// reported; a resource that cannot be counted is unknown.
func applyLimits(s engine.Spec, say func(string, ...any)) []group {
	name := groupName(s)
	var groups []group
	parents := newCgroupParents()
	for _, c := range limitsOf(s.Resources.Limits) {
		places := parents.of(c.name)
		// The error of the last place is reported. It is the least privileged one, so its
		// reason is the one that a user can do something about.
		err := fmt.Errorf("no control group for it: %w", fs.ErrNotExist)
		for _, p := range places {
			var g group
			if g, err = p.make(name, c); err == nil {
				groups = addController(groups, g)
				break
			}
		}
		if err != nil && c.files[0] != nil {
			say("The build's %s is not limited to that of its compute type: %v.", c.name, err)
		}
	}
	return groups
}

// addController adds a group to groups. In version 2 it may be one of them already, with
// another limit, since a process is in one group only there.
func addController(groups []group, g group) []group {
	for _, known := range groups {
		if known.dir == g.dir {
			_ = g.members.Close()
			return groups
		}
	}
	return append(groups, g)
}

// cgroupParent is a directory in which control groups can be created.
type cgroupParent struct {
	dir     string
	version int // 1 or 2
}

// cgroupParents finds such directories. It reads the files of the kernel once.
type cgroupParents struct {
	memberships []cgroup.Membership // of this process
	mounts      cgroup.Mounts
}

func newCgroupParents() cgroupParents {
	memberships, _ := cgroup.Memberships(os.Getpid())
	return cgroupParents{memberships, cgroup.ReadMounts()}
}

// of returns where a controller is available, the best directory first. Root uses the top of the
// hierarchy. Other users have the groups delegated to them: the group of this process, or its parent.
func (p cgroupParents) of(controller string) []cgroupParent {
	var all []cgroupParent
	for _, m := range p.memberships {
		if m.Version == 1 && !slices.Contains(m.Controllers, controller) {
			continue
		}
		// A host can have both versions at once. A controller belongs to one of them.
		top := p.mounts.Find(m.Version, controller)
		if top == "" {
			continue
		}
		// Version 2 allows processes in leaves only, so a group below the one of this process
		// often has no controllers; its siblings have them.
		own := filepath.Join(top, m.Path)
		all = append(
			all,
			cgroupParent{top, m.Version},
			cgroupParent{filepath.Dir(own), m.Version},
			cgroupParent{own, m.Version},
		)
	}
	return all
}

// groupPrefix is the prefix of the names of all groups, for finding those of killed builds.
const groupPrefix = "buildlocal-"

// groupName returns the suffix of a group's name that identifies its run: :TEMP:NAME.
func groupName(s engine.Spec) string {
	const maxName, maxController = 255, 16 // of a file name, and of the prefix
	name := ":" + url.QueryEscape(s.Mounts.Temp) + ":" + s.Name
	// Without the directory, Sweep decides by age.
	if len(name) > maxName-len(groupPrefix)-maxController {
		return ":" + s.Name
	}
	return name
}

// groupOwner returns the temporary directory of the run that created a group, or "" if the
// name does not have it.
func groupOwner(dir string) string {
	parts := strings.Split(filepath.Base(dir), ":")
	if len(parts) != 3 {
		return ""
	}
	temp, _ := url.QueryUnescape(parts[1])
	return temp
}

// make creates a group with a limit.
func (p cgroupParent) make(name string, c controller) (group, error) {
	// Groups of killed builds would otherwise accumulate until the user runs prune.
	p.sweep(exists)
	files := c.files[p.version-1]
	if p.version == 2 && c.name != "cpuacct" && !p.offers(c.name) { // version 2 counts processor time without a controller
		return group{}, fmt.Errorf("%s has no controller for it", p.dir)
	}
	g := group{dir: filepath.Join(p.dir, groupPrefix+c.name+name)}
	if p.version == 2 {
		g.dir = filepath.Join(p.dir, groupPrefix+name)
	}
	undo := func() error { return os.Remove(g.dir) }
	err := os.Mkdir(g.dir, 0o755)
	if p.version == 2 && errors.Is(err, fs.ErrExist) { // created for another limit
		err, undo = nil, func() error { return nil }
	}
	if err != nil {
		return group{}, err
	}
	// The limits are set before any process joins: memory that a process has already is not
	// moved to the group.
	for file, text := range files {
		err = errors.Join(err, os.WriteFile(filepath.Join(g.dir, file), []byte(text), 0o644))
	}
	if err == nil {
		g.members, err = os.OpenFile(filepath.Join(g.dir, memberFiles[p.version-1]), os.O_WRONLY, 0)
	}
	if err != nil {
		return group{}, errors.Join(err, undo())
	}
	if c.name == "memory" && c.files[0] != nil { // no swap either; kernels without swap accounting lack the file
		for file, text := range [2]map[string]string{
			{"memory.memsw.limit_in_bytes": files["memory.limit_in_bytes"]}, {"memory.swap.max": "0"},
		}[p.version-1] {
			if swap := filepath.Join(g.dir, file); exists(swap) {
				_ = os.WriteFile(swap, []byte(text), 0o644)
			}
		}
	}
	return g, nil
}

func exists(name string) bool {
	_, err := os.Stat(name)
	return err == nil
}

// offers reports whether new groups have a controller, and enables it if possible.
func (p cgroupParent) offers(controller string) bool {
	// A group has the controllers that its parent enables in this file.
	control := filepath.Join(p.dir, "cgroup.subtree_control")
	text, _ := os.ReadFile(control)
	if slices.Contains(strings.Fields(string(text)), controller) {
		return true
	}
	return os.WriteFile(control, []byte("+"+controller), 0o644) == nil
}

// hostMemory returns the memory of the host in bytes, or 0 if it is unknown.
func hostMemory() int64 {
	var info unix.Sysinfo_t
	if err := unix.Sysinfo(&info); err != nil {
		return 0
	}
	return int64(info.Totalram) * int64(info.Unit)
}

// Sweep removes control groups of sandboxes that were killed. alive reports whether the run
// with a temporary directory (engine.Mounts.Temp) still exists.
func (e *Engine) Sweep(alive func(temp string) bool) {
	parents := newCgroupParents()
	for _, controller := range []string{"memory", "cpuacct", "cpu"} {
		for _, p := range parents.of(controller) {
			p.sweep(alive)
		}
	}
}

// sweep removes the groups of terminated runs. The kernel refuses to remove a group with
// processes. A group whose name does not identify its run is removed unless it was created
// within the last minute: it may still be waiting for its process.
func (p cgroupParent) sweep(alive func(temp string) bool) {
	left, _ := filepath.Glob(filepath.Join(p.dir, groupPrefix+"*"))
	for _, dir := range left {
		if temp := groupOwner(dir); temp != "" {
			if !alive(temp) {
				_ = unix.Rmdir(dir)
			}
			continue
		}
		info, err := os.Stat(dir)
		if err != nil {
			continue
		}
		// A negative age means that the clock was set back, and says nothing about the group.
		if age := time.Since(info.ModTime()); age < 0 || age > time.Minute {
			_ = unix.Rmdir(dir)
		}
	}
}

// remove removes the group after its processes have ended. The kernel may need a moment to
// notice.
func (g group) remove() error {
	err := g.members.Close()
	for range 100 {
		if err = unix.Rmdir(g.dir); err == nil || err == unix.ENOENT {
			return nil
		}
		time.Sleep(5 * time.Millisecond)
	}
	return fmt.Errorf("remove control group %s: %w", g.dir, err)
}
