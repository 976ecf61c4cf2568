// Package mounts lists the mounted file systems of this process's mount namespace.
package mounts

import (
	"slices"

	"github.com/moby/sys/mountinfo"
)

// Points returns the mount points of the file systems whose type is wanted, such as "ext4", sorted:
// outermost first. One with several mounts on it is listed once. A nil function wants all.
func Points(wanted func(kind string) bool) ([]string, error) {
	found, err := mountinfo.GetMounts(func(i *mountinfo.Info) (skip, stop bool) {
		return wanted != nil && !wanted(i.FSType), false
	})
	if err != nil {
		return nil, err
	}
	points := make([]string, 0, len(found))
	for _, m := range found {
		points = append(points, m.Mountpoint)
	}
	slices.Sort(points)
	return slices.Compact(points), nil
}

// KindAt returns the type of the file system that has a path, such as "ext4" or "nfs4". The path is
// absolute and without symbolic links.
func KindAt(path string) (string, error) {
	found, err := mountinfo.GetMounts(mountinfo.ParentsFilter(path))
	if err != nil {
		return "", err
	}
	kind, at := "", ""
	for _, m := range found {
		if len(m.Mountpoint) >= len(at) { // of several mounts at one place, the last one is visible
			kind, at = m.FSType, m.Mountpoint
		}
	}
	return kind, nil
}
