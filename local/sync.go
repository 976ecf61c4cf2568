package local

import (
	"archive/tar"
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
	"time"

	"github.com/buildlocal/buildlocal/control"
	"github.com/buildlocal/buildlocal/engine"
	"github.com/buildlocal/buildlocal/internal/human"
	"github.com/buildlocal/buildlocal/runner"
)

// stamp is the metadata of a file that changes with it.
type stamp struct {
	size     int64
	mode     fs.FileMode
	modified time.Time
}

func (s stamp) equal(other stamp) bool {
	return s.size == other.size && s.mode == other.mode && s.modified.Equal(other.modified)
}

// stamps returns the stamps of the files of the source, by name.
func (in *Inputs) stamps(ctx context.Context) map[string]stamp {
	all := map[string]stamp{}
	in.Source.Walk(ctx, func(name string, e fs.DirEntry) {
		if info, err := e.Info(); err == nil {
			all[name] = stamp{info.Size(), info.Mode(), info.ModTime()}
		}
	})
	return all
}

// noSync is the reason why a clean checkout cannot be synced.
const noSync = "the build has a commit, not the files of the working tree\nuse --source-mode worktree"

// Sync copies the files of the source that have changed since the build began, or since the last
// call, into the build, and removes those that are gone. Nothing is copied out. If the build has
// changed a file too, its version is kept beside it. Ignored files are never copied.
func (s *Session) Sync(ctx context.Context, live *runner.Live) (control.SyncReport, error) {
	if strings.HasPrefix(s.inputs.Request.Source.Mode, "commit") {
		return control.SyncReport{}, errors.New(noSync)
	}
	return s.sync(ctx, live)
}

// sync is Sync also for a build of a commit.
func (s *Session) sync(ctx context.Context, live *runner.Live) (control.SyncReport, error) {
	in := s.inputs
	s.syncing.Lock()
	defer s.syncing.Unlock()
	if s.stamps == nil {
		return control.SyncReport{}, errors.New("the source was not examined when the build began")
	}
	now := in.stamps(ctx)
	if ctx.Err() != nil {
		return control.SyncReport{}, context.Cause(ctx)
	}
	var done control.SyncReport
	for name, at := range now {
		if old, had := s.stamps[name]; !had || !old.equal(at) {
			done.Copied = append(done.Copied, name)
		}
	}
	for name := range s.stamps {
		if _, there := now[name]; !there {
			done.Removed = append(done.Removed, name)
		}
	}
	slices.Sort(done.Copied)
	slices.Sort(done.Removed)
	if len(done.Copied)+len(done.Removed) == 0 {
		return done, nil
	}
	c := &syncing{live: live, from: in.Source.Dir, to: s.Plan.Sources[0].Path, old: s.stamps}
	if err := c.copyFiles(ctx, &done); err != nil {
		return done, err
	}
	if err := c.remove(ctx, done.Removed); err != nil {
		return done, err
	}
	s.stamps = now
	return done, nil
}

// syncing copies files into a build.
type syncing struct {
	live     *runner.Live
	from, to string // directories of the host and of the build
	old      map[string]stamp
}

// copyFiles copies files as one tar stream.
func (c *syncing) copyFiles(ctx context.Context, done *control.SyncReport) error {
	root, err := os.OpenRoot(c.from)
	if err != nil {
		return err
	}
	defer root.Close()
	for _, name := range done.Copied {
		kept, err := c.keep(ctx, root, name)
		if err != nil {
			return err
		}
		if kept {
			done.Conflicts = append(done.Conflicts, name)
		}
	}
	if len(done.Copied) == 0 {
		return nil
	}
	r, w := io.Pipe()
	go func() { w.CloseWithError(writeSources(w, root, done.Copied)) }()
	defer r.Close()
	return c.live.CopyIn(ctx, c.to, r)
}

