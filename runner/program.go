package runner

import (
	"archive/tar"
	"context"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/buildlocal/buildlocal/runner/shell"
)

// Commands of a build environment that look for files (documented).
const (
	GlobSearch = "codebuild-glob-search"
	HashFiles  = "codebuild-hash-files"
)

// programPath is where this program is in the container, which does what those
// commands do.
const programPath = "/codebuild/buildlocal"

// needsProgram reports whether the buildspec names a command that is in this program,
// elsewhere than in keys that are known already.
func (b *build) needsProgram() bool {
	text := ""
	if c := b.plan.Cache; c != nil && b.OpenCache != nil {
		for _, key := range append([]string{c.Key}, c.FallbackKeys...) {
			if _, foreseen := b.cacheKeys[key]; !foreseen {
				text += " " + key
			}
		}
	}
	for _, phase := range b.plan.Phases {
		for _, c := range append(append(phase.Commands[:0:0], phase.Commands...), phase.Finally...) {
			text += " " + c.Text
		}
	}
	return strings.Contains(text, GlobSearch) || strings.Contains(text, HashFiles)
}

// bringProgram copies this program into the container, where the buildspec needs it.
func (b *build) bringProgram(ctx context.Context) error {
	if !b.needsProgram() {
		return nil
	}
	err := b.copyProgram(ctx)
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	if err != nil {
		b.note("%s and %s do not work in this build: %v.", GlobSearch, HashFiles, err)
	}
	return nil
}

// programCommands are lines of shell that make the commands which this program does;
// where it is not brought, they say so.
func (b *build) programCommands() []string {
	var all []string
	for _, name := range []string{GlobSearch, HashFiles} {
		does := fmt.Sprintf(`exec %s %s "$@"`, programPath, name)
		if !b.needsProgram() {
			does = fmt.Sprintf("echo %s: not installed, because no command of the buildspec names it >&2; exit 1", name)
		}
		all = append(all, fmt.Sprintf("printf '#!/bin/sh\\n%%s\\n' %s >%s/%s", shell.Quote(does), userBin, name))
	}
	return all
}

// copyProgram copies this program, as it is for the container's machine.
func (b *build) copyProgram(ctx context.Context) error {
	if b.Program == nil {
		return fmt.Errorf("this program is not known")
	}
	arch, err := b.architecture(ctx)
	if err != nil {
		return err
	}
	name, err := b.Program(arch)
	if err != nil {
		return err
	}
	file, err := os.Open(name)
	if err != nil {
		return err
	}
	defer file.Close()
	info, err := file.Stat()
	if err != nil {
		return err
	}
	r, w := io.Pipe()
	defer r.Close()
	go func() {
		stream := tar.NewWriter(w)
		err := stream.WriteHeader(&tar.Header{Name: strings.TrimPrefix(programPath, "/"), Typeflag: tar.TypeReg, Mode: 0o755, Size: info.Size()})
		if err == nil {
			_, err = io.Copy(stream, file)
		}
		if err == nil {
			err = stream.Close()
		}
		w.CloseWithError(err)
	}()
	return b.container.CopyIn(ctx, "/", r)
}
