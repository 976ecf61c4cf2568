// Package cgroup reads the counters of a control group: processor time, memory
// and processes killed by the OOM killer. It supports versions 1 and 2, and hosts with
// both. It creates no groups and sets no limits.
package cgroup

import (
	"bytes"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
)

// Usage is the consumption of a group, including its subgroups.
type Usage struct {
	CPU    time.Duration // processor time since the group was created
	Memory int64         // bytes in use, without reclaimable file cache; 0 if unknown
	Killed int           // processes of the group that the OOM killer ended
}

// Meter reads the usage of one group. Its files stay open, because a build is measured at
// both ends of each command. Its methods may be called concurrently.
type Meter struct {
	memory, cpu string // directories; empty for resources that are not counted
	version     map[string]int

	mu     sync.Mutex // guards the fields below
	files  map[string]*os.File
	buffer []byte // for the contents of a file
}

// ForProcess returns a Meter of the control groups of a process. A group counts if its path has a
// component that contains mark, such as a container ID; subgroups below that component are
// not considered. The error wraps fs.ErrNotExist if there is no such group; any other means
// that this host does not support it.
func ForProcess(pid int, mark string) (*Meter, error) {
	all, err := Memberships(pid)
	if err != nil {
		return nil, err
	}
	var dirs []string
	mounts := ReadMounts()
	for _, member := range all {
		if !strings.Contains(member.Path, mark) {
			continue
		}
		for _, controller := range member.Controllers { // the marked group, not its subgroups
			if top := mounts.Find(member.Version, controller); top != "" {
				dirs = append(dirs, filepath.Join(top, cutAfter(member.Path, mark)))
			}
		}
	}
	return ForDirs(dirs...)
}

// cutAfter cuts a path after the component that contains mark.
func cutAfter(path, mark string) string {
	end := strings.Index(path, mark) + len(mark)
	if next := strings.IndexByte(path[end:], '/'); next >= 0 && mark != "/" {
		return path[:end+next]
	}
	return path
}

// ForDirs returns a Meter of the groups in the given directories, each of which may count
// different resources. Errors are as for ForProcess.
func ForDirs(dirs ...string) (*Meter, error) {
	m := &Meter{version: map[string]int{}}
	// If one directory has several controllers, the group that was created last has the
	// processes.
	for _, dir := range slices.Backward(dirs) {
		m.add(dir, "memory", &m.memory)
		m.add(dir, "cpuacct", &m.cpu)
	}
	if m.memory == "" && m.cpu == "" {
		return nil, fmt.Errorf("control groups %s: %w", strings.Join(dirs, ", "), fs.ErrNotExist)
	}
	return m, nil
}

// add uses a directory for a resource that no earlier one counts.
func (m *Meter) add(dir, controller string, at *string) {
	for version := 1; version <= 2 && *at == ""; version++ {
		if counts(dir, version, controller) {
			*at, m.version[controller] = dir, version
		}
	}
}

// counted are the files with the usage of a resource, for versions 1 and 2.
var counted = map[string][2]string{
	"memory":  {"memory.usage_in_bytes", "memory.current"},
	"cpuacct": {"cpuacct.usage", "cpu.stat"},
}

// counts reports whether a directory counts a resource. Version 1 has a file cpu.stat too,
// but without usage; version 2 is recognized by a file that every group has.
func counts(dir string, version int, controller string) bool {
	_, err := os.Stat(filepath.Join(dir, counted[controller][version-1]))
	_, second := os.Stat(filepath.Join(dir, "cgroup.controllers"))
	return err == nil && (version == 2) == (second == nil)
}

// Membership is the group of a process in one hierarchy.
type Membership struct {
	Version     int      // 1 or 2
	Controllers []string // of version 1, such as memory; a single empty name for version 2
	Path        string   // relative to the mount point of the hierarchy
}

// Memberships returns the groups of a process, those of version 1 first. The error is that
// of reading /proc/PID/cgroup.
func Memberships(pid int) ([]Membership, error) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/cgroup", pid))
	if err != nil {
		return nil, err
	}
	return parse(string(text)), nil
}

// parse parses /proc/PID/cgroup.
func parse(text string) []Membership {
	var all []Membership
	for _, line := range strings.Split(text, "\n") {
		fields := strings.SplitN(line, ":", 3)
		if len(fields) != 3 {
			continue
		}
		m := Membership{1, strings.Split(fields[1], ","), fields[2]}
		if fields[0] == "0" {
			m.Version = 2
		}
		all = append(all, m)
	}
	slices.SortStableFunc(all, func(a, b Membership) int { return a.Version - b.Version })
	return all
}

