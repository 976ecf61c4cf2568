package runner

import (
	"archive/tar"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
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

// dir returns a new directory for a report group. It is named after the group, with a
// number if the names of two groups end alike.
func (s *reportStep) dir(group string) string {
	dir := reportsDir + "/" + dirName(s.rec.maskText(group))
	taken := func(dir string) bool {
		_, err := os.Lstat(s.files.path(dir))
		return err == nil
	}
	unique := dir
	for n := 2; taken(unique); n++ {
		unique = fmt.Sprintf("%s-%d", dir, n)
	}
	return unique
}

// dirName converts the name of a report group, which may be an ARN, to a directory name.
// The asterisks of a masked name are replaced, because some file systems reject them.
func dirName(group string) string {
	group = strings.ReplaceAll(group, "*", "-")
	name := group[strings.LastIndexAny(group, "/:")+1:]
	if name == "" || strings.Trim(name, ".") == "" {
		return "reports"
	}
	return name
}

// discoverTimeout limits the search for reports (documented).
const discoverTimeout = 5 * time.Second

// disabled is the exit status of patternScript if the build has turned discovery off.
const disabled = 3

// patternScript prints the pattern for reports, from variables that commands may set.
const patternScript = `
[ "$` + discoverVariable + `" = false ] && exit 3
echo "${` + discoverVariable + `_DIR:-` + defaultPattern + `}"`

const (
	// discoverVariable turns discovery off (documented). With _DIR behind its name, it is
	// that of the pattern.
	discoverVariable = "CODEBUILD_CONFIG_AUTO_DISCOVER"
	defaultPattern   = "**/*"
)

// discoverScript prints the names of files that may be reports, see looksLikeReport. The
// service's selection is not documented; the script looks for the root elements of the
// formats that the service reads, and for the usual names of JSON reports.
const discoverScript = `
cd %s && command -v find >/dev/null && command -v grep >/dev/null || exit 0
find . -name node_modules -prune -o -name .git -prune -o -type f \( -name '*.xml' -o -name '*.trx' \
  -o -name '*cucumber*.json' -o -name .resultset.json \) \
  -exec grep -lE -e '<(testsuites?|test-results|test-run|testng-results|TestRun|coverage|report)([[:space:]>]|$)' \
  -e '"(elements|coverage)"' {} + 2>/dev/null
exit 0`

// discover finds reports that no group names, as the service does, and reads them: one
// group for each format.
func (s *reportStep) discover(ctx context.Context, c engine.Container) error {
	began := s.Now()
	limited, cancel := context.WithTimeout(ctx, discoverTimeout)
	defer cancel()
	script := patternScript
	pattern, names := defaultPattern, ""
	mounted := s.mayHaveMounted(limited, c)
	may := mayHaveReportsInTime(limited, c, s.plan.Sources[0].Path, mounted)
	if may.reports {
		script += fmt.Sprintf(discoverScript, shell.Quote(s.plan.Sources[0].Path))
	}
	if may.reports || may.settings {
		printed, exit, err := s.shells.capture(limited, script)
		if err != nil && ctx.Err() == nil && limited.Err() != nil {
			return nil // timed out; no command of the build follows that needs the shell
		}
		if err != nil || exit == disabled {
			return err
		}
		if exit == 0 { // else the image lacks the buildspec's shell
			pattern, names, _ = strings.Cut(printed, "\n")
		}
	}
	s.rec.say("Set report auto-discover timeout to %d seconds", int(discoverTimeout.Seconds()))
	for _, line := range []string{
		"Expanding base directory path:  .", "Assembling file list", "Expanding .",
		"Expanding file paths for base directory .", "Assembling file list", "Expanding " + pattern,
	} {
		s.rec.say("%s", line)
	}
	found := matching(pattern, names)
	if len(found) > 0 {
		s.rec.say("Found %d file(s)", len(found))
	} else {
		s.rec.say("No matching auto-discover report paths found")
	}
	s.rec.say("Report auto-discover file discovery took %f seconds", s.Now().Sub(began).Seconds())
	return s.readDiscovered(ctx, c, found)
}

// looksLikeReport reports whether discoverScript reads a file of this name.
func looksLikeReport(name string) bool {
	_, cucumber, _ := strings.Cut(name, "cucumber")
	return strings.HasSuffix(name, ".xml") || strings.HasSuffix(name, ".trx") || name == ".resultset.json" ||
		strings.HasSuffix(cucumber, ".json")
}

// possible is what a look at a container's files cannot rule out. The shell finds out more,
// but a process takes longer.
type possible struct {
	reports  bool // the source has files that discoverScript prints
	settings bool // variables that patternScript reads are set
}

// mayHaveReportsInTime is mayHaveReports until ctx is done: a network file system may not
// answer.
func mayHaveReportsInTime(ctx context.Context, c engine.Container, source string, list bool) possible {
	may := make(chan possible, 1)
	go func() { may <- mayHaveReports(c, source, list) }()
	select {
	case answer := <-may:
		return answer
	case <-ctx.Done():
		return possible{true, true}
	}
}

// mayHaveReports searches the saved variables, if the engine shows the container's files. With
// list it also lists the source, if that is small; else it is known to have no reports.
func mayHaveReports(c engine.Container, source string, list bool) possible {
	v, ok := c.(engine.Viewer)
	if !ok {
		return possible{list, true}
	}
	root, err := v.View()
	if err != nil {
		return possible{list, true}
	}
	defer root.Close()
	variables, err := regular.ReadIn(root, strings.TrimPrefix(StateDir, "/")+"/env.sh", maxVariables)
	left := maxListed
	return possible{
		reports:  list && !hasNoReport(root, strings.TrimPrefix(source, "/"), &left),
		settings: err != nil || bytes.Contains(variables, []byte(discoverVariable)),
	}
}

// maxVariables is the size in bytes up to which saved variables are searched.
const maxVariables = 1 << 20

// searchMounted begins to search the source on the host, if it is mounted and neither a cache
// nor anything else is mounted over it. A large source is searched while the build runs, instead of after it.
func (s *reportStep) searchMounted(ctx context.Context, trees []engine.Tree, cached bool) {
	s.mounted = nil
	source := s.plan.Sources[0].Path
	below := func(path string) bool { return strings.HasPrefix(path, source+"/") }
	if s.HostFS == nil || len(trees) == 0 || cached ||
		slices.ContainsFunc(trees[1:], func(t engine.Tree) bool { return below(t.Path) }) ||
		slices.ContainsFunc(s.Volumes, func(v engine.Volume) bool { return below(v.Path) }) {
		return
	}
	s.mounted = make(chan bool, 1)
	go func() { s.mounted <- hasReport(ctx, s.HostFS(trees[0].Host), trees[0].Hide) }()
}

// hasReport reports whether a file that looks like a report is in the file system, apart from
// hidden names. It returns true if not all files can be listed.
func hasReport(ctx context.Context, fsys fs.FS, hide []string) bool {
	hidden := map[string]bool{}
	for _, name := range hide {
		hidden[name] = true
	}
	errFound := errors.New("found")
	return fs.WalkDir(fsys, ".", func(name string, e fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case ctx.Err() != nil:
			return ctx.Err()
		case hidden[name] || e.IsDir() && (e.Name() == "node_modules" || e.Name() == ".git"):
			if e.IsDir() {
				return fs.SkipDir
			}
		case e.Type().IsRegular() && looksLikeReport(e.Name()):
			return errFound
		}
		return nil
	}) != nil
}

