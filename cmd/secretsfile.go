package cmd

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"

	"github.com/buildlocal/buildlocal/internal/diag"
	"github.com/buildlocal/buildlocal/secrets"
	"github.com/buildlocal/buildlocal/source"
)

// secretsName is the file of secrets in the output directory of the source.
const secretsName = "secrets.yml"

// secretsFile is the file of secrets: the one that is named, else the usual one.
func (f *runFlags) secretsFile() string {
	if f.secrets != "" {
		return f.secrets
	}
	return filepath.Join(f.source, outputName, secretsName)
}

// secretPaths are the file of secrets as it is named, and what it leads to.
func (f *runFlags) secretPaths() []string {
	name := f.secretsFile()
	if name == "-" {
		return nil
	}
	if real, err := filepath.EvalSymlinks(name); err == nil && real != name {
		return []string{name, real}
	}
	return []string{name}
}

// secretsLimit is how many bytes a file of secrets may have.
const secretsLimit = 1 << 20

// readSecrets reads the file of secrets. The usual one need not be there.
func (g *found) readSecrets(ctx context.Context, a *App, f *runFlags) error {
	name := f.secretsFile()
	text, regular, err := readOwn(ctx, a, name)
	if errors.Is(err, fs.ErrNotExist) && f.secrets == "" {
		return nil
	}
	var readable openToAll
	if err != nil && !errors.As(err, &readable) {
		return usagef("read the secrets: %w", err)
	}
	if secrets.Encrypted(text) {
		if text, err = secrets.Decrypt(ctx, name); err != nil {
			return textError{err}
		}
		regular = false // it may be read by all, and tracked: that is what it is for
	}
	if err != nil {
		return textError{err}
	}
	state := source.Outside
	if regular {
		if state, err = g.guardSecrets(ctx, name); err != nil {
			return err
		}
	}
	file, problems := secrets.ParseFile(name, text)
	g.secrets = file
	g.problems = append(g.problems, problems...)
	if at := file.Command(); at != "" && f.secrets == "" && state == source.Outside {
		return textError{fmt.Errorf("%s runs a command, and the file may have come with the source: there is no git repository to tell\nIf it is yours, name it: --secrets %s", at, name)}
	}
	return problems.Err()
}

// openToAll is a file of secrets that everybody may read.
type openToAll struct{ error }

// readOwn reads a file, a pipe, or for - standard input. For a file that everybody on
// this machine may read the error is an openToAll.
func readOwn(ctx context.Context, a *App, name string) (text []byte, regular bool, err error) {
	if name == "-" {
		text, err = readAll(ctx, a.Stdin)
		return text, false, err
	}
	text, err = patiently(ctx, func() ([]byte, error) {
		file, err := os.Open(name)
		if err != nil {
			return nil, err
		}
		defer file.Close()
		info, err := file.Stat()
		if err != nil {
			return nil, err
		}
		regular = info.Mode().IsRegular()
		text, err := io.ReadAll(io.LimitReader(file, secretsLimit+1))
		const others = 0o004
		switch {
		case err != nil:
			return nil, err
		case len(text) > secretsLimit:
			return nil, fmt.Errorf("%s has more than %d bytes", name, secretsLimit)
		case regular && runtime.GOOS != "windows" && info.Mode()&others != 0:
			return text, openToAll{fmt.Errorf("everybody on this machine can read %s (its mode is %04o)\nMake it yours alone: chmod 600 %s", name, info.Mode().Perm(), name)}
		}
		return text, nil
	})
	return text, regular, err
}

// guardSecrets refuses a file that git has, and warns of one that it may get.
func (g *found) guardSecrets(ctx context.Context, name string) (source.State, error) {
	real, err := filepath.EvalSymlinks(name)
	if err != nil {
		return source.Outside, err
	}
	state, err := source.StateOf(ctx, real)
	if err != nil {
		return state, err
	}
	switch state {
	case source.Tracked:
		return state, textError{fmt.Errorf("git tracks %s, so its secrets are everybody's who has the repository\nTake it out with git rm --cached %s, name it in .gitignore, and replace the secrets. A file that SOPS encrypts may stay", name, name)}
	case source.Untracked:
		g.problems = append(g.problems, diag.Problem{Severity: diag.Warning, File: name, Message: "git does not ignore this file of secrets, and may get it by accident; name it in .gitignore"})
	}
	return state, nil
}

// stores are where values are looked up, in their order.
func (g *found) stores() secrets.Stores {
	var all secrets.Stores
	if g.secrets != nil {
		all = append(all, g.secrets)
	}
	if g.account != nil && g.looksUp {
		all = append(all, g.account)
	}
	return all
}
