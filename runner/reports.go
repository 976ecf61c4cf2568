package runner

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"path/filepath"
	"strings"

	"github.com/buildlocal/buildlocal/buildspec"
	"github.com/buildlocal/buildlocal/internal/tree"
	"github.com/buildlocal/buildlocal/reports"
)

// allReports reads the reports of all groups, and those that no group names.
func (b *build) allReports(ctx context.Context) []error {
	var errs []error
	b.reports, b.reported = reports.NewSet(b.plan.Identity.Number, b.plan.Identity.Project), map[string]bool{}
	for _, group := range b.plan.Reports {
		errs = append(errs, b.group(ctx, group))
		if err := context.Cause(ctx); err != nil {
			return append(errs, err)
		}
	}
	if ctx.Err() == nil {
		errs = append(errs, b.discover(ctx))
	}
	if len(b.reports.Reports) > 0 {
		errs = append(errs, b.tellReports())
	}
	return errs
}

// limits are how much of a report is kept, without what is secret.
func (b *build) limits() reports.Limits {
	l := b.ReportLimits
	l.Hide = b.mask.Text
	return l
}

// group reads the reports of one group. Files that are missing fail the phase
// (observed); ones that cannot be read make the report INCOMPLETE and the build goes on:
// what the service does then is not known.
func (b *build) group(ctx context.Context, group buildspec.ReportGroup) error {
	name, err := b.expand(ctx, group.Name)
	if err != nil {
		return err
	}
	format, err := reports.ParseFormat(group.Format)
	if err != nil {
		return err // not reached: the buildspec is refused before
	}
	out, files, err := b.collect(ctx, Output{Name: name, Dir: b.reportDir(name)}, tree.Selection{Base: group.BaseDirectory, Files: group.Files})
	if errors.Is(err, tree.ErrNoMatch) || errors.Is(err, tree.ErrNoBase) {
		r := reports.Read(name, format, nil, b.limits())
		r.Status, r.Problems = reports.Incomplete, []reports.Problem{{File: strings.Join(group.Files, ", "), Text: err.Error()}}
		b.file(r, Output{Name: name}, name)
	}
	if errors.Is(err, tree.ErrNoMatch) {
		return fmt.Errorf("%w of report group %s", err, name)
	}
	if err != nil {
		return err
	}
	r := b.read(ctx, format, out, files)
	if group.DiscardPaths {
		if out, err = b.flatten(out, files); err != nil {
			return err
		}
	}
	b.file(r, out, name)
	return nil
}

// read reads the files of a group where they were put.
func (b *build) read(ctx context.Context, format reports.Format, out Output, files []tree.File) *reports.Report {
	var sources []reports.Source
	root, err := os.OpenRoot(filepath.Join(b.Out, filepath.FromSlash(out.Dir)))
	if err == nil {
		defer root.Close()
	}
	for _, f := range files {
		b.reported[reportKey(f)] = true
		sources = append(sources, reports.Source{Path: f.Path, Open: func() (io.ReadCloser, error) {
			if err != nil {
				return nil, err
			}
			return reports.Open(ctx, root, filepath.FromSlash(f.Path))
		}})
	}
	return reports.Read(out.Name, format, sources, b.limits())
}

// reportKey names a file by its name and content, wherever patterns begin.
func reportKey(f tree.File) string { return path.Base(f.Path) + " " + f.SHA256 }

// flatten moves the files of a group beside each other: discard-paths is about what is
// kept, not about what is read. Of two with one name the last stays.
func (b *build) flatten(out Output, files []tree.File) (Output, error) {
	dir := filepath.Join(b.Out, filepath.FromSlash(out.Dir))
	flat, err := os.MkdirTemp(b.Out, ".collecting-")
	if err != nil {
		return out, err
	}
	defer os.RemoveAll(flat)
	at := map[string]int{}
	out.Files = nil
	for _, f := range files {
		name := path.Base(f.Path)
		if err := os.Rename(filepath.Join(dir, filepath.FromSlash(f.Path)), filepath.Join(flat, name)); err != nil {
			return out, err
		}
		if i, again := at[name]; again {
			out.Files[i].Size = f.Size
			continue
		}
		at[name] = len(out.Files)
		out.Files = append(out.Files, File{b.mask.Text(name), f.Size})
	}
	return out, errors.Join(os.RemoveAll(dir), os.Chmod(flat, 0o755), os.Rename(flat, dir))
}

// file names a report as the service does: its group is the project's, unless it is
// given by its ARN (documented, test-report-group-naming).
func (b *build) file(r *reports.Report, out Output, name string) {
	id := b.plan.Identity
	r.GroupARN = name
	if !strings.HasPrefix(name, "arn:") {
		r.GroupARN = id.arn("report-group/" + id.Project + "-" + name)
	}
	_, r.Group, _ = strings.Cut(r.GroupARN, ":report-group/")
	r.ARN = strings.Replace(r.GroupARN, ":report-group/", ":report/", 1) + ":" + reportUUID(id.UUID, r.Group)
	r.Name, r.Execution, r.Created, r.Dir = r.Group, id.ARN(), b.Now().UTC(), out.Dir
	out.Name = b.mask.Text(out.Name)
	b.reports.Reports = append(b.reports.Reports, r)
	if out.Dir != "" {
		b.record.Reports = append(b.record.Reports, out)
	}
}

// reportUUID is unique as the build's is.
func reportUUID(build, group string) string {
	h := fmt.Sprintf("%x", sha256.Sum256([]byte(build+"/"+group)))
	return h[:8] + "-" + h[8:12] + "-4" + h[13:16] + "-8" + h[17:20] + "-" + h[20:32]
}

// tellReports finds in the source what the reports name, compares them with those of
// earlier builds, and leaves and tells them, without what is secret.
func (b *build) tellReports() error {
	set := b.reports
	if b.SourceFiles != nil {
		names, print := b.SourceFiles()
		t := reports.NewTree(b.plan.Sources[0].Path, names)
		for _, r := range set.Reports {
			r.Place(t)
		}
		set.Print = b.print(print)
	}
	for _, r := range set.Reports {
		r.Mask(b.mask.Text)
	}
	if b.Earlier != nil {
		set.Compare(b.Earlier)
	}
	b.record.ReportARNs = nil
	for _, r := range set.Reports {
		b.record.ReportARNs = append(b.record.ReportARNs, r.ARN)
		b.tellReport(r)
	}
	err := set.Write(b.Out)
	b.notify(Event{Kind: Reported, Reports: set})
	return err
}

// tellReport notes a report in the record, and says what is wrong with it.
func (b *build) tellReport(r *reports.Report) {
	for i, o := range b.record.Reports {
		if r.Dir != "" && o.Dir == r.Dir {
			brief := *r
			brief.Cases, brief.Slowest, brief.Coverage = nil, nil, nil
			b.record.Reports[i].Report = &brief
		}
	}
	for _, p := range r.Problems {
		if r.Dir != "" { // else the phase says it
			b.note("Report %s is INCOMPLETE: %v", r.Group, p)
		}
	}
	for _, text := range r.Notes {
		b.note("Report %s: %s.", r.Group, text)
	}
}

// print is of all that a test can see: the source, the image, and the variables that are
// not the service's.
func (b *build) print(source string) string {
	sum := sha256.New()
	fmt.Fprintf(sum, "%s\n%s\n%s\n", source, b.plan.Image, b.plan.Place)
	for i, v := range b.plan.Variables {
		if v.Origin != serviceOrigin {
			fmt.Fprintf(sum, "%s=%q\n", v.Name, b.values[i])
		}
	}
	return fmt.Sprintf("%x", sum.Sum(nil))
}
