package artifacts

import (
	"cmp"
	"slices"
	"strings"
)

// Change is one file that differs between two builds.
type Change struct {
	Identifier    string // of the set; empty for the primary one
	Path          string
	Before, After *Entry // nil if that build does not have the file
}

// Diff returns the changed files between the artifacts of two builds, sorted by set and
// path. A different mode counts as a change. A renamed file is one that was removed and one that
// was added.
func Diff(before, after Manifest) []Change {
	type key struct{ identifier, path string }
	changes := map[key]*Change{}
	note := func(m Manifest, set func(*Change, *Entry)) {
		for _, s := range m.Artifacts {
			for i := range s.Entries {
				// Names are compared as bytes: two different names can look the same after their repair.
				k := key{s.Identifier, s.Entries[i].Name()}
				if changes[k] == nil {
					changes[k] = &Change{Identifier: s.Identifier, Path: s.Entries[i].Path}
				}
				set(changes[k], &s.Entries[i])
			}
		}
	}
	note(before, func(c *Change, e *Entry) { c.Before = e })
	note(after, func(c *Change, e *Entry) { c.After = e })
	var all []Change
	for _, c := range changes {
		// The time is not compared, since it differs in each build.
		if c.Before == nil || c.After == nil || c.Before.SHA256 != c.After.SHA256 || c.Before.Mode != c.After.Mode ||
			c.Before.Link != c.After.Link {
			all = append(all, *c)
		}
	}
	slices.SortFunc(all, func(a, b Change) int {
		return cmp.Or(strings.Compare(a.Identifier, b.Identifier), strings.Compare(a.Path, b.Path))
	})
	return all
}
