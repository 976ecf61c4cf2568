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
	"slices"
	"strings"

	"github.com/buildlocal/buildlocal/buildspec"
	"github.com/buildlocal/buildlocal/engine"
	"github.com/buildlocal/buildlocal/internal/human"
	"github.com/buildlocal/buildlocal/internal/tree"
	"github.com/buildlocal/buildlocal/reports"
)

// reportStep collects and reads the test and coverage reports of a build and owns the set
// of them.
type reportStep struct {
	*Runner
	plan   *Plan
	rec    *recorder
	shells *shellState
	values variableValues
	files  *collector

	set     *reports.Set
	refused refusedReports
	seen    map[string]bool // files that a group has read, by reportKey
	// mounted receives whether the source, which is mounted unchanged, has files that look
	// like reports. It is nil if that cannot be known from the host's files.
	mounted chan bool
}

// collect reads the reports of all groups of the buildspec, and discovers others.
func (s *reportStep) collect(ctx context.Context, c engine.Container) []error {
	var errs []error
	s.set = reports.NewSet(s.plan.Identity.Number, s.plan.Identity.Project)
	s.seen = map[string]bool{}
	for _, group := range s.plan.Reports {
		errs = append(errs, s.group(ctx, c, group))
		if err := context.Cause(ctx); err != nil {
			return append(errs, err)
		}
	}
	if len(s.refused) > 0 && !s.TolerateBadReports {
		errs = append(errs, s.refused)
	}
	if ctx.Err() == nil {
		errs = append(errs, s.discover(ctx, c))
	}
	if len(s.set.Reports) > 0 {
		errs = append(errs, s.publish())
	}
	return errs
}

// limits returns the limits of a report. Texts are masked before they are cut, because a
// part of a secret cannot be found.
func (s *reportStep) limits() reports.Limits {
	l := s.ReportLimits
	l.Hide = s.rec.maskText
	return l
}

// refusedReports describes the groups whose files CodeBuild refuses. As an error it has the
// message of the phase (observed for one file of one group; the rest is our choice).
type refusedReports []string

// Error implements error.
func (r refusedReports) Error() string {
	return fmt.Sprintf("Error in UPLOAD_ARTIFACTS phase: [%s]", strings.Join(r, ", "))
}

// refuse adds a group to the refused ones, if it has files that CodeBuild refuses. The service names
// a file by its absolute path in the build.
func (s *reportStep) refuse(ctx context.Context, group buildspec.ReportGroup, name string, r *reports.Report) error {
	base, err := s.shells.expand(ctx, group.BaseDirectory)
	if err != nil {
		return err
	}
	base = path.Join(s.plan.Sources[0].Path, base)
	var reasons []string
	for _, p := range r.Problems {
		// The numbers of several files may be refused with the same words.
		if why := p.ServiceMessage(base); p.Refused() && !slices.Contains(reasons, why) {
			reasons = append(reasons, why)
		}
	}
	if len(reasons) > 0 {
		s.refused = append(s.refused,
			fmt.Sprintf("%s: [error processing report: [%s]]", name, strings.Join(reasons, ", ")))
	}
	return nil
}

// group reads the reports of one group. Missing files fail the phase (observed), and so do
// files that the service refuses. Others that cannot be read make the report INCOMPLETE only.
func (s *reportStep) group(ctx context.Context, c engine.Container, group buildspec.ReportGroup) error {
	name, err := s.shells.expand(ctx, group.Name)
	if err != nil {
		return s.plan.explainExpand(err, "reports."+group.Name, true)
	}
	format, err := reports.ParseFormat(group.Format)
	if err != nil {
		return err // does not happen: such a buildspec is refused
	}
	s.rec.say("Preparing to copy %s report %s", format.Type(), group.Name)
	selection := tree.Selection{Base: group.BaseDirectory, Files: group.Files, Gap: true}
	out, files, err := s.files.collect(ctx, c, Output{Name: name, Dir: s.dir(name)}, selection)
	if errors.Is(err, tree.ErrNoMatch) || errors.Is(err, tree.ErrNoBase) {
		r := reports.Read(name, format, nil, s.limits())
		r.Status = reports.Incomplete
		r.Problems = []reports.Problem{{File: strings.Join(group.Files, ", "), Text: human.ErrorText(err)}}
		s.add(r, Output{Name: name}, name)
	}
	if errors.Is(err, tree.ErrNoMatch) {
		err = fmt.Errorf("%w of report group %s", err, name)
	}
	if err != nil {
		return s.files.explainMissing(ctx, err, "reports."+group.Name, selection)
	}
	s.rec.say("Report export config is NO_EXPORT, skip...") // the rest of CodeBuild's line is not known
	r := s.read(ctx, format, out, files)
	if group.DiscardPaths {
		if out, err = s.flatten(out, files); err != nil {
			return err
		}
	}
	s.add(r, out, name)
	if len(r.Problems) == 0 {
		return nil
	}
	return s.refuse(ctx, group, name, r)
}