// Mounts are the mounted hierarchies of control groups, as they were when ReadMounts was called.
type Mounts []mounted

// mounted is one of them.
type mounted struct {
	dir         string
	version     int
	controllers []string // of version 1
}

// ReadMounts returns the hierarchies that this process sees; none if it cannot read its mounts.
func ReadMounts() Mounts {
	text, _ := os.ReadFile("/proc/self/mountinfo")
	var all Mounts
	for line := range bytes.Lines(text) {
		before, behind, _ := bytes.Cut(line, []byte(" - "))
		if !bytes.HasPrefix(behind, []byte("cgroup")) {
			continue
		}
		at, kind := strings.Fields(string(before)), strings.Fields(string(behind))
		if len(at) < 5 || len(kind) < 3 {
			continue
		}
		switch kind[0] {
		case "cgroup":
			all = append(all, mounted{at[4], 1, strings.Split(kind[2], ",")})
		case "cgroup2":
			all = append(all, mounted{dir: at[4], version: 2})
		}
	}
	return all
}

// Find returns the mount point of a controller of version 1, or of version 2 as a whole. It returns ""
// if it is not mounted.
func (all Mounts) Find(version int, controller string) string {
	for _, m := range all {
		if m.version == version && (version == 2 || slices.Contains(m.controllers, controller)) {
			return m.dir
		}
	}
	return ""
}

// Read returns the current usage. An error means that the group no longer exists.
func (m *Meter) Read() (Usage, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	var u Usage
	var err error
	if m.memory != "" {
		version := m.version["memory"]
		if u.Memory, err = m.number(m.memory, counted["memory"][version-1]); err != nil {
			return u, err
		}
		files, _ := m.field(m.memory, "memory.stat", [2]string{"total_inactive_file", "inactive_file"}[version-1])
		u.Memory = max(0, u.Memory-files)
		killed, _ := m.field(m.memory, [2]string{"memory.oom_control", "memory.events"}[version-1], "oom_kill")
		u.Killed = int(killed)
	}
	var spent int64
	switch {
	case m.cpu == "":
	case m.version["cpuacct"] == 2:
		spent, err = m.field(m.cpu, "cpu.stat", "usage_usec")
		u.CPU = time.Duration(spent) * time.Microsecond
	default:
		spent, err = m.number(m.cpu, "cpuacct.usage")
		u.CPU = time.Duration(spent)
	}
	return u, err
}

// Close closes the files. Read opens them again.
func (m *Meter) Close() {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, file := range m.files {
		_ = file.Close()
	}
	m.files = nil
}

func (m *Meter) number(dir, file string) (int64, error) {
	text, err := m.read(dir, file)
	if err != nil {
		return 0, err
	}
	return strconv.ParseInt(string(bytes.TrimSpace(text)), 10, 64)
}

// field returns a number from a file with lines of the form NAME NUMBER.
func (m *Meter) field(dir, file, name string) (int64, error) {
	text, err := m.read(dir, file)
	if err != nil {
		return 0, err
	}
	for line := range bytes.Lines(text) {
		if rest, is := bytes.CutPrefix(line, []byte(name)); is && bytes.HasPrefix(rest, []byte(" ")) {
			return strconv.ParseInt(string(bytes.TrimSpace(rest)), 10, 64)
		}
	}
	return 0, fmt.Errorf("%s of %s: %w", name, filepath.Join(dir, file), fs.ErrNotExist)
}

// maxContents is the size in bytes of a buffer that is larger than the kernel's text for any
// of the files.
const maxContents = 16 << 10

// read returns the current contents of a file, which the next call overwrites.
func (m *Meter) read(dir, file string) ([]byte, error) {
	open := m.files[file]
	if open == nil {
		var err error
		if open, err = os.Open(filepath.Join(dir, file)); err != nil {
			return nil, err
		}
		if m.files == nil {
			m.files, m.buffer = map[string]*os.File{}, make([]byte, maxContents)
		}
		m.files[file] = open
	}
	n, err := open.ReadAt(m.buffer, 0)
	if err == io.EOF {
		err = nil
	}
	return m.buffer[:n], err
}
