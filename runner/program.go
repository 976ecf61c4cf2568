package runner

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/buildlocal/buildlocal/internal/treecopy"
	"github.com/buildlocal/buildlocal/runner/shell"
)

// Commands of a build environment that search files (documented).
const (
	GlobSearch = "codebuild-glob-search"
	HashFiles  = "codebuild-hash-files"
)

// programPath is the path of this program in the container, which implements those
// commands.
const programPath = "/codebuild/buildlocal"

// needsProgram reports whether the buildspec uses a command of this program in its
// commands or in keys, the cache keys that the build's shell must compute.
func (p *Plan) needsProgram(keys []string) bool {
	text := strings.Join(keys, " ")
	for _, phase := range p.Phases {
		for _, c := range append(append(phase.Commands[:0:0], phase.Commands...), phase.Finally...) {
			text += " " + c.Text
		}
	}
	return strings.Contains(text, GlobSearch) || strings.Contains(text, HashFiles)
}

// programCommands returns shell commands that create the commands of this program. If it
// is not installed, they print the reason.
func programCommands(installed bool) []string {
	var all []string
	for _, name := range []string{GlobSearch, HashFiles} {
		script := fmt.Sprintf(`exec %s %s "$@"`, programPath, name)
		if !installed {
			script = fmt.Sprintf("echo %s: not installed, because no command of the buildspec names it >&2; exit 1", name)
		}
		all = append(all, fmt.Sprintf("printf '#!/bin/sh\\n%%s\\n' %s >%s/%s", shell.Quote(script), userBin, name))
	}
	return all
}

// copyProgram copies this program into the container. If that is impossible, a note
// says that its commands do not work; the build goes on.
func (b *build) copyProgram(ctx context.Context) error {
	err := b.installProgram(ctx)
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	if err != nil {
		b.rec.note("%s and %s do not work in this build: %v.", GlobSearch, HashFiles, err)
	}
	return nil
}

func (b *build) installProgram(ctx context.Context) error {
	if b.Program == nil {
		return errors.New("the program's file is not known")
	}
	arch, err := b.shells.architecture(ctx)
	if err != nil {
		return err
	}
	file, err := b.Program(arch)
	if err != nil {
		return err
	}
	defer file.Close()
	info, err := file.Stat()
	if err != nil {
		return err
	}
	const executable = 0o755
	files := treecopy.Stream(treecopy.File{
		Name: strings.TrimPrefix(programPath, "/"), Mode: executable, Size: info.Size(), Content: file,
	})
	defer files.Close()
	return b.container.CopyIn(ctx, "/", files)
}
