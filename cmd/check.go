package cmd

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"time"

	"github.com/buildlocal/buildlocal/buildspec"
	"github.com/buildlocal/buildlocal/internal/diag"
	"github.com/buildlocal/buildlocal/internal/regular"
	"github.com/buildlocal/buildlocal/lint"
	"github.com/buildlocal/buildlocal/project"
	"github.com/buildlocal/buildlocal/runtimes"
)

// against is what a buildspec is checked against.
type against struct {
	project     *project.Project // nil for none
	projectFile string
	image       string // as configured; empty where nobody says
	privileged  bool
	run         bool   // it is to be run here, now
	root        string // of the source; empty where it is not known
	ignore      []string
	peek        bool        // the image may be looked into
	known       *lint.Input // what the image offers, where that is known already
}

// maxLinted is the largest file of the source that is checked, and maxRuntimes
// the largest runtimes.yml, in bytes.
const (
	maxLinted   = 16 << 20
	maxRuntimes = 4 << 20
)

// check returns all that is wrong with a buildspec that was read.
func (a *App) check(ctx context.Context, spec *buildspec.Buildspec, found diag.List, in against) diag.List {
	input := lint.Input{
		Spec: spec, Project: in.project, ProjectFile: in.projectFile, Image: in.image, Run: in.run,
		Privileged: in.privileged || in.project != nil && in.project.Environment.Privileged,
		ExecBits:   runtime.GOOS != "windows",
	}
	if input.Image == "" && in.project != nil {
		input.Image = in.project.Environment.Image
	}
	if in.root != "" {
		input.Source = regular.FS(in.root, maxLinted)
	}
	if install, _ := spec.Phase("INSTALL"); len(install.Runtimes) > 0 && in.known == nil {
		a.offers(ctx, &input, in.peek)
	}
	if in.known != nil {
		input.Runtimes, input.RuntimesFrom, input.Exact, input.NoRuntimes = in.known.Runtimes, in.known.RuntimesFrom, in.known.Exact, in.known.NoRuntimes
	}
	return lint.Check(input, found, in.ignore)
}

// offers finds out which runtimes the image has: from the image, where it is
// here, else from a table.
func (a *App) offers(ctx context.Context, input *lint.Input, peek bool) {
	image := input.Image
	if image == "" {
		input.Runtimes = runtimes.AllCurated()
		input.RuntimesFrom = "no image is named: the curated images of " + runtimes.CuratedDate + " together"
		return
	}
	if peek {
		text, here, err := a.imageRuntimes(ctx, image)
		switch {
		case err != nil || !here:
		case text == nil:
			input.NoRuntimes = true
			return
		default:
			if table, err := runtimes.Read(text); err == nil {
				input.Runtimes, input.RuntimesFrom, input.Exact = table, "by "+runtimes.Path+" of the image "+image, true
				return
			}
		}
	}
	if name, curated := project.CuratedName(image); curated {
		input.Runtimes = runtimes.Curated(name)
		input.RuntimesFrom = fmt.Sprintf("by a table of %s; %s is not here to be asked", runtimes.CuratedDate, image)
	}
}

// peekLimit is how long an engine may take to answer what an image offers.
const peekLimit = 5 * time.Second

// imageRuntimes returns the runtimes.yml of an image that is here; nil where it
// has none. What was read once is kept in the user's cache, by the image's ID.
func (a *App) imageRuntimes(ctx context.Context, image string) (text []byte, here bool, err error) {
	ctx, cancel := context.WithTimeout(ctx, peekLimit)
	defer cancel()
	e, err := a.engine(ctx)
	if err != nil {
		return nil, false, err
	}
	defer e.Close()
	id, err := e.ImageID(ctx, project.ImageCandidates(image))
	if err != nil || id == "" {
		return nil, false, err
	}
	file := a.cacheFile("runtimes", strings.TrimPrefix(id, "sha256:")+".yml")
	if text, err := regular.Read(file, maxRuntimes); err == nil {
		return noneIfEmpty(text), true, nil
	}
	temp, err := a.newTemp()
	if err != nil {
		return nil, false, err
	}
	defer temp.remove()
	text, err = e.ReadImageFile(ctx, id, runtimes.Path, map[string]string{
		labelBuild: "look-into-image", labelHost: a.Hostname, labelUser: strconv.Itoa(a.UID), labelTemp: temp.path,
		labelStarted: a.Now().UTC().Format(time.RFC3339),
	})
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, false, err
	}
	a.remember(file, text)
	return noneIfEmpty(text), true, nil
}

func noneIfEmpty(text []byte) []byte {
	if len(text) == 0 {
		return nil
	}
	return text
}

// cacheFile is a file of the user's cache directory; empty where there is none.
func (a *App) cacheFile(parts ...string) string {
	dir := a.env("XDG_CACHE_HOME")
	if dir == "" && a.Home != "" {
		dir = filepath.Join(a.Home, ".cache")
	}
	if dir == "" {
		return ""
	}
	return filepath.Join(append([]string{dir, "buildlocal"}, parts...)...)
}

// remember writes a file of the cache, whole or not at all. Where that fails it
// is read from the image again.
func (a *App) remember(file string, text []byte) {
	if file == "" || os.MkdirAll(filepath.Dir(file), 0o755) != nil {
		return
	}
	next := fmt.Sprintf("%s.%d", file, a.PID)
	if err := os.WriteFile(next, text, 0o644); err == nil {
		err = os.Rename(next, file)
		if err == nil {
			return
		}
	}
	_ = os.Remove(next)
}

// knownRuntimes returns what is remembered of an image's runtimes.yml, and whether
// anything is.
func (a *App) knownRuntimes(id string) (map[string][]string, bool) {
	text, err := regular.Read(a.cacheFile("runtimes", strings.TrimPrefix(id, "sha256:")+".yml"), maxRuntimes)
	if err != nil {
		return nil, false
	}
	return versionsOf(text), true
}
