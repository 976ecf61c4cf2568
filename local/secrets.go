package local

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"

	"github.com/buildlocal/buildlocal/internal/diag"
	"github.com/buildlocal/buildlocal/internal/human"
	"github.com/buildlocal/buildlocal/internal/regular"
	"github.com/buildlocal/buildlocal/secrets"
	"github.com/buildlocal/buildlocal/source"
)

// SecretsName is the name of the default secrets file in the output directory of a
// source.
const SecretsName = "secrets.yml"

// maxSecrets is the largest secrets file that is read, in bytes.
const maxSecrets = 1 << 20

// SecretsFile returns the path of the secrets file.
func (r *Request) SecretsFile() string {
	if r.Secrets.File != "" {
		return r.Secrets.File
	}
	return filepath.Join(r.home(), OutputName, SecretsName)
}

// secretPaths returns the path of the secrets file, and of the file that it links to.
// Neither may become part of a source.
func (r *Request) secretPaths() []string {
	name := r.SecretsFile()
	if name == "-" {
		return nil
	}
	if real, err := filepath.EvalSymlinks(name); err == nil && real != name {
		return []string{name, real}
	}
	return []string{name}
}

// namesSecrets reports whether the user chose the secrets file, and not a file of the
// source.
func (r *Request) namesSecrets() bool { return r.Secrets.File != "" && !r.comesWithSource("secrets") }

// readSecrets reads the secrets file. The default file does not have to exist.
func (h *Host) readSecrets(ctx context.Context, r *Request) (*secrets.File, diag.List, error) {
	name := r.SecretsFile()
	text, isFile, err := h.secretsText(ctx, r)
	if errors.Is(err, fs.ErrNotExist) && r.Secrets.File == "" {
		return nil, nil, nil
	}
	// A file that others can read is an error only if it is not encrypted.
	var readable worldReadableError
	if err != nil && !errors.As(err, &readable) {
		return nil, nil, Usagef("read the secrets: %w", err)
	}
	if secrets.Encrypted(text) {
		if secrets.AsksServer(text) && !r.namesSecrets() {
			return nil, nil, InputError{fmt.Errorf(
				"%s is encrypted for a server that it names, and may have come with the source\nIf it is yours, name it: "+
					"--secrets %s",
				name,
				name,
			)}
		}
		if text, err = secrets.Decrypt(ctx, name); err != nil {
			return nil, nil, InputError{err}
		}
		isFile = false // an encrypted file may be readable by everyone and tracked by git
	}
	if err != nil {
		return nil, nil, InputError{err}
	}
	var all diag.List
	if isFile {
		if all, err = CheckSecretsFile(ctx, name); err != nil {
			return nil, nil, err
		}
	}
	file, problems := secrets.ParseFile(name, text)
	all = append(all, problems...)
	if !r.namesSecrets() {
		problems = append(problems, refuseCommands(file, name)...)
	}
	return file, all, problems.Err()
}

// refuseCommands returns an error for each value that is read from another file or
// printed by a command, in a secrets file that may have come with the source.
func refuseCommands(file *secrets.File, name string) diag.List {
	all := file.External()
	for i := range all {
		all[i].Message += ", and you did not name this file of secrets"
		all[i].Hint = "if it is yours: --secrets " + human.ShellWord(name)
	}
	return all
}

// worldReadableError is returned with the text of a secrets file that other users can
// read.
type worldReadableError struct{ error }

// secretsText reads the secrets file or the standard input, and reports whether it is a
// regular file.
func (h *Host) secretsText(ctx context.Context, r *Request) (text []byte, isFile bool, err error) {
	name := r.SecretsFile()
	if name == "-" {
		text, err = h.readStdin(ctx)
		return text, false, err
	}
	if r.Secrets.File == "" {
		if err := refuseLinks(r.Source.Dir, OutputName, SecretsName); err != nil {
			return nil, false, err
		}
	}
	if text, err = regular.ReadNamed(ctx, name, maxSecrets); err != nil {
		return nil, false, err
	}
	info, err := os.Stat(name)
	if err != nil || !info.Mode().IsRegular() {
		return text, false, nil
	}
	// Group permissions are accepted: many systems have a group for each user.
	const otherUsers = 0o004
	if runtime.GOOS != "windows" && info.Mode()&otherUsers != 0 {
		return text, true, worldReadableError{fmt.Errorf(
			"%s is readable by other users (mode %04o)\nRestrict it: chmod 600 %s", name, info.Mode().Perm(), name)}
	}
	return text, true, nil
}

// refuseLinks returns an error for a symbolic link on the way from dir down to a file. A
// link may have come with the source, and would lead to a file of the user.
func refuseLinks(dir string, names ...string) error {
	for _, name := range names {
		dir = filepath.Join(dir, name)
		info, err := os.Lstat(dir)
		if err != nil {
			return err
		}
		if info.Mode()&fs.ModeSymlink != 0 {
			return fmt.Errorf(
				"%s is a symbolic link, which may have come with the source; name the file that it leads to: --secrets FILE",
				dir,
			)
		}
	}
	return nil
}

// CheckSecretsFile returns an error for a secrets file that git tracks, and a warning for
// one that it does not ignore.
func CheckSecretsFile(ctx context.Context, name string) (diag.List, error) {
	real, err := filepath.EvalSymlinks(name)
	if err != nil {
		return nil, err
	}
	state, err := source.StateOf(ctx, real)
	if err != nil {
		return nil, err
	}
	switch state {
	case source.Tracked:
		return nil, InputError{fmt.Errorf("git tracks %s, so everyone with access to the repository can read its secrets\n"+
			"Run git rm --cached %s, add it to .gitignore, and rotate the secrets. Files encrypted with SOPS are "+
			"accepted", name, name)}
	case source.Untracked:
		return diag.List{
			{Severity: diag.Warning, File: name, Message: "git does not ignore this secrets file; add it to .gitignore"},
		}, nil
	}
	return nil, nil
}

// Stores returns the places where values are looked up, in their order.
func (in *Inputs) Stores() secrets.Stores {
	var all secrets.Stores
	if in.SecretsFile != nil {
		all = append(all, in.SecretsFile)
	}
	if in.aws.account != nil && in.aws.looksUp {
		all = append(all, in.aws.account)
	}
	return all
}

// SecretOrigin describes where the value of a reference would come from.
func (in *Inputs) SecretOrigin(need secrets.Request) string {
	if in.SecretsFile != nil {
		if place, found := in.SecretsFile.Where(need); found {
			return place
		}
	}
	if in.aws.account == nil || !in.aws.looksUp {
		return "missing"
	}
	return in.aws.account.String()
}
