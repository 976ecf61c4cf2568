package cmd

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/buildlocal/buildlocal/artifacts"
	"github.com/buildlocal/buildlocal/builds"
	"github.com/buildlocal/buildlocal/console"
	"github.com/buildlocal/buildlocal/page"
	"github.com/buildlocal/buildlocal/reports"
	"github.com/buildlocal/buildlocal/runner"
)

// pageOf is what a page is made of: the reports, and the build that has them, if one has.
type pageOf struct {
	f     *runFlags
	store *builds.Store
	build *builds.Build // nil for none
	set   *reports.Set
}

// write writes the page. One that is apart does not stand in the build's directory.
func (p pageOf) write(w io.Writer, apart bool) error {
	b := page.Build{Title: "Reports", Reports: p.set, Apart: apart}
	if root, err := os.OpenRoot(p.f.sourceDir()); err == nil {
		defer root.Close()
		b.Source = func(name string) []byte { return sourceText(root, name) }
	}
	if p.build != nil {
		record, err := readRecord(*p.build)
		if err != nil {
			return err
		}
		b.Record = record
		if b.Artifacts, err = artifacts.Read(p.build.Path); err != nil {
			return err
		}
		b.Trend = trend(p.store, record.Project)
		if log, err := p.build.OpenLog(); err == nil {
			defer log.Close()
			b.Log = log
		}
	}
	return page.Write(w, b)
}

// sourceText reads a file of the source; nothing for one that is not to be shown.
func sourceText(root *os.Root, name string) []byte {
	if hidden(name) {
		return nil
	}
	text, err := root.ReadFile(filepath.FromSlash(name))
	if err != nil {
		return nil
	}
	return text
}

// hidden reports whether a file is one of those that are not shown, for settings and
// secrets are kept in them: its name, or that of a directory, begins with a point.
func hidden(name string) bool {
	return strings.HasPrefix(name, ".") || strings.Contains(name, "/.")
}

// file writes the page into a file, in the place of the one before: all of it, or
// nothing.
func (p pageOf) file(name string) error {
	next := filepath.Join(filepath.Dir(name), ".report-"+newUUID()+".html")
	out, err := os.OpenFile(next, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644)
	if err != nil {
		return fmt.Errorf("write the page: %w", err)
	}
	w := bufio.NewWriter(out)
	err = errors.Join(p.write(w, p.build == nil || p.build.Path != filepath.Dir(name)), w.Flush(), out.Close())
	if err == nil {
		err = os.Rename(next, name)
	}
	if err != nil {
		return errors.Join(fmt.Errorf("write the page: %w", err), os.Remove(next))
	}
	return nil
}

// leavePage writes the page of a build that has ended.
func leavePage(f *runFlags, s *builds.Store, b builds.Build) error {
	set, err := reports.ReadSet(b.Path)
	if err != nil {
		return err
	}
	detail(set, b.Path)
	return pageOf{f, s, &b, set}.file(filepath.Join(b.Path, console.PageName))
}

// readRecord reads what build.json says of a build.
func readRecord(b builds.Build) (*runner.Record, error) {
	r := &runner.Record{}
	if err := b.ReadRecord(r); err != nil {
		return nil, err
	}
	return r, nil
}

// trend are the kept builds of a project, the oldest first. One that cannot be read is
// left out.
func trend(s *builds.Store, project string) []page.Point {
	var all []page.Point
	for _, b := range s.All() {
		r, err := readRecord(b)
		if err != nil || r.Project != project {
			continue
		}
		all = append(all, point(r))
	}
	slices.SortFunc(all, func(a, b page.Point) int { return a.Number - b.Number })
	return all
}

func point(r *runner.Record) page.Point {
	p := page.Point{Number: r.Number, Status: r.Status, Seconds: r.End.Sub(r.Start).Seconds()}
	lines := reports.Counts{}
	for _, o := range r.Reports {
		if o.Report == nil {
			continue
		}
		if t := o.Report.Tests; t != nil {
			p.Passed += t.Counts[reports.CaseSucceeded]
			p.Bad += t.Bad()
			p.Skipped += t.Counts[reports.CaseSkipped] + t.Counts[reports.CaseUnknown]
		}
		if s := o.Report.Sum; s != nil {
			lines.Covered += s.Lines.Covered
			lines.Missed += s.Lines.Missed
		}
	}
	if lines.Total() > 0 {
		percent := lines.Percent()
		p.Lines = &percent
	}
	return p
}