// mayHaveMounted reports whether the source had files that look like reports when it was
// mounted, or the build has written some.
func (s *reportStep) mayHaveMounted(ctx context.Context, c engine.Container) bool {
	w, ok := c.(engine.Watcher)
	if !ok || s.mounted == nil {
		return true
	}
	select {
	case had := <-s.mounted:
		return had || w.MayHaveWritten(s.plan.Sources[0].Path, looksLikeReport)
	case <-ctx.Done():
		return true
	}
}

const (
	maxListed  = 2000 // files and directories of the source
	maxEntries = 200  // of one directory that are read at once
)

// hasNoReport reports whether no file below a directory looks like a report. left is the
// number of files that may still be listed. The build may have replaced a directory by a
// named pipe, so the open does not block.
func hasNoReport(root *os.Root, dir string, left *int) bool {
	list, err := root.OpenFile(dir, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		return false
	}
	defer list.Close()
	for {
		entries, err := list.ReadDir(maxEntries)
		if *left -= len(entries); *left < 0 || err != nil && err != io.EOF {
			return false
		}
		for _, e := range entries {
			switch {
			case e.Name() == "node_modules", e.Name() == ".git":
			case e.IsDir() && !hasNoReport(root, path.Join(dir, e.Name()), left),
				e.Type().IsRegular() && looksLikeReport(e.Name()):
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
		if name, found := strings.CutPrefix(name, "./"); found && tree.Match(pattern, name) {
			all = append(all, name)
		}
	}
	return all
}

// fetchScript packs the files whose names it reads, one a line.
const fetchScript = `cd "$1" && exec tar -cf - -T -`

// maxSingleFiles is the number of files up to which each is copied separately: to pack
// them together takes a process.
const maxSingleFiles = 3

// fetch copies files of the source to the output directory. Files whose names are not
// literal patterns can only be packed together.
func (s *reportStep) fetch(ctx context.Context, c engine.Container, names []string) (Output, []tree.File, error) {
	silent := tree.Observer{Say: func(string, ...any) {}} // the service logs no line for each file
	o := Output{Dir: s.dir(".discovered")}
	isPattern := func(name string) bool { return !tree.IsLiteral(name) }
	if len(names) > maxSingleFiles || slices.ContainsFunc(names, isPattern) {
		all := tree.Selection{Files: []string{"**/*"}}
		out, files, err := s.files.copy(ctx, packedFiles{c, names}, o, all, silent)
		if err == nil {
			return out, files, nil
		}
		// The image may have no tar.
	}
	names = slices.DeleteFunc(slices.Clone(names), isPattern)
	return s.files.copy(ctx, c, o, tree.Selection{Files: names}, silent)
}

// packedFiles are files of the build that the image's tar packs.
type packedFiles struct {
	container engine.Container
	names     []string
}

// CopyOut implements tree.Source. It returns the files for any path.
func (p packedFiles) CopyOut(ctx context.Context, path string) (io.ReadCloser, error) {
	out, in := io.Pipe()
	go func() { in.CloseWithError(p.pack(ctx, path, in)) }()
	return out, nil
}

// pack writes the files as the stream of a directory. Each name gets a prefix, because tar
// reads a name that begins with a hyphen as a flag.
func (p packedFiles) pack(ctx context.Context, path string, w io.Writer) error {
	top := tar.NewWriter(w)
	err := top.WriteHeader(&tar.Header{Name: "./", Typeflag: tar.TypeDir, Mode: 0o755})
	if err = errors.Join(err, top.Flush()); err != nil {
		return err
	}
	exit, err := p.container.Exec(ctx, engine.Process{
		Args: []string{"sh", "-c", fetchScript, "sh", path}, Dir: "/",
		Stdin: strings.NewReader("./" + strings.Join(p.names, "\n./") + "\n"), Stdout: w, Stderr: io.Discard,
	})
	if err == nil && exit != 0 {
		err = fmt.Errorf("tar ended with exit status %d", exit)
	}
	return err
}

// readDiscovered reads the files that were found, by their formats, except those that a
// group of the buildspec has read. That no report appears twice is our choice.
func (s *reportStep) readDiscovered(ctx context.Context, c engine.Container, names []string) error {
	if len(names) == 0 {
		return nil
	}
	staged, all, err := s.fetch(ctx, c, names)
	if errors.Is(err, tree.ErrNoMatch) {
		return nil // removed by a background process
	}
	if err != nil {
		return err
	}
	dir := s.files.path(staged.Dir)
	defer os.RemoveAll(dir)
	byFormat := map[reports.Format][]tree.File{}
	for _, f := range all {
		if s.seen[reportKey(f)] {
			continue
		}
		if format, known := detectFormat(filepath.Join(dir, filepath.FromSlash(f.Path))); known {
			byFormat[format] = append(byFormat[format], f)
		}
	}
	for _, format := range reports.Formats() {
		if files := byFormat[format]; len(files) > 0 {
			if err := s.autoGroup(ctx, format, dir, files); err != nil {
				return err
			}
		}
	}
	return nil
}

// detectFormat returns the format of a report file.
func detectFormat(file string) (reports.Format, bool) {
	in, err := regular.Open(file)
	if err != nil {
		return "", false
	}
	defer in.Close()
	return reports.ReadFormat(reports.DetectFormat(in))
}

// autoGroup creates the group of all files of a format and moves them to its directory.
// Its name is documented (discover-test-reports).
func (s *reportStep) autoGroup(ctx context.Context, format reports.Format, from string, files []tree.File) error {
	name := string(format) + "-AutoDiscovered"
	out := Output{Name: name, Dir: s.dir(name)}
	for _, f := range files {
		to := filepath.Join(s.files.path(out.Dir), filepath.FromSlash(f.Path))
		if err := os.MkdirAll(filepath.Dir(to), 0o755); err != nil {
			return err
		}
		if err := os.Rename(filepath.Join(from, filepath.FromSlash(f.Path)), to); err != nil {
			return err
		}
		out.Files = append(out.Files, File{f.Path, f.Size})
	}
	s.add(s.read(ctx, format, out, files), out, name)
	return nil
}
