package reports

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/buildlocal/buildlocal/internal/regular"
)

// SetName is the name of the file with the reports, in a build's directory.
const SetName = "reports.json"

// setVersion is the version of the file format. Fields are only ever added.
const setVersion = 1

// Set is the reports of one build.
type Set struct {
	Version int    `json:"version"`
	Build   int    `json:"buildNumber,omitempty"`
	Project string `json:"projectName,omitempty"`
	Past    []Past `json:"earlierBuilds,omitempty"` // with reports, oldest first
	// Two builds with the same fingerprint ran the same source, which is what distinguishes a flaky
	// test from a broken one.
	Print   string    `json:"sourcePrint,omitempty"` // fingerprint of the source; empty if unknown
	Reports []*Report `json:"reports"`
}

// NewSet returns an empty set for a build.
func NewSet(build int, project string) *Set {
	return &Set{Version: setVersion, Build: build, Project: project, Reports: []*Report{}}
}

// Write writes the set to a build's directory. The file is written once, at the end of a build,
// into a directory that no other build uses. It needs no atomic replacement.
func (s *Set) Write(dir string) error {
	text, err := json.MarshalIndent(s, "", " ")
	if err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(dir, SetName), append(text, '\n'), 0o644)
}

// maxSet limits the size of the file, in bytes. A set of 500 cases with messages for each of a
// dozen groups has a few megabytes. The limit only protects against a file that is not a set.
const maxSet = 1 << 30

// ReadSet reads the reports from a build's directory. A build without reports has an empty set. An
// error describes the problem with the file.
func ReadSet(dir string) (*Set, error) {
	s := NewSet(0, "")
	file := filepath.Join(dir, SetName)
	text, err := regular.Read(file, maxSet)
	if errors.Is(err, fs.ErrNotExist) {
		return s, nil
	}
	if err != nil {
		return s, err
	}
	if err := json.Unmarshal(text, s); err != nil {
		return s, fmt.Errorf("%s is not a valid list of reports: %w", file, err)
	}
	// A newer program may have changed the meaning of a field. Reading on would compare results that
	// are not comparable.
	if s.Version > setVersion {
		return s, fmt.Errorf("%s has version %d; this program supports version %d", file, s.Version, setVersion)
	}
	return s, nil
}

// Bad reports whether any test case failed, kept or not. It may be called on nil.
func (s *Set) Bad() bool {
	if s == nil {
		return false
	}
	for _, r := range s.Reports {
		// The totals are asked, not the cases, because a set may have lost failed cases to the limit.
		if r.Tests != nil && r.Tests.Bad() > 0 {
			return true
		}
	}
	return false
}

// Mask applies hide to all texts of a report, except the directory, whose name contains no secrets.
func (r *Report) Mask(hide func(string) string) {
	all := func(texts []string) {
		for i, t := range texts {
			texts[i] = hide(t)
		}
	}
	r.Name, r.ARN, r.GroupARN, r.Group = hide(r.Name), hide(r.ARN), hide(r.GroupARN), hide(r.Group)
	all(r.Files)
	all(r.Notes)
	for i, p := range r.Problems {
		r.Problems[i].File, r.Problems[i].Text, r.Problems[i].Reason = hide(p.File), hide(p.Text), hide(p.Reason)
	}
	for _, list := range [][]Case{r.Cases, r.Slowest} {
		for i := range list {
			c := &list[i]
			c.Name, c.Prefix, c.Suite, c.Message, c.Raw = hide(c.Name), hide(c.Prefix), hide(c.Suite), hide(c.Message),
				hide(c.Raw)
			if c.Place != nil {
				c.Place.File = hide(c.Place.File)
			}
		}
	}
	for i, c := range r.Coverage {
		r.Coverage[i].Path, r.Coverage[i].Place = hide(c.Path), hide(c.Place)
	}
}
