package cmd

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"

	"github.com/buildlocal/buildlocal/internal/diag"
	"github.com/buildlocal/buildlocal/internal/regular"
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

// namedSecrets reports whether the user named the file of secrets: on the command
// line, by a variable or in the user's own configuration.
func (f *runFlags) namedSecrets() bool { return f.secrets != "" && !f.fromSource("secrets") }

// readSecrets reads the file of secrets. The usual one need not be there.
func (g *found) readSecrets(ctx context.Context, a *App, f *runFlags) error {
	name := f.secretsFile()
	text, isFile, err := g.secretsText(ctx, a, f)
	if errors.Is(err, fs.ErrNotExist) && f.secrets == "" {
		return nil
	}
	var readable openToAll
	if err != nil && !errors.As(err, &readable) {
		return usagef("read the secrets: %w", err)
	}
	if secrets.Encrypted(text) {
		if secrets.AsksServer(text) && !f.namedSecrets() {
			return textError{fmt.Errorf("%s is encrypted for a server that it names, and may have come with the source\nIf it is yours, name it: --secrets %s", name, name)}
		}
		if text, err = secrets.Decrypt(ctx, name); err != nil {
			return textError{err}
		}
		isFile = false // everybody may read it, and git may have it: that is what it is encrypted for
	}
	if err != nil {
		return textError{err}
	}
	if isFile {
		if _, err = g.guardSecrets(ctx, name); err != nil {
			return err
		}
	}
	file, problems := secrets.ParseFile(name, text)
	g.secrets = file
	g.problems = append(g.problems, problems...)
	if !f.namedSecrets() {
		problems = append(problems, unnamed(file, name)...)
	}
	return problems.Err()
}

// unnamed refuses values that are read or made on this machine, in a file of secrets
// that the user did not name and that may have come with the source.
func unnamed(file *secrets.File, name string) diag.List {
	all := file.External()
	for i := range all {
		all[i].Message += ", and you did not name this file of secrets; if it is yours: --secrets " + shellWord(name)
	}
	return all
}

// openToAll is a file of secrets that everybody may read.
type openToAll struct{ error }

// secretsText reads the file of secrets, or for - standard input, and reports whether
// it is a regular file. For one that everybody on this machine may read the error is an
// openToAll.
func (g *found) secretsText(ctx context.Context, a *App, f *runFlags) (text []byte, isFile bool, err error) {
	name := f.secretsFile()
	if name == "-" {
		text, err = readAll(ctx, a.Stdin)
		return text, false, err
	}
	if f.secrets == "" {
		if err := noLinks(f.source, outputName, secretsName); err != nil {
			return nil, false, err
		}
	}
	if text, err = regular.ReadNamed(ctx, name, secretsLimit); err != nil {
		return nil, false, err
	}
	info, err := os.Stat(name)
	if err != nil || !info.Mode().IsRegular() {
		return text, false, nil
	}
	const others = 0o004
	if runtime.GOOS != "windows" && info.Mode()&others != 0 {
		return text, true, openToAll{fmt.Errorf("%s is readable by other users (mode %04o)\nRestrict it: chmod 600 %s", name, info.Mode().Perm(), name)}
	}
	return text, true, nil
}

// noLinks refuses links on the way from dir down to a file: they may have come with
// the source, and lead to what belongs to another one.
func noLinks(dir string, names ...string) error {
	for _, name := range names {
		dir = filepath.Join(dir, name)
		info, err := os.Lstat(dir)
		if err != nil {
			return err
		}
		if info.Mode()&fs.ModeSymlink != 0 {
			return fmt.Errorf("%s is a symbolic link, which may have come with the source; name the file that it leads to: --secrets FILE", dir)
		}
	}
	return nil
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
		return state, textError{fmt.Errorf("git tracks %s, so everyone with access to the repository can read its secrets\nRun git rm --cached %s, add it to .gitignore, and rotate the secrets. Files encrypted with SOPS are accepted", name, name)}
	case source.Untracked:
		g.problems = append(g.problems, diag.Problem{Severity: diag.Warning, File: name, Message: "git does not ignore this secrets file; add it to .gitignore"})
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
