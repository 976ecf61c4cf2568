package source

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/buildlocal/buildlocal/internal/regular"
	"github.com/buildlocal/buildlocal/internal/tree"
)

// maxReplacementText is the largest size in bytes of a file of a filter that is kept in memory. Git
// LFS has pointers of about 130 bytes.
const maxReplacementText = 4 << 10

// filteredFile is a file in the index that a filter such as Git LFS has changed at checkout.
type filteredFile struct {
	name   string // below the directory
	object string // ID of its contents in the repository
	mode   fs.FileMode
}

// unfiltered returns the files that a filter has changed at checkout, as they are in the
// repository: the clone of CodeBuild has pointers, unless the buildspec pulls the files. Large
// ones are written to a new directory in temp. missing has the names of those whose contents the
// repository does not have; the build sees them as they are in the directory.
func (r *repository) unfiltered(ctx context.Context, temp string) (all []Replacement, missing []string, err error) {
	files, err := r.filteredFiles(ctx)
	if err != nil || len(files) == 0 {
		return nil, nil, err
	}
	objects := &objectReader{parent: temp, files: files}
	for len(objects.files) > 0 {
		err := gitStream(ctx, r.dir, strings.NewReader(objects.ids()), objects.readAll, "cat-file", "--batch")
		var exit *exec.ExitError
		if err != nil && (ctx.Err() != nil || len(objects.files) == 0 || !errors.As(err, &exit)) {
			return nil, nil, err
		}
		// Git itself ends at a damaged object, and at one that a partial clone would have to fetch.
		if err != nil {
			objects.skip()
		}
	}
	return objects.found, objects.missing, nil
}

// filteredFiles returns the files with a filter, without deleted ones and those in a conflict.
func (r *repository) filteredFiles(ctx context.Context) ([]filteredFile, error) {
	filters, err := r.filters(ctx)
	if err != nil {
		return nil, err
	}
	var all []filteredFile
	for _, filter := range filters {
		out, err := git(ctx, r.dir, "ls-files", "-z", "--stage", "--", ":(attr:filter="+filter+")")
		if err != nil {
			return nil, err
		}
		for entry := range strings.SplitSeq(out, "\x00") {
			about, name, _ := strings.Cut(entry, "\t")
			fields := strings.Fields(about) // mode, object and stage
			if len(fields) != 3 || !strings.HasPrefix(fields[0], "100") || fields[2] != "0" ||
				!exists(filepath.Join(r.dir, filepath.FromSlash(name))) {
				continue
			}
			mode := fs.FileMode(0o644)
			if fields[0] == "100755" {
				mode = 0o755
			}
			all = append(all, filteredFile{name, fields[1], mode})
		}
	}
	return all, nil
}

// errMissingObject is the error for an object that the repository does not have.
var errMissingObject = errors.New("missing object")

// objectReader reads the objects of files from git cat-file --batch.
type objectReader struct {
	files   []filteredFile // not yet read
	found   []Replacement
	missing []string

	parent, dir string // dir is for large objects, and is created in parent with the first of them
}

// ids returns the objects of the files that are not yet read, in lines.
func (o *objectReader) ids() string {
	var lines strings.Builder
	for _, f := range o.files {
		lines.WriteString(f.object + "\n")
	}
	return lines.String()
}

// skip counts the next file as missing.
func (o *objectReader) skip() {
	o.missing = append(o.missing, o.files[0].name)
	o.files = o.files[1:]
}

// readAll reads the objects of all files.
func (o *objectReader) readAll(out *bufio.Reader) error {
	for len(o.files) > 0 {
		replacement, err := o.read(out, o.files[0])
		switch {
		case errors.Is(err, errMissingObject):
			o.skip()
		case err != nil:
			return err
		default:
			o.found = append(o.found, replacement)
			o.files = o.files[1:]
		}
	}
	return nil
}

// read reads one object: its ID, type and size in a line, the contents and a line feed, or its ID
// and "missing".
func (o *objectReader) read(out *bufio.Reader, f filteredFile) (Replacement, error) {
	line, err := out.ReadString('\n')
	if err != nil {
		return Replacement{}, fmt.Errorf("read %s: %w", f.name, err)
	}
	fields := strings.Fields(line)
	if len(fields) == 2 && fields[1] == "missing" {
		return Replacement{}, errMissingObject
	}
	const known = 3
	if len(fields) != known || fields[0] != f.object {
		return Replacement{}, fmt.Errorf("read %s: unexpected answer of git cat-file: %q", f.name, line)
	}
	size, err := strconv.ParseInt(fields[2], 10, 64)
	if err != nil {
		return Replacement{}, fmt.Errorf("read %s: size of the object: %w", f.name, err)
	}
	r := Replacement{Name: f.name, Mode: f.mode}
	contents := io.LimitReader(out, size)
	if size > maxReplacementText {
		r.File, err = o.write(contents, size)
	} else {
		r.Text, err = io.ReadAll(contents)
	}
	if err != nil {
		return r, fmt.Errorf("read %s: %w", f.name, err)
	}
	_, err = out.Discard(1) // the line feed, unless git ended early
	return r, err
}

// write writes an object to a new file.
func (o *objectReader) write(contents io.Reader, size int64) (string, error) {
	if o.dir == "" {
		dir, err := os.MkdirTemp(o.parent, "objects-")
		if err != nil {
			return "", err
		}
		o.dir = dir
	}
	name := filepath.Join(o.dir, strconv.Itoa(len(o.found)))
	file, err := os.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return "", err
	}
	n, err := io.Copy(file, contents)
	if err = errors.Join(err, file.Close()); err != nil {
		os.Remove(name)
		return "", tree.IfFull(err, tree.NoSpaceError{Dir: o.dir, What: "files of the source", Need: size, Hint: tempHint})
	}
	if n != size {
		os.Remove(name)
		return "", io.ErrUnexpectedEOF
	}
	return name, nil
}

// tempHint is the next step if the temporary directory is full.
const tempHint = "Free space there, or set TMPDIR to another directory"

// filters returns the names of the filters that files of the repository have.
func (r *repository) filters(ctx context.Context) ([]string, error) {
	out, err := git(ctx, r.top, "ls-files", "-z", "--", ".gitattributes", "**/.gitattributes")
	if err != nil {
		return nil, err
	}
	names := strings.Split(strings.TrimSuffix(out, "\x00"), "\x00")
	files := []string{filepath.Join(r.common, "info", "attributes")}
	for _, name := range names {
		files = append(files, filepath.Join(r.top, filepath.FromSlash(name)))
	}
	var filters []string
	for _, file := range files {
		const maxAttributes = 1 << 20
		text, _ := regular.Read(file, maxAttributes)
		for _, word := range strings.Fields(string(text)) {
			name, is := strings.CutPrefix(word, "filter=")
			// Other characters have a meaning in a pathspec.
			valid := strings.Trim(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.") == ""
			if is && name != "" && valid && !slices.Contains(filters, name) {
				filters = append(filters, name)
			}
		}
	}
	return filters, nil
}
