package local

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/buildlocal/buildlocal/artifacts"
	"github.com/buildlocal/buildlocal/builds"
	"github.com/buildlocal/buildlocal/internal/regular"
	"github.com/buildlocal/buildlocal/page"
	"github.com/buildlocal/buildlocal/reports"
	"github.com/buildlocal/buildlocal/runner"
)

// Page is the contents of an HTML page: reports, and the build that produced them.
type Page struct {
	Store     *builds.Store
	Build     *builds.Build // nil for reports that are not of a build
	Reports   *reports.Set
	SourceDir string // shown at the places that reports refer to

	record *runner.Record // of the build; nil to read it from its directory
	// earlier has the summaries of the other builds; nil to read them.
	earlier func() []page.Summary
}

// Write writes the page. A page that is apart is not in the directory of the build, so it
// has no links to other files of the build.
func (p Page) Write(w io.Writer, apart bool) error {
	b := page.Build{Title: "Reports", Reports: p.Reports, Apart: apart}
	if root, err := os.OpenRoot(p.SourceDir); err == nil {
		defer root.Close()
		b.Source = func(name string) []byte { return sourceText(root, name) }
	}
	if p.Build != nil {
		var err error
		if b.Record, b.Trend, err = p.recordAndTrend(); err != nil {
			return err
		}
		if b.Artifacts, err = artifacts.Read(p.Build.Path); err != nil {
			return err
		}
		if log, err := p.Build.OpenLog(); err == nil {
			defer log.Close()
			b.Log = log
			if b.Index, err = p.Build.ReadLogIndex(); err != nil {
				return err
			}
		}
	}
	return page.Write(w, b)
}

// sourceText returns a file of the source, or nil if it cannot be read. Files with a name
// that begins with a dot, or in such a directory, are never shown: they often contain
// settings and secrets.
func sourceText(root *os.Root, name string) []byte {
	if strings.HasPrefix(name, ".") || strings.Contains(name, "/.") {
		return nil
	}
	text, err := root.ReadFile(filepath.FromSlash(name))
	if err != nil {
		return nil
	}
	return text
}

// WriteFile writes the page into a file. An existing file is replaced only by a complete
// page.
func (p Page) WriteFile(name string) error {
	// In the same directory, because a rename does not work between file systems.
	next := filepath.Join(filepath.Dir(name), ".report-"+newUUID()+".html")
	out, err := os.OpenFile(next, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644)
	if errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("write the page: directory %s does not exist", filepath.Dir(name))
	}
	if err != nil {
		return fmt.Errorf("write the page: %w", err)
	}
	w := bufio.NewWriter(out)
	apart := p.Build == nil || p.Build.Path != filepath.Dir(name)
	err = errors.Join(p.Write(w, apart), w.Flush(), out.Close())
	if err == nil {
		err = os.Rename(next, name)
	}
	if err != nil {
		return errors.Join(fmt.Errorf("write the page: %w", err), os.Remove(next))
	}
	return nil
}

// AddCoverageDetail adds the lines of covered files, which the stored set does not have.
// They are parsed from the report files in the directory of the build.
func AddCoverageDetail(set *reports.Set, dir string) {
	for _, r := range set.Reports {
		if r.Type != reports.CodeCoverage || r.Dir == "" {
			continue
		}
		root, err := os.OpenRoot(filepath.Join(dir, filepath.FromSlash(r.Dir)))
		if err != nil {
			continue
		}
		var files []reports.Source
		_ = filepath.WalkDir(root.Name(), func(path string, e os.DirEntry, err error) error {
			if err == nil && e.Type().IsRegular() {
				name, _ := filepath.Rel(root.Name(), path)
				open := func() (io.ReadCloser, error) { return regular.OpenIn(root, name) }
				files = append(files, reports.Source{Path: name, Open: open})
			}
			return nil
		})
		r.AddDetail(reports.Read(r.Group, r.Format, files, reports.ServiceLimits()))
		_ = root.Close()
	}
}

// ReadRecord reads the record of a build.
func ReadRecord(b builds.Build) (*runner.Record, error) {
	r := &runner.Record{}
	if err := b.ReadRecord(r); err != nil {
		return nil, err
	}
	for i := range r.Phases { // which the file has in whole seconds only
		if p := &r.Phases[i]; !p.End.IsZero() {
			p.Duration = p.End.Sub(p.Start)
		}
	}
	return r, nil
}

// recordAndTrend returns the record of the build, and all builds of its project.
func (p Page) recordAndTrend() (*runner.Record, []page.Summary, error) {
	record := p.record
	if record == nil {
		var err error
		if record, err = ReadRecord(*p.Build); err != nil {
			return nil, nil, err
		}
	}
	var all []page.Summary
	if p.earlier != nil {
		all = append(slices.Clone(p.earlier()), summaryOf(p.Build.Name, record))
	} else {
		all = readSummaries(p.Store)
	}
	return record, slices.DeleteFunc(all, func(s page.Summary) bool { return s.Project != record.Project }), nil
}
