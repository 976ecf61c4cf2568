package cmd

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"

	"github.com/buildlocal/buildlocal/internal/atomicfile"
	"github.com/buildlocal/buildlocal/internal/regular"
	"github.com/buildlocal/buildlocal/runner"
)

// maxExported is how many bytes a file of exported variables has at most.
const maxExported = 16 << 20

// wrongExported refuses a place for exported variables that a build must not
// overwrite: a file that buildlocal did not write, or that was changed since.
func (a *App) wrongExported(name string) error {
	if name == "" || isStream(name) {
		return nil
	}
	text, err := regular.Read(name, maxExported)
	var kind *regular.Error
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil
	case errors.As(err, &kind):
		return usagef("--exported-env: %s is %s; expected a file to write", name, kind.Kind())
	case err != nil:
		return usagef("--exported-env: %s: %s", name, unreadable(err))
	case len(text) == 0 || a.wroteExported(name, text):
		return nil
	}
	return usagef("--exported-env: %s exists, and its contents are not buildlocal's\nMove it away, or name another file.", name)
}

// isStream reports whether a name is a stream that the caller has opened, such as
// /dev/stdout or the /dev/fd/63 of a shell, or the null device.
func isStream(name string) bool {
	return name == os.DevNull || regexp.MustCompile(`^(/dev/std(out|err)|(/dev|/proc/self)/fd/[0-9]+)$`).MatchString(filepath.Clean(name))
}

// exportedMark is the file with the hash of the contents that buildlocal wrote to a file of exported
// variables. It is not in the file itself: not every reader of such files knows
// comments.
func (a *App) exportedMark(name string) (string, error) {
	full, err := realTarget(name)
	if err != nil {
		return "", err
	}
	return a.stateFile("exported", hash([]byte(full)))
}

func hash(text []byte) string {
	sum := sha256.Sum256(text)
	return hex.EncodeToString(sum[:])
}

// wroteExported reports whether buildlocal wrote the contents of a file.
func (a *App) wroteExported(name string, text []byte) bool {
	mark, err := a.exportedMark(name)
	if err != nil {
		return false
	}
	wrote, err := regular.Read(mark, maxExported)
	return err == nil && strings.TrimSpace(string(wrote)) == hash(text)
}

// writeExported writes exported variables in the form that --env-file reads, and a
// shell too where no value has a single quote. Nothing is written where no file is
// named.
func (a *App) writeExported(name string, all []runner.NameValue) error {
	if name == "" {
		return nil
	}
	var b strings.Builder
	for _, v := range all {
		fmt.Fprintf(&b, "%s=%s\n", v.Name, quoted(v.Value))
	}
	if err := a.replaceExported(name, []byte(b.String())); err != nil {
		return fmt.Errorf("write the exported variables: %w", err)
	}
	return nil
}

func (a *App) replaceExported(name string, text []byte) error {
	if isStream(name) {
		return os.WriteFile(name, text, 0o644)
	}
	if err := a.wrongExported(name); err != nil { // it may have come since
		return err
	}
	if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
		return err
	}
	write := replaceFile // keeps the mode and the owner of one that is there
	if _, err := os.Stat(name); err != nil {
		write = func(name string, text []byte) error { return atomicfile.Write(name, text, 0o644) }
	}
	if err := write(name, text); err != nil {
		return err
	}
	mark, err := a.exportedMark(name)
	if err != nil {
		return nil // without a home the next build refuses to overwrite the file, and says so
	}
	return atomicfile.Write(mark, []byte(hash(text)+"\n"), 0o600)
}

var escape = strings.NewReplacer(`\`, `\\`, `"`, `\"`, `$`, `\$`, "\n", `\n`, "\r", `\r`, "\t", `\t`)

// quoted is a value in quotes: single ones, in which everything is as it is.
func quoted(value string) string {
	if !strings.ContainsAny(value, "'\r") {
		return "'" + value + "'"
	}
	return `"` + escape.Replace(value) + `"`
}
