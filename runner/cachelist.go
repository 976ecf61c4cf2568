package runner

import (
	"archive/tar"
	"bytes"
	"context"
	"errors"
	"fmt"
	"path"
	"slices"
	"strconv"
	"strings"

	"github.com/buildlocal/buildlocal/cache"
	"github.com/buildlocal/buildlocal/engine"
)

// listed is one file of the container.
type listed struct {
	cache.File
	place   string
	status  int64 // when anything of it changed, nanoseconds since 1970
	changed bool  // since the commands began
	names   int   // hard links
	coarse  bool  // its times are in seconds
}

// listScript lists directories, given before --, alone, and others with all below
// them. First comes which of two forms it is; the last line says that nothing is
// missing. Links are followed where it begins.
const listScript = `
mark=$1; shift
if find / -maxdepth 0 -printf '' 2>/dev/null; then
  printf 'gnu\n'
  list() { find -H "$@" -printf '%y %m %U %G %s %T@ %C@ %n %p\0%l\0' 2>/dev/null; }
elif find / -maxdepth 0 -exec stat -c %f {} + >/dev/null 2>&1; then
  printf 'stat\n'
  list() { find -H "$@" -exec stat -c '%f %u %g %s %Y %Z %h %n' {} + 2>/dev/null; }
else
  exit 9
fi
list "$mark" -maxdepth 0
while [ "$1" != -- ]; do list "$1" -maxdepth 0; shift; done
shift
for dir in "$@"; do list "$dir"; done
printf 'end\n'
`

// listCache lists all files that may be of the cache, and the directories they are
// in; nil where the image has no program that does.
func (b *build) listCache(ctx context.Context) ([]listed, error) {
	source := b.plan.Sources[0].Path
	args := []string{"sh", "-c", listScript, "sh", cacheMark}
	var above, below []string
	for _, stem := range b.cached.stems() {
		place := cachePlace(source, stem)
		below = append(below, place)
		for dir := path.Dir(place); dir != "/"; dir = path.Dir(dir) {
			if !slices.Contains(above, dir) {
				above = append(above, dir)
			}
		}
	}
	args = append(append(append(args, above...), "--"), below...)
	var out bytes.Buffer
	_, err := b.container.Exec(ctx, engine.Process{Args: args, Stdout: &out})
	if err != nil {
		return nil, err
	}
	form, text, _ := bytes.Cut(out.Bytes(), []byte("\n"))
	text, whole := bytes.CutSuffix(text, []byte("end\n"))
	read := readGNU
	if string(form) == "stat" {
		read = readStat
	}
	if !whole {
		return nil, nil
	}
	all, known := read(text)
	if !known || len(all) == 0 || all[0].place != cacheMark {
		return nil, nil
	}
	mark := all[0].status
	for i := range all {
		if all[i].place != path.Clean(all[i].place) {
			return nil, nil // what find is this?
		}
		all[i].Name = cacheName(source, all[i].place)
		all[i].changed = all[i].status >= mark
	}
	return all[1:], nil
}

// readGNU reads what find prints.
func readGNU(text []byte) ([]listed, bool) {
	all := make([]listed, 0, bytes.Count(text, []byte{0})/2)
	for rest := string(text); rest != ""; {
		record, link, whole := "", "", false
		record, rest, _ = strings.Cut(rest, "\x00")
		if link, rest, whole = strings.Cut(rest, "\x00"); !whole {
			return nil, false
		}
		fields := strings.SplitN(record, " ", 9)
		if len(fields) < 9 {
			return nil, false
		}
		kind, known := map[string]byte{"f": tar.TypeReg, "d": tar.TypeDir, "l": tar.TypeSymlink}[fields[0]]
		if !known {
			continue
		}
		mode, err := strconv.ParseInt(fields[1], 8, 32)
		f := listed{place: fields[8], File: cache.File{Kind: kind, Mode: mode, Link: link}}
		err = errors.Join(err, f.numbers(fields[2:8]))
		if err != nil {
			return nil, false
		}
		all = append(all, f)
	}
	return all, true
}

// readStat reads what stat prints, a line each: of a name with a line's end nothing
// can be said. Where links lead it does not tell.
func readStat(text []byte) ([]listed, bool) {
	var all []listed
	for line := range strings.Lines(string(text)) {
		fields := strings.SplitN(strings.TrimSuffix(line, "\n"), " ", 8)
		if len(fields) < 8 {
			return nil, false
		}
		mode, err := strconv.ParseInt(fields[0], 16, 32)
		if err != nil {
			return nil, false
		}
		const format, permissions, directory, regular, link = 0o170000, 0o7777, 0o040000, 0o100000, 0o120000
		kind, known := map[int64]byte{regular: tar.TypeReg, directory: tar.TypeDir}[mode&format]
		if mode&format == link {
			return nil, false
		}
		if !known {
			continue
		}
		f := listed{place: fields[7], coarse: true, File: cache.File{Kind: kind, Mode: mode & permissions}}
		if err := f.numbers(fields[1:7]); err != nil {
			return nil, false
		}
		all = append(all, f)
	}
	return all, true
}

// numbers reads owner, group, size, the times of the last changes of content and of
// anything, and how many names it has.
func (f *listed) numbers(fields []string) error {
	var errs [6]error
	f.UID, errs[0] = strconv.Atoi(fields[0])
	f.GID, errs[1] = strconv.Atoi(fields[1])
	f.Size, errs[2] = strconv.ParseInt(fields[2], 10, 64)
	f.Time, errs[3] = nanoseconds(fields[3])
	f.status, errs[4] = nanoseconds(fields[4])
	f.names, errs[5] = strconv.Atoi(fields[5])
	return errors.Join(errs[:]...)
}

// nanoseconds reads seconds with a fraction, or without one.
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
		return 0, fmt.Errorf("a time %q: %w", text, err)
	}
	return seconds*nano + parts, nil
}