// read parses the files of a group in the output directory.
func (s *reportStep) read(ctx context.Context, format reports.Format, out Output, files []tree.File) *reports.Report {
	var sources []reports.Source
	// The files are the build's: the root keeps a link from leading out of the directory.
	root, err := os.OpenRoot(s.files.path(out.Dir))
	if err == nil {
		defer root.Close()
	}
	for _, f := range files {
		s.seen[reportKey(f)] = true
		sources = append(sources, reports.Source{Path: f.Path, Open: func() (io.ReadCloser, error) {
			if err != nil {
				return nil, err
			}
			return reports.Open(ctx, root, filepath.FromSlash(f.Path))
		}})
	}
	return reports.Read(out.Name, format, sources, s.limits())
}

// reportKey identifies a file by its base name and content. Its path depends on the base
// directory of a group.
func reportKey(f tree.File) string { return path.Base(f.Path) + " " + f.SHA256 }

// flatten moves the files of a group into one directory. It is called after the files
// were read: discard-paths affects the stored files only. If several files have the same
// name, the last one is kept.
func (s *reportStep) flatten(out Output, files []tree.File) (Output, error) {
	dir := s.files.path(out.Dir)
	flat, err := os.MkdirTemp(s.Out, ".collecting-")
	if err != nil {
		return out, err
	}
	defer os.RemoveAll(flat)
	at := map[string]int{}
	out.Files = nil
	for _, f := range files {
		name := path.Base(f.Path)
		from := filepath.Join(dir, filepath.FromSlash(f.Path))
		if err := os.Rename(from, filepath.Join(flat, name)); err != nil {
			return out, err
		}
		if i, again := at[name]; again {
			out.Files[i].Size = f.Size
			continue
		}
		at[name] = len(out.Files)
		out.Files = append(out.Files, File{name, f.Size})
	}
	return out, errors.Join(os.RemoveAll(dir), os.Chmod(flat, 0o755), os.Rename(flat, dir))
}

// add names a report as the service does and adds it to the set. A group belongs to the
// project, unless its name is an ARN (documented, test-report-group-naming).
func (s *reportStep) add(r *reports.Report, out Output, name string) {
	id := s.plan.Identity
	r.GroupARN = name
	if !strings.HasPrefix(name, "arn:") {
		r.GroupARN = id.arn("report-group/" + id.Project + "-" + name)
	}
	_, r.Group, _ = strings.Cut(r.GroupARN, ":report-group/")
	r.ARN = strings.Replace(r.GroupARN, ":report-group/", ":report/", 1) + ":" + reportUUID(id.UUID, r.Group)
	r.Name, r.Execution, r.Created, r.Dir = r.Group, id.ARN(), s.Now().UTC(), out.Dir
	s.set.Reports = append(s.set.Reports, r)
	if out.Dir != "" {
		s.rec.update(func(record *Record) { record.Reports = append(record.Reports, out) })
	}
}

// reportUUID derives the UUID of a report from the build's, so that it is unique too.
func reportUUID(build, group string) string {
	h := fmt.Sprintf("%x", sha256.Sum256([]byte(build+"/"+group)))
	return h[:8] + "-" + h[8:12] + "-4" + h[13:16] + "-8" + h[17:20] + "-" + h[20:32]
}

// publish finds the source files that the reports name, masks the set, compares it with
// earlier builds, writes it to the output directory, and adds it to record and events.
// The comparison comes after the mask, because the sets of earlier builds are masked.
func (s *reportStep) publish() error {
	if s.SourceFiles != nil {
		names, print := s.SourceFiles()
		files := reports.NewTree(s.plan.Sources[0].Path, names)
		for _, r := range s.set.Reports {
			r.Place(files)
		}
		s.set.Print = s.fingerprint(print)
	}
	set := masked(s.set, s.rec.maskText)
	if s.Earlier != nil {
		set.Compare(s.Earlier)
	}
	for _, r := range set.Reports {
		s.record(r)
	}
	err := set.Write(s.Out)
	s.rec.notify(Event{Kind: Reported, Reports: set})
	return err
}

// record adds a report's totals to the record and notes its problems.
func (s *reportStep) record(r *reports.Report) {
	s.rec.update(func(record *Record) {
		record.ReportARNs = append(record.ReportARNs, r.ARN)
		for i, o := range record.Reports {
			if r.Dir != "" && o.Dir == r.Dir {
				brief := *r
				brief.Cases, brief.Slowest, brief.Coverage = nil, nil, nil
				record.Reports[i].Report = &brief
			}
		}
	})
	for _, p := range r.Problems {
		if r.Dir != "" { // else the phase fails with the problem
			s.rec.note("Report %s is INCOMPLETE: %v", r.Group, p)
		}
	}
	for _, text := range r.Notes {
		s.rec.note("Report %s: %s.", r.Group, text)
	}
}

// fingerprint identifies everything that a test can depend on: the source, the image, and
// the variables that the service does not set.
func (s *reportStep) fingerprint(source string) string {
	sum := sha256.New()
	fmt.Fprintf(sum, "%s\n%s\n%s\n", source, s.plan.Image, s.plan.Place)
	for _, v := range s.plan.Variables {
		if v.Origin != ServiceOrigin {
			fmt.Fprintf(sum, "%s=%q\n", v.Name, s.values[v.Name].Reveal())
		}
	}
	return fmt.Sprintf("%x", sum.Sum(nil))
}