// writeSources writes files of the source as a tar stream. Their owner is root, as in the build.
func writeSources(to io.Writer, root *os.Root, names []string) error {
	stream := tar.NewWriter(to)
	for _, name := range names {
		if err := writeSourceFile(stream, root, filepath.FromSlash(name)); err != nil {
			return fmt.Errorf("copy %s: %w", name, err)
		}
	}
	return stream.Close()
}

func writeSourceFile(stream *tar.Writer, root *os.Root, name string) error {
	info, err := root.Lstat(name)
	if err != nil {
		return err
	}
	target := ""
	if info.Mode()&fs.ModeSymlink != 0 {
		if target, err = root.Readlink(name); err != nil {
			return err
		}
	} else if !info.Mode().IsRegular() {
		return nil
	}
	h, err := tar.FileInfoHeader(info, target)
	if err != nil {
		return err
	}
	h.Name, h.Uid, h.Gid, h.Uname, h.Gname = filepath.ToSlash(name), 0, 0, "", ""
	if err := stream.WriteHeader(h); err != nil || target != "" {
		return err
	}
	file, err := root.Open(name)
	if err != nil {
		return err
	}
	defer file.Close()
	_, err = io.Copy(stream, file)
	return err
}

// keep keeps the build's version of a file as NAME.build if the build has changed it, and reports
// whether it has. A file whose size and time are those that the host had is unchanged.
func (c *syncing) keep(ctx context.Context, root *os.Root, name string) (bool, error) {
	stream, err := c.live.CopyOut(ctx, path.Join(c.to, name))
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	defer stream.Close()
	r := tar.NewReader(stream)
	h, err := r.Next()
	if err != nil || h.Typeflag != tar.TypeReg {
		return false, err
	}
	old, had := c.old[name]
	if had && old.size == h.Size && sameSecond(old.modified, h.ModTime) {
		return false, nil
	}
	if info, err := root.Lstat(filepath.FromSlash(name)); err == nil && info.Size() == h.Size &&
		sameSecond(info.ModTime(), h.ModTime) {
		return false, nil // the mount shows the file of the host
	}
	in, w := io.Pipe()
	defer in.Close()
	go func() {
		out := tar.NewWriter(w)
		h.Name = path.Base(name) + ".build"
		err := out.WriteHeader(h)
		if err == nil {
			_, err = io.Copy(out, r)
		}
		w.CloseWithError(errors.Join(err, out.Close()))
	}()
	return true, c.live.CopyIn(ctx, path.Dir(path.Join(c.to, name)), in)
}

// sameSecond compares times as precisely as every tar stream has them.
func sameSecond(a, b time.Time) bool { return a.Unix() == b.Unix() }

// remove removes files of the build.
func (c *syncing) remove(ctx context.Context, names []string) error {
	const most = 500 // arguments of a command
	for part := range slices.Chunk(names, most) {
		args := []string{"rm", "-f", "--"}
		for _, name := range part {
			args = append(args, path.Join(c.to, name))
		}
		var out strings.Builder
		p := runner.LiveProcess{Process: engine.Process{Args: args, User: "0", Stdout: &out, Stderr: &out}, NoEnv: true}
		exit, err := c.live.Exec(ctx, p)
		if err != nil {
			return err
		}
		if exit != 0 {
			return fmt.Errorf("remove %s in the build: %s", human.Count(len(part), "file"), strings.TrimSpace(out.String()))
		}
	}
	return nil
}

// lookAtSource remembers the files of the source as the build has them, while the build starts.
func (s *Session) lookAtSource(ctx context.Context) {
	if s.resumed != nil {
		return // they were kept
	}
	if s.start != nil && s.start.snapshot != nil {
		s.stamps, s.others = s.start.stamps, s.start.others // until sync has copied the difference
		return
	}
	s.syncing.Lock()
	go func() {
		defer s.syncing.Unlock()
		s.stamps, s.others = s.inputs.stamps(ctx), s.inputs.secondaryPrints(ctx)
	}()
}
