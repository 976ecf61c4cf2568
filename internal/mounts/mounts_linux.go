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
