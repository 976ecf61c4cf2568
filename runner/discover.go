package runner

import (
	"archive/tar"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/buildlocal/buildlocal/engine"
	"github.com/buildlocal/buildlocal/internal/regular"
	"github.com/buildlocal/buildlocal/internal/tree"
	"github.com/buildlocal/buildlocal/reports"
	"github.com/buildlocal/buildlocal/runner/shell"
)

// reportDir returns a directory that no group has yet: the names of two may end
// alike.
func (b *build) reportDir(group string) string {
	dir := reportsDir + "/" + dirName(b.mask.Text(group))
	taken := func(dir string) bool {
		_, err := os.Lstat(filepath.Join(b.Out, filepath.FromSlash(dir)))
		return err == nil
	}
	unique := dir
	for n := 2; taken(unique); n++ {
		unique = fmt.Sprintf("%s-%d", dir, n)
	}
	return unique
}

// dirName makes a directory's name of a report group's, which may be an ARN, and may have
// stars in it, which some file systems do not take.
func dirName(group string) string {
	group = strings.ReplaceAll(group, "*", "-")
	name := group[strings.LastIndexAny(group, "/:")+1:]
	if name == "" || strings.Trim(name, ".") == "" {
		return "reports"
	}
	return name
}

// discoverTime is how long the service looks for reports (documented).
const discoverTime = 5 * time.Second

// patternScript prints the pattern for reports, of the variables that the commands left.
const patternScript = `
[ "$CODEBUILD_CONFIG_AUTO_DISCOVER" = false ] && exit 3
echo "${CODEBUILD_CONFIG_AUTO_DISCOVER_DIR:-**/*}"`

// discoverScript prints names of reports, by what they begin with; see likeReport.
// Which files the service takes is not documented; these are the roots of the
// formats it reads, and of JSON what the usual tools call their files.
const discoverScript = `
cd %s && command -v find >/dev/null && command -v grep >/dev/null || exit 0
find . -name node_modules -prune -o -name .git -prune -o -type f \( -name '*.xml' -o -name '*.trx' \
  -o -name '*cucumber*.json' -o -name .resultset.json \) \
  -exec grep -lE '<(testsuites?|test-results|test-run|testng-results|TestRun|coverage|report)([[:space:]>]|$)|"(elements|coverage)"' {} + 2>/dev/null
exit 0`

// discover finds reports that no group names, as the service does, and reads them: one
// group for each format.
func (b *build) discover(ctx context.Context) error {
	began := b.Now()
	limited, cancel := context.WithTimeout(ctx, discoverTime)
	defer cancel()
	script := patternScript
	if b.mayHaveReportsInTime(limited) {
		script += fmt.Sprintf(discoverScript, shell.Quote(b.plan.Sources[0].Path))
	}
	printed, exit, err := b.sessions[""].Capture(limited, script)
	if err != nil && ctx.Err() == nil && limited.Err() != nil {
		return nil // its time is up, and the build's commands are done
	}
	if err != nil || exit == 3 {
		return err
	}
	pattern, names, _ := strings.Cut(printed, "\n")
	b.say("Set report auto-discover timeout to %d seconds", int(discoverTime.Seconds()))
	for _, line := range []string{
		"Expanding base directory path:  .", "Assembling file list", "Expanding .",
		"Expanding file paths for base directory .", "Assembling file list", "Expanding " + pattern,
	} {
		b.say("%s", line)
	}
	found := matching(pattern, names)
	if len(found) > 0 {
		b.say("Found %d file(s)", len(found))
	} else {
		b.say("No matching auto-discover report paths found")
	}
	b.say("Report auto-discover file discovery took %f seconds", b.Now().Sub(began).Seconds())
	return b.discovered(ctx, found)
}

// likeReport reports whether discoverScript looks into a file of this name.
func likeReport(name string) bool {
	_, cucumber, _ := strings.Cut(name, "cucumber")
	return strings.HasSuffix(name, ".xml") || strings.HasSuffix(name, ".trx") || name == ".resultset.json" ||
		strings.HasSuffix(cucumber, ".json")
}

// mayHaveReportsInTime is mayHaveReports until ctx ends: a file system may not answer.
func (b *build) mayHaveReportsInTime(ctx context.Context) bool {
	may := make(chan bool, 1)
	go func() { may <- b.mayHaveReports() }()
	select {
	case answer := <-may:
		return answer
	case <-ctx.Done():
		return true
	}
}

// mayHaveReports reports whether the source may have files that discoverScript finds. A
// small source is listed from here, which takes less than a process.
func (b *build) mayHaveReports() bool {
	v, can := b.container.(engine.Viewer)
	if !can {
		return true
	}
	root, err := v.View()
	if err != nil {
		return true
	}
	defer root.Close()
	left := maxListed
	return !without(root, strings.TrimPrefix(b.plan.Sources[0].Path, "/"), &left)
}

// maxListed is how many files and directories of the source are listed at most, and
// listedAtOnce how many of a directory.
const (
	maxListed    = 2000
	listedAtOnce = 200
)

