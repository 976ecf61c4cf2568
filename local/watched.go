package local

import (
	"cmp"
	"context"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"

	"github.com/buildlocal/buildlocal/internal/config"
	"github.com/buildlocal/buildlocal/source"
	"github.com/buildlocal/buildlocal/watch"
)

// Watched finds the files that builds of a request read, for package watch. Its methods may be called
// from several goroutines.
type Watched struct {
	host   *Host
	beside []string // files that the caller reads for each build

	mu       sync.Mutex
	request  *Request
	listings []*source.Listing // of the last List
	extra    []string          // files beside the sources
}

// Watched returns the files of a request, and those that the caller reads for each build. Settings may
// name a place in the source to which builds write; those that are the source itself are an error,
// because each build would cause the next one.
func (h *Host) Watched(r *Request, beside ...string) (*Watched, error) {
	if strings.HasPrefix(r.Source.Mode, string(source.Commit)) {
		return nil, &SettingError{Setting: "source-mode", Value: r.Source.Mode, Joint: true,
			Message: "cannot be watched, because a commit does not change\nomit it to build the files of the working tree"}
	}
	if r.ReadsStdin() {
		return nil, Usagef("watch reads its files again, and cannot read the standard input twice\n" +
			"Write the buildspec or the secrets to a file")
	}
	for _, name := range r.written() {
		_, inside := RelativeTo(name, r.SourceDir())
		if inside || SameDir(RealDir(name), r.SourceDir()) {
			return nil, Usagef("builds would write into the source itself, %s, and each would cause the next one\n"+
				"Choose a directory below or beside it", ShownPath(name))
		}
	}
	return &Watched{host: h, request: r, beside: beside}, nil
}

// written returns the files and directories that builds write outside of the output directory.
func (r *Request) written() []string {
	var all []string
	for _, text := range r.Output.Artifacts {
		_, dir := config.CutID(text)
		all = append(all, dir)
	}
	if r.Variables.Exported != "" {
		all = append(all, r.Variables.Exported)
	}
	if place := r.Cache.Place; place != "" && !IsS3(place) {
		all = append(all, place)
	}
	return all
}

// Update replaces the request, whose settings may have changed with a file, and reports whether other
// files are watched for that reason.
func (w *Watched) Update(r *Request) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	other := fmt.Sprint(w.request.Source, w.request.read(), w.request.written()) !=
		fmt.Sprint(r.Source, r.read(), r.written())
	w.request = r
	return other
}

// current returns the request.
func (w *Watched) current() *Request {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.request
}

// read returns the files beside the source that a build reads; some may be "" or "-".
func (r *Request) read() []string {
	all := append([]string{r.Source.Project, r.Variables.CABundle}, r.Variables.Files...)
	return append(all, r.secretPaths()...)
}

// List implements watch.Options.List.
func (w *Watched) List(ctx context.Context) (watch.Listing, error) {
	r := w.current()
	mode, _, err := source.ParseMode(r.Source.Mode)
	if err != nil {
		return watch.Listing{}, err
	}
	dir, err := r.SourceRoot()
	if err != nil {
		return watch.Listing{}, err
	}
	p, _, projectErr := r.ReadProject(ctx)
	var listings []*source.Listing
	add := func(dir string, mode source.Mode) error {
		o := source.Options{Dir: dir, Mode: mode, Exclude: w.excluded(dir), Submodules: p.Source.FetchSubmodules}
		l, err := source.List(ctx, o)
		if err == nil {
			listings = append(listings, l)
		}
		return err
	}
	if err := add(dir, mode); err != nil {
		return watch.Listing{}, err
	}
	for _, text := range r.Source.Secondary {
		if _, dir, given := strings.Cut(text, "="); given {
			if err := add(dir, ""); err != nil {
				return watch.Listing{}, err
			}
		}
	}
	buildspec := r.Source.Buildspec
	if projectErr == nil {
		buildspec = cmp.Or(buildspec, p.Source.Buildspec)
	}
	extra := w.filesBeside(cmp.Or(buildspec, "buildspec.yml"))
	w.mu.Lock()
	w.listings, w.extra = listings, extra
	w.mu.Unlock()
	return w.Quick(ctx)
}

// Quick implements watch.Options.Quick: it does not ask git which files are ignored.
func (w *Watched) Quick(ctx context.Context) (watch.Listing, error) {
	w.mu.Lock()
	listings, extra := w.listings, w.extra
	w.mu.Unlock()
	var all watch.Listing
	for _, l := range listings {
		if _, err := os.ReadDir(l.Dir); err != nil {
			return all, err
		}
		dirs := map[string]bool{l.Dir: true}
		all.Dirs = append(all.Dirs, l.Dir)
		l.WalkAll(ctx, func(name string, e fs.DirEntry) {
			file := filepath.Join(l.Dir, filepath.FromSlash(name))
			if !e.IsDir() {
				all.Files = append(all.Files, file)
			} else if !dirs[file] {
				dirs[file] = true
				all.Dirs = append(all.Dirs, file)
			}
		})
		all.Ignored = append(all.Ignored, filepath.Join(l.Dir, ".git"))
		for _, name := range l.Hide {
			all.Ignored = append(all.Ignored, filepath.Join(l.Dir, filepath.FromSlash(name)))
		}
	}
	all.Files = append(all.Files, extra...)
	return all, ctx.Err()
}

// excluded returns what is no part of a source in a directory: results of builds, and secrets.
func (w *Watched) excluded(dir string) []string {
	r := w.current()
	exclude := []string{OutputName}
	for _, name := range append(append(r.secretPaths(), r.OutputDir(), w.host.Runs().Path), r.written()...) {
		if below, inside := r.nameBelow(dir, name); inside {
			exclude = append(exclude, below)
		} else if below, inside := RelativeTo(RealDir(dir), RealDir(name)); inside {
			exclude = append(exclude, below)
		}
	}
	return exclude
}

// filesBeside returns the files that a build reads whether or not they are part of a source.
func (w *Watched) filesBeside(buildspec string) []string {
	r := w.current()
	all := append(r.read(), w.beside...)
	if !config.IsInline(buildspec) && !strings.HasPrefix(buildspec, "arn:") {
		if !filepath.IsAbs(buildspec) {
			buildspec = filepath.Join(r.Source.Dir, filepath.FromSlash(buildspec))
		}
		all = append(all, buildspec)
	}
	var files []string
	for _, name := range all {
		if full, err := filepath.Abs(name); err == nil && name != "" && name != "-" {
			files = append(files, real(full))
		}
	}
	return files
}

// real returns a path with the links of its directory resolved, as events have it.
func real(name string) string { return filepath.Join(RealDir(filepath.Dir(name)), filepath.Base(name)) }

// Busy implements watch.Options.Busy.
func (w *Watched) Busy() string {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, l := range w.listings {
		if text := l.Busy(); text != "" {
			return text
		}
	}
	return ""
}

// Name returns the name of a watched file for the user: below the primary source, with slashes, or as
// a path.
func (w *Watched) Name(file string) string {
	if below, inside := RelativeTo(w.current().SourceDir(), file); inside {
		return below
	}
	return w.host.Tilde(file)
}
