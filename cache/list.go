package cache

import (
	"archive/tar"
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"path"
	"slices"
	"strconv"
	"strings"

	"github.com/buildlocal/buildlocal/engine"
)

// Container is the part of engine.Container that a Packer needs.
type Container interface {
	Exec(ctx context.Context, p engine.Process) (exit int, err error)
	CopyOut(ctx context.Context, path string) (io.ReadCloser, error)
}

// containerFile is one file of a container.
type containerFile struct {
	File
	status  int64 // time of the last change of content or metadata (ctime), nanoseconds since 1970
	changed bool  // since the mark was created
	links   int   // number of hard links
	coarse  bool  // times have a resolution of one second
}

// listScript lists the mark, then the directories in front of -- without their content,
// then those after it with everything below them. The first line names the format, and
// the last line proves that the list is complete. find -H follows links at the start
// only, and -xdev keeps it on their file systems: the path /**/* must not read /proc. An image
// may have neither GNU find nor stat, or a find without -xdev; then the script exits with 9.
const listScript = `
mark=$1; shift
if find / -xdev -maxdepth 0 -printf '' 2>/dev/null; then
  printf 'gnu\n'
  list() { find -H "$@" -xdev -printf '%y %m %U %G %s %T@ %C@ %n %p\0%l\0' 2>/dev/null; }
elif find / -xdev -maxdepth 0 -exec stat -c %f {} + >/dev/null 2>&1; then
  printf 'stat\n'
  list() { find -H "$@" -xdev -exec stat -c '%f %u %g %s %Y %Z %h %n' {} + 2>/dev/null; }
else
  exit 9
fi
list "$mark" -maxdepth 0
while [ "$1" != -- ]; do list "$1" -maxdepth 0; shift; done
shift
for dir in "$@"; do list "$dir"; done
printf 'end\n'
`

// listFiles lists all files below the stems of paths, and the directories above them. It
// returns nil if the image has no program to list files, or prints an unknown format.
// mark is a file that was created before the first command of the build.
func listFiles(ctx context.Context, c Container, paths Paths, mark string) ([]containerFile, error) {
	args := []string{"sh", "-c", listScript, "sh", mark}
	var above, stems []string
	for _, stem := range paths.Stems() {
		file := paths.PathOf(stem)
		stems = append(stems, file)
		for dir := path.Dir(file); dir != "/"; dir = path.Dir(dir) {
			if !slices.Contains(above, dir) {
				above = append(above, dir)
			}
		}
	}
	args = slices.Concat(args, above, []string{"--"}, stems)
	// The list of a whole system is large, so it is parsed while find prints it.
	listing, cancel := context.WithCancel(ctx)
	defer cancel()
	r, w := io.Pipe()
	done := make(chan error, 1)
	go func() {
		_, err := c.Exec(listing, engine.Process{Args: args, Stdout: w})
		_ = w.Close()
		done <- err
	}()
	files, err := parseList(r, paths, mark)
	if err != nil {
		cancel()
	}
	_, _ = io.Copy(io.Discard, r) // what an unknown format leaves
	if failed := <-done; err == nil {
		err = failed
	}
	if ctx.Err() != nil {
		err = context.Cause(ctx)
	}
	return files, err
}

// virtualDirs are file systems of the kernel. Their files are not on a disk.
var virtualDirs = []string{"/proc", "/sys", "/dev"}

// IsVirtual reports whether an absolute path is a file of the kernel, such as /proc/cpuinfo. A
// cache has no such files.
func IsVirtual(file string) bool {
	return slices.ContainsFunc(virtualDirs, func(dir string) bool { return file == dir || isBelow(file, dir) })
}

// MaxFiles is the largest number of files and directories of a cache. It bounds the memory: the
// list of a whole system, as of the path /**/*, would be larger than the rest of this program.
const MaxFiles = 500_000

// errTooMany is the error of a cache with more than MaxFiles.
var errTooMany = fmt.Errorf("cache.paths have more than %d files and directories; list fewer paths", MaxFiles)

// fileList collects the files of a list that belong to a cache.
type fileList struct {
	paths Paths
	own   string // directory with files of this program that belong to one build
	mark  string // the first file of the list
	since int64  // its time; 0 before it was added
	all   []containerFile
}

// parseList parses the output of listScript; nil if it is incomplete or unknown. The error is
// errTooMany.
func parseList(out io.Reader, paths Paths, mark string) ([]containerFile, error) {
	r := bufio.NewReader(out)
	parse := parseGNU
	if format, _ := r.ReadString('\n'); format == "stat\n" {
		parse = parseStat
	}
	list := &fileList{paths: paths, own: path.Dir(mark), mark: mark, all: []containerFile{}}
	if err := parse(r, list.add); err != nil || list.since == 0 {
		if errors.Is(err, errTooMany) {
			return nil, err
		}
		return nil, nil
	}
	return list.all, nil
}

// errFormat is the error for a list in an unknown format, or without its end.
var errFormat = errors.New("unknown format of a list of files")

