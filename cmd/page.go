package cmd

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"

	"github.com/buildlocal/buildlocal/artifacts"
	"github.com/buildlocal/buildlocal/console"
	"github.com/buildlocal/buildlocal/page"
	"github.com/buildlocal/buildlocal/reports"
	"github.com/buildlocal/buildlocal/runner"
)

// page writes the page of a build, or of reports that no build made: then dir is empty.
func (a *App) page(w io.Writer, f *runFlags, s *store, dir string, set *reports.Set) error {
	b := page.Build{Title: "Reports", Reports: set}
	if root, err := os.OpenRoot(f.sourceDir()); err == nil {
		defer root.Close()
		b.Source = func(name string) []byte {
			text, err := root.ReadFile(filepath.FromSlash(name))
			if err != nil {
				return nil
			}
			return text
		}
	}
	if dir != "" {
		record, err := readRecord(dir)
		if err != nil {
			return err
		}
		b.Record = record
		if b.Artifacts, err = artifacts.Read(dir); err != nil {
			return err
		}
		b.Trend = s.trend(record.Project)
		if log, err := os.Open(filepath.Join(dir, "log.txt")); err == nil {
			defer log.Close()
			b.Log = log
		}
	}
	return page.Write(w, b)
}

// writePage writes the page into a file, in the place of the one before, and says where.
func (a *App) writePage(f *runFlags, s *store, dir string, set *reports.Set, file string) error {
	if err := a.pageFile(f, s, dir, set, file); err != nil {
		return err
	}
	_, err := fmt.Fprintln(a.Stdout, file)
	return err
}

// pageFile writes the page into a file: all of it, or nothing.
func (a *App) pageFile(f *runFlags, s *store, dir string, set *reports.Set, file string) error {
	out, err := os.CreateTemp(filepath.Dir(file), ".report-*.html")
	if err != nil {
		return fmt.Errorf("write the page: %w", err)
	}
	w := bufio.NewWriter(out)
	err = errors.Join(a.page(w, f, s, dir, set), w.Flush(), out.Chmod(0o644), out.Close())
	if err == nil {
		err = os.Rename(out.Name(), file)
	}
	if err != nil {
		return errors.Join(fmt.Errorf("write the page: %w", err), os.Remove(out.Name()))
	}
	return nil
}

// leavePage writes the page of a build that has ended.
func (a *App) leavePage(f *runFlags, d *buildDir) error {
	set, err := reports.ReadSet(d.path)
	if err != nil {
		return err
	}
	detail(set, d.path)
	return a.pageFile(f, d.store, d.path, set, filepath.Join(d.path, console.PageName))
}

// readRecord reads what build.json says of a build.
func readRecord(dir string) (*runner.Record, error) {
	file := filepath.Join(dir, "build.json")
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, fmt.Errorf("the build has not ended, or was killed: %w", err)
	}
	r := &runner.Record{}
	if err := json.Unmarshal(text, r); err != nil {
		return nil, fmt.Errorf("%s is no record of a build: %w", file, err)
	}
	return r, nil
}

// trend are the kept builds of a project, the oldest first. One that cannot be read is
// left out.
func (s *store) trend(project string) []page.Point {
	entries, _ := os.ReadDir(filepath.Join(s.dir, "builds"))
	var all []page.Point
	for _, e := range entries {
		r, err := readRecord(filepath.Join(s.dir, "builds", e.Name()))
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
