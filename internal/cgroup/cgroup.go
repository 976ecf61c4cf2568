// Package cgroup reads what the kernel counts of the processes of a control group, in
// version 1 and 2.
package cgroup

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Usage is what the processes of a group, and of the groups in it, have used.
type Usage struct {
	CPU    time.Duration // processor time since the group was made
	Memory int64         // bytes in use now, without what the kernel can forget of files; 0 where it is not counted
	Killed int           // processes of the group killed for want of memory
}

// Meter reads the usage of one group.
type Meter struct {
	memory, cpu string // directories; empty for one that is not counted
	version     map[string]int
}

// Of returns a Meter of the groups that a process is in and whose names hold mark. The
// error says that this machine does not tell them; it is fs.ErrNotExist where there are
// none.
func Of(pid int, mark string) (*Meter, error) {
	all, err := Memberships(pid)
	if err != nil {
		return nil, err
	}
	var dirs []string
	for _, member := range all {
		if !strings.Contains(member.Path, mark) {
			continue
		}
		for _, controller := range member.Controllers { // the group of that name, and not one in it
			if top := Mount(member.Version, controller); top != "" {
				dirs = append(dirs, filepath.Join(top, through(member.Path, mark)))
			}
		}
	}
	return At(dirs...)
}

// through cuts a path behind the component that holds mark.
func through(path, mark string) string {
	end := strings.Index(path, mark) + len(mark)
	if next := strings.IndexByte(path[end:], '/'); next >= 0 && mark != "/" {
		return path[:end+next]
	}
	return path
}

// At returns a Meter of the groups in some directories, of which each may count other
// things. The error is as that of Of.
func At(dirs ...string) (*Meter, error) {
	m := &Meter{version: map[string]int{}}
	// Where two controllers are one hierarchy, processes are in the group made last.
	for _, dir := range slices.Backward(dirs) {
		m.add(dir, "memory", &m.memory)
		m.add(dir, "cpuacct", &m.cpu)
	}
	if m.memory == "" && m.cpu == "" {
		return nil, fmt.Errorf("control groups %s: %w", strings.Join(dirs, ", "), fs.ErrNotExist)
	}
	return m, nil
}

// add notes a directory that counts something which none before it does.
func (m *Meter) add(dir, controller string, at *string) {
	for version := 1; version <= 2 && *at == ""; version++ {
		if counts(dir, version, controller) {
			*at, m.version[controller] = dir, version
		}
	}
}

// counted are the files that have the sum, in version 1 and 2.
var counted = map[string][2]string{
	"memory":  {"memory.usage_in_bytes", "memory.current"},
	"cpuacct": {"cpuacct.usage", "cpu.stat"},
}

// counts reports whether a directory counts something. Version 1 has a cpu.stat too, of
// limits only; that of version 2 is known by a file that every group has.
func counts(dir string, version int, controller string) bool {
	_, err := os.Stat(filepath.Join(dir, counted[controller][version-1]))
	_, second := os.Stat(filepath.Join(dir, "cgroup.controllers"))
	return err == nil && (version == 2) == (second == nil)
}

// Membership is the place of a process in one hierarchy of control groups.
type Membership struct {
	Version     int      // 1 or 2
	Controllers []string // of version 1, as "memory"; one empty name for version 2
	Path        string   // below where the hierarchy is mounted
}

// Memberships returns the groups a process is in, those of version 1 first. The error
// is that of reading /proc/PID/cgroup.
func Memberships(pid int) ([]Membership, error) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/cgroup", pid))
	if err != nil {
		return nil, err
	}
	return parse(string(text)), nil
}

// parse reads /proc/PID/cgroup.
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

// Mount returns where a controller of version 1 is mounted, or version 2 as a whole;
// "" where it is not.
func Mount(version int, controller string) string {
	text, _ := os.ReadFile("/proc/self/mountinfo")
	for _, line := range strings.Split(string(text), "\n") {
		before, behind, _ := strings.Cut(line, " - ")
		at, kind := strings.Fields(before), strings.Fields(behind)
		if len(at) < 5 || len(kind) < 3 {
			continue
		}
		if version == 2 && kind[0] == "cgroup2" ||
			version == 1 && kind[0] == "cgroup" && slices.Contains(strings.Split(kind[2], ","), controller) {
			return at[4]
		}
	}
	return ""
}

// Read returns what is used now. The error says that the group is gone.
func (m *Meter) Read() (Usage, error) {
	var u Usage
	var err error
	if m.memory != "" {
		version := m.version["memory"]
		if u.Memory, err = number(m.memory, counted["memory"][version-1]); err != nil {
			return u, err
		}
		files, _ := field(m.memory, "memory.stat", [2]string{"total_inactive_file", "inactive_file"}[version-1])
		u.Memory = max(0, u.Memory-files)
		killed, _ := field(m.memory, [2]string{"memory.oom_control", "memory.events"}[version-1], "oom_kill")
		u.Killed = int(killed)
	}
	var spent int64
	switch {
	case m.cpu == "":
	case m.version["cpuacct"] == 2:
		spent, err = field(m.cpu, "cpu.stat", "usage_usec")
		u.CPU = time.Duration(spent) * time.Microsecond
	default:
		spent, err = number(m.cpu, "cpuacct.usage")
		u.CPU = time.Duration(spent)
	}
	return u, err
}

func number(dir, file string) (int64, error) {
	text, err := os.ReadFile(filepath.Join(dir, file))
	if err != nil {
		return 0, err
	}
	return strconv.ParseInt(strings.TrimSpace(string(text)), 10, 64)
}

// field returns a number of a file of lines NAME NUMBER.
func field(dir, file, name string) (int64, error) {
	text, err := os.ReadFile(filepath.Join(dir, file))
	if err != nil {
		return 0, err
	}
	for line := range strings.Lines(string(text)) {
		if value, is := strings.CutPrefix(line, name+" "); is {
			return strconv.ParseInt(strings.TrimSpace(value), 10, 64)
		}
	}
	return 0, fmt.Errorf("%s of %s: %w", name, filepath.Join(dir, file), fs.ErrNotExist)
}
