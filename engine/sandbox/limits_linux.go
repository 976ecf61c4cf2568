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

// group is a control group: a directory of the kernel's, with the processes that
// it counts and limits.
type group struct {
	dir   string
	procs *os.File // what a process writes itself to, to join
}

// controller is a way to limit one thing, in one version of control groups.
type controller struct {
	name  string // of the thing, for a person too
	files [2]map[string]string
}

// limitsOf returns what is written to which file, in version 1 and 2; what is not
// limited is counted.
func limitsOf(l engine.Limits) []controller {
	all := []controller{{name: "memory"}, {name: "cpuacct"}}
	if l.Memory > 0 {
		bytes := strconv.FormatInt(l.Memory, 10)
		all[0].files = [2]map[string]string{{"memory.limit_in_bytes": bytes}, {"memory.max": bytes}}
	}
	if l.CPUs > 0 && l.CPUs < float64(runtime.NumCPU()) {
		const period = 100_000 // microseconds
		quota := strconv.Itoa(int(l.CPUs * period))
		all = append(all, controller{"cpu", [2]map[string]string{{"cpu.cfs_quota_us": quota}, {"cpu.max": quota + " " + strconv.Itoa(period)}}})
	}
	return all
}

// limit makes control groups with limits. What cannot be limited is told; what cannot
// be counted is not known.
func limit(s engine.Spec, say func(string, ...any)) []group {
	name := groupName(s)
	var groups []group
	for _, c := range limitsOf(s.Resources.Limits) {
		places := placesOf(c.name)
		err := fmt.Errorf("no control group for it: %w", fs.ErrNotExist)
		for _, p := range places {
			var g group
			if g, err = p.make(name, c); err == nil {
				groups = with(groups, g)
				break
			}
		}
		if err != nil && c.files[0] != nil {
			say("The build's %s is not limited to that of its compute type: %v.", c.name, err)
		}
	}
	return groups
}

// with returns the groups with one more. In version 2 it may be among them, with
// a limit more: there a process is in one group only.
func with(groups []group, g group) []group {
	for _, known := range groups {
		if known.dir == g.dir {
			_ = g.procs.Close()
			return groups
		}
	}
	return append(groups, g)
}

// place is a directory where control groups can be made.
type place struct {
	dir     string
	version int // 1 or 2
}

// placesOf returns where a controller is, the best place first. Root has the top;
// a plain user has what was given to him: the group his own process is in, or the
// one around it.
func placesOf(controller string) []place {
	memberships, _ := cgroup.Memberships(os.Getpid())
	var all []place
	for _, m := range memberships {
		if m.Version == 1 && !slices.Contains(m.Controllers, controller) {
			continue
		}
		top := cgroup.Mount(m.Version, controller)
		if top == "" {
			continue
		}
		own := filepath.Join(top, m.Path)
		all = append(all, place{top, m.Version}, place{filepath.Dir(own), m.Version}, place{own, m.Version})
	}
	return all
}

const groupPrefix = "buildlocal-"

// groupName returns the end of a group's name, which tells whose it is: :TEMP:NAME.
func groupName(s engine.Spec) string {
	const maxName, maxController = 255, 16 // a directory of the kernel's, and the part before
	name := ":" + url.QueryEscape(s.Mounts.Temp) + ":" + s.Name
	if len(name) > maxName-len(groupPrefix)-maxController {
		return ":" + s.Name
	}
	return name
}

// ownerOfGroup returns the temporary directory of the run that made a group, or "" if its
// name does not have it.
func ownerOfGroup(dir string) string {
	parts := strings.Split(filepath.Base(dir), ":")
	if len(parts) != 3 {
		return ""
	}
	temp, _ := url.QueryUnescape(parts[1])
	return temp
}

// make makes a group with the limit in this place.
func (p place) make(name string, c controller) (group, error) {
	p.sweep(exists)
	files := c.files[p.version-1]
	if p.version == 2 && c.name != "cpuacct" && !p.offers(c.name) { // version 2 always counts time
		return group{}, fmt.Errorf("%s has no controller for it", p.dir)
	}
	g := group{dir: filepath.Join(p.dir, groupPrefix+c.name+name)}
	if p.version == 2 {
		g.dir = filepath.Join(p.dir, groupPrefix+name)
	}
	undo := func() error { return os.Remove(g.dir) }
	err := os.Mkdir(g.dir, 0o755)
	if p.version == 2 && errors.Is(err, fs.ErrExist) { // it has another limit already
		err, undo = nil, func() error { return nil }
	}
	if err != nil {
		return group{}, err
	}
	for file, text := range files {
		err = errors.Join(err, os.WriteFile(filepath.Join(g.dir, file), []byte(text), 0o644))
	}
	if err == nil {
		g.procs, err = os.OpenFile(filepath.Join(g.dir, "cgroup.procs"), os.O_WRONLY, 0)
	}
	if err != nil {
		return group{}, errors.Join(err, undo())
	}
	if c.name == "memory" && c.files[0] != nil { // no swap either; a kernel may not count it
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

// offers reports whether groups made here can have a controller, and asks for it.
func (p place) offers(controller string) bool {
	control := filepath.Join(p.dir, "cgroup.subtree_control")
	text, _ := os.ReadFile(control)
	if slices.Contains(strings.Fields(string(text)), controller) {
		return true
	}
	return os.WriteFile(control, []byte("+"+controller), 0o644) == nil
}

// memoryOfMachine is in bytes; 0 where it is not known.
func memoryOfMachine() int64 {
	var info unix.Sysinfo_t
	if err := unix.Sysinfo(&info); err != nil {
		return 0
	}
	return int64(info.Totalram) * int64(info.Unit)
}

// Sweep removes what the kernel keeps of sandboxes that were killed: control groups
// of runs of which alive, given their Spec.Temp, says that they are gone.
func (e *Engine) Sweep(alive func(temp string) bool) {
	for _, controller := range []string{"memory", "cpuacct", "cpu"} {
		for _, p := range placesOf(controller) {
			p.sweep(alive)
		}
	}
}

// sweep removes groups of runs that are gone; one with a process in it cannot be
// removed. A group that does not name its run is removed unless it was made within the
// last minute, when it may be waiting for its process.
func (p place) sweep(alive func(temp string) bool) {
	left, _ := filepath.Glob(filepath.Join(p.dir, groupPrefix+"*"))
	for _, dir := range left {
		if temp := ownerOfGroup(dir); temp != "" {
			if !alive(temp) {
				_ = unix.Rmdir(dir)
			}
			continue
		}
		info, err := os.Stat(dir)
		if err != nil {
			continue
		}
		if age := time.Since(info.ModTime()); age < 0 || age > time.Minute {
			_ = unix.Rmdir(dir)
		}
	}
}

// remove removes the group, whose processes have ended. The kernel may take a
// moment to notice.
func (g group) remove() error {
	err := g.procs.Close()
	for range 100 {
		if err = unix.Rmdir(g.dir); err == nil || err == unix.ENOENT {
			return nil
		}
		time.Sleep(5 * time.Millisecond)
	}
	return fmt.Errorf("remove control group %s: %w", g.dir, err)
}