// without reports whether a directory has no file that is like a report. The rest of
// what may be listed is left. A pipe that took the place of a directory is not waited for.
func without(root *os.Root, dir string, left *int) bool {
	list, err := root.OpenFile(dir, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		return false
	}
	defer list.Close()
	for {
		entries, err := list.ReadDir(listedAtOnce)
		if *left -= len(entries); *left < 0 || err != nil && err != io.EOF {
			return false
		}
		for _, e := range entries {
			switch {
			case e.Name() == "node_modules", e.Name() == ".git":
			case e.IsDir() && !without(root, path.Join(dir, e.Name()), left), e.Type().IsRegular() && likeReport(e.Name()):
				return false
			}
		}
		if err == io.EOF {
			return true
		}
	}
}

// matching returns the names, one a line, that match the pattern.
func matching(pattern, names string) []string {
	var all []string
	for _, name := range strings.Split(names, "\n") {
		if below, found := strings.CutPrefix(name, "./"); found && tree.Match(pattern, below) {
			all = append(all, below)
		}
	}
	return all
}

// fetchScript packs the files that are named by its input, one a line.
const fetchScript = `cd "$1" && exec tar -cf - -T -`

// fewFiles is how many are fetched one by one: packing them together costs one process.
const fewFiles = 3

// fetch takes files of the source out of the build, as they are named.
func (b *build) fetch(ctx context.Context, names []string) (Output, []tree.File, error) {
	silent := func(string, ...any) {}
	o := Output{Dir: b.reportDir(".discovered")}
	odd := slices.ContainsFunc(names, func(name string) bool { return !tree.IsLiteral(name) })
	if len(names) > fewFiles || odd {
		packed := packedSource{b, names}
		out, files, err := b.takeFrom(ctx, packed, o, tree.Selection{Files: []string{"**/*"}}, silent)
		if err == nil {
			return out, files, nil
		}
	}
	names = slices.DeleteFunc(slices.Clone(names), func(name string) bool { return !tree.IsLiteral(name) })
	return b.takeFrom(ctx, b.container, o, tree.Selection{Files: names}, silent)
}

// packedSource is files of the build that are packed by the image's tar.
type packedSource struct {
	b     *build
	names []string
}

// CopyOut implements tree.Source: whatever is asked for, it is the files.
func (p packedSource) CopyOut(ctx context.Context, path string) (io.ReadCloser, error) {
	out, in := io.Pipe()
	go func() { in.CloseWithError(p.pack(ctx, path, in)) }()
	return out, nil
}

// pack writes the files as a tree. Their names begin with a directory: tar takes one that
// begins with a hyphen for a flag.
func (p packedSource) pack(ctx context.Context, path string, w io.Writer) error {
	top := tar.NewWriter(w)
	if err := errors.Join(top.WriteHeader(&tar.Header{Name: "./", Typeflag: tar.TypeDir, Mode: 0o755}), top.Flush()); err != nil {
		return err
	}
	exit, err := p.b.container.Exec(ctx, engine.Process{
		Args: []string{"sh", "-c", fetchScript, "sh", path}, Dir: "/",
		Stdin: strings.NewReader("./" + strings.Join(p.names, "\n./") + "\n"), Stdout: w, Stderr: io.Discard,
	})
	if err == nil && exit != 0 {
		err = fmt.Errorf("tar ended with exit status %d", exit)
	}
	return err
}

// discovered reads the files that were found, by their formats, but for those that a
// group of the buildspec has read: that nothing is reported twice is our choice.
func (b *build) discovered(ctx context.Context, names []string) error {
	if len(names) == 0 {
		return nil
	}
	staged, all, err := b.fetch(ctx, names)
	if errors.Is(err, tree.ErrNoMatch) {
		return nil // they are gone again
	}
	if err != nil {
		return err
	}
	dir := filepath.Join(b.Out, filepath.FromSlash(staged.Dir))
	defer os.RemoveAll(dir)
	byFormat := map[reports.Format][]tree.File{}
	for _, f := range all {
		if b.reported[reportKey(f)] {
			continue
		}
		if format, known := likeFormat(filepath.Join(dir, filepath.FromSlash(f.Path))); known {
			byFormat[format] = append(byFormat[format], f)
		}
	}
	for _, format := range reports.Formats() {
		if files := byFormat[format]; len(files) > 0 {
			if err := b.autoGroup(ctx, format, dir, files); err != nil {
				return err
			}
		}
	}
	return nil
}

// likeFormat says which format a file has.
func likeFormat(file string) (reports.Format, bool) {
	in, err := regular.Open(file)
	if err != nil {
		return "", false
	}
	defer in.Close()
	return reports.ReadFormat(reports.DetectFormat(in))
}

// autoGroup makes the group of a format's files, which it moves to where they are kept.
// Its name is documented (discover-test-reports).
func (b *build) autoGroup(ctx context.Context, format reports.Format, from string, files []tree.File) error {
	name := string(format) + "-AutoDiscovered"
	out := Output{Name: name, Dir: b.reportDir(name)}
	for _, f := range files {
		to := filepath.Join(b.Out, filepath.FromSlash(out.Dir), filepath.FromSlash(f.Path))
		if err := os.MkdirAll(filepath.Dir(to), 0o755); err != nil {
			return err
		}
		if err := os.Rename(filepath.Join(from, filepath.FromSlash(f.Path)), to); err != nil {
			return err
		}
		out.Files = append(out.Files, File{b.mask.Text(f.Path), f.Size})
	}
	b.file(b.read(ctx, format, out, files), out, name)
	return nil
}