// add adds a file with an absolute path. The first one is the mark.
func (l *fileList) add(file string, f containerFile) error {
	switch {
	case file != path.Clean(file): // a find that joins paths differently
		return errFormat
	case l.since == 0 && file == l.mark:
		l.since = f.status
		return nil
	case l.since == 0:
		return errFormat
	case IsVirtual(file) || file == l.own || isBelow(file, l.own):
		return nil
	}
	f.Name = l.paths.NameOf(file)
	if f.Kind != tar.TypeDir && !l.paths.Contain(f.Name) {
		return nil
	}
	if len(l.all) == MaxFiles {
		return errTooMany
	}
	// The clock is that of the container's host, for the mark and for the files. A file with
	// the same time may have changed after the mark, so it counts as changed.
	f.changed = f.status >= l.since
	l.all = append(l.all, f)
	return nil
}

// endLine is the last line of listScript.
const endLine = "end\n"

// parseGNU parses the output of GNU find up to endLine. Other file types than regular files,
// directories and symbolic links are skipped.
func parseGNU(r *bufio.Reader, add func(file string, f containerFile) error) error {
	for {
		record, err := r.ReadString(0)
		if err == io.EOF && record == endLine {
			return nil
		}
		if err != nil {
			return errFormat
		}
		link, err := r.ReadString(0)
		if err != nil {
			return errFormat
		}
		const fieldCount = 9
		fields := strings.SplitN(strings.TrimSuffix(record, "\x00"), " ", fieldCount)
		if len(fields) < fieldCount {
			return errFormat
		}
		// The path is the last field, because it may contain spaces.
		kind, known := gnuKinds[fields[0]]
		if !known {
			continue
		}
		mode, err := strconv.ParseInt(fields[1], 8, 32)
		f := containerFile{File: File{Kind: kind, Mode: mode}}
		if kind == tar.TypeSymlink {
			f.Link = strings.TrimSuffix(link, "\x00")
		}
		if err = errors.Join(err, f.parseNumbers(fields[2:8])); err != nil {
			return errFormat
		}
		if err := add(fields[8], f); err != nil {
			return err
		}
	}
}

// gnuKinds are the types of files by their letters in the output of GNU find.
var gnuKinds = map[string]byte{"f": tar.TypeReg, "d": tar.TypeDir, "l": tar.TypeSymlink}

// parseStat parses the output of stat, one file a line, up to endLine. It fails for a name
// with a newline, and for a symbolic link, because stat does not print its target.
func parseStat(r *bufio.Reader, add func(file string, f containerFile) error) error {
	// Bits of a Unix mode.
	const format, permissions, directory, regular, link = 0o170000, 0o7777, 0o040000, 0o100000, 0o120000
	for {
		line, err := r.ReadString('\n')
		if line == endLine {
			if _, err = r.ReadByte(); err != io.EOF {
				return errFormat
			}
			return nil
		}
		const fieldCount = 8
		fields := strings.SplitN(strings.TrimSuffix(line, "\n"), " ", fieldCount)
		if err != nil || len(fields) < fieldCount {
			return errFormat
		}
		mode, err := strconv.ParseInt(fields[0], 16, 32)
		if err != nil || mode&format == link {
			return errFormat
		}
		kind, known := map[int64]byte{regular: tar.TypeReg, directory: tar.TypeDir}[mode&format]
		if !known {
			continue
		}
		f := containerFile{coarse: true, File: File{Kind: kind, Mode: mode & permissions}}
		if f.parseNumbers(fields[1:7]) != nil {
			return errFormat
		}
		if err := add(fields[7], f); err != nil {
			return err
		}
	}
}

// parseNumbers parses owner, group, size, mtime, ctime and the number of hard links.
func (f *containerFile) parseNumbers(fields []string) error {
	var errs [6]error
	f.UID, errs[0] = strconv.Atoi(fields[0])
	f.GID, errs[1] = strconv.Atoi(fields[1])
	f.Size, errs[2] = strconv.ParseInt(fields[2], 10, 64)
	f.Time, errs[3] = nanoseconds(fields[3])
	f.status, errs[4] = nanoseconds(fields[4])
	f.links, errs[5] = strconv.Atoi(fields[5])
	return errors.Join(errs[:]...)
}

// nanoseconds parses seconds with an optional fraction of any length.
func nanoseconds(text string) (int64, error) {
	whole, fraction, _ := strings.Cut(text, ".")
	const digits, nano = 9, 1_000_000_000
	fraction = (fraction + "000000000")[:digits]
	seconds, err := strconv.ParseInt(whole, 10, 64)
	if err != nil {
		return 0, err
	}
	parts, err := strconv.ParseInt(fraction, 10, 64)
	if err != nil {
		return 0, fmt.Errorf("invalid time %q: %w", text, err)
	}
	return seconds*nano + parts, nil
}

// unchanged reports whether a file is the same as a file of an entry. changed alone is not
// enough: a file that was moved here with its directory did not change itself. A symbolic
// link has nothing to compare but its target.
func (f *containerFile) unchanged(old File) bool {
	if f.Kind == tar.TypeSymlink {
		return old.Kind == f.Kind && old.Link == f.Link
	}
	resolution := f.timeResolution()
	return f.Kind == old.Kind && f.Size == old.Size && f.Time/resolution == old.Time/resolution &&
		f.Mode == old.Mode && f.UID == old.UID && f.GID == old.GID
}

// timeResolution is the resolution of the file's times, in nanoseconds.
func (f *containerFile) timeResolution() int64 {
	const second = 1_000_000_000
	if f.coarse {
		return second
	}
	return 1
}
