package local

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/buildlocal/buildlocal/internal/atomicfile"
	"github.com/buildlocal/buildlocal/internal/regular"
	"github.com/buildlocal/buildlocal/runner"
)

// maxExported is the largest file of exported variables, in bytes.
const maxExported = 16 << 20

// checkExported returns an error for a file of exported variables that must not be
// overwritten, because buildlocal did not write it or it was changed since.
func (h *Host) checkExported(name string) error {
	if name == "" || isStream(name) {
		return nil
	}
	text, err := regular.Read(name, maxExported)
	var kind *regular.Error
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil
	case errors.As(err, &kind):
		return Usagef("--exported-env: %s is %s; expected a file to write", name, kind.Kind())
	case err != nil:
		return Usagef("--exported-env: %s: %s", name, regular.Reason(err))
	case len(text) == 0 || h.wroteExported(name, text):
		return nil
	}
	return Usagef(
		"--exported-env: %s exists, and its contents are not buildlocal's\nMove it away, or name another file.",
		name,
	)
}

// streams matches the names of standard streams and open file descriptors.
var streams = lazyRegexp(`^(/dev/std(out|err)|(/dev|/proc/self)/fd/[0-9]+)$`)

// isStream reports whether a name is a stream that the caller has opened, such as
// /dev/stdout or the /dev/fd/63 of a shell, or the null device.
func isStream(name string) bool {
	return name == os.DevNull || streams().MatchString(filepath.Clean(name))
}

// exportedMark returns the file that holds the hash of what buildlocal wrote to a file of
// exported variables. It is not a comment in that file, because not all readers of such
// files accept comments.
func (h *Host) exportedMark(name string) (string, error) {
	return h.StateFile("exported", hash([]byte(RealDir(name))))
}

func hash(text []byte) string {
	sum := sha256.Sum256(text)
	return hex.EncodeToString(sum[:])
}

// wroteExported reports whether buildlocal wrote the contents of a file.
func (h *Host) wroteExported(name string, text []byte) bool {
	mark, err := h.exportedMark(name)
	if err != nil {
		return false
	}
	wrote, err := regular.Read(mark, maxExported)
	return err == nil && strings.TrimSpace(string(wrote)) == hash(text)
}

// writeExported writes exported variables in the format of --env-file, which shells can
// read too if no value contains a single quote. It does nothing without a name.
func (h *Host) writeExported(name string, all []runner.NameValue) error {
	if name == "" {
		return nil
	}
	var b strings.Builder
	for _, v := range all {
		fmt.Fprintf(&b, "%s=%s\n", v.Name, quoted(v.Value))
	}
	if err := h.replaceExported(name, []byte(b.String())); err != nil {
		return fmt.Errorf("write the exported variables: %w", err)
	}
	return nil
}

// replaceExported writes the file, and then notes the hash of its contents, by which the
// next build recognizes it.
func (h *Host) replaceExported(name string, text []byte) error {
	if isStream(name) {
		return os.WriteFile(name, text, 0o644)
	}
	if err := h.checkExported(name); err != nil { // it may have been created during the build
		return err
	}
	if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
		return err
	}
	write := atomicfile.Replace // keeps the mode and the owner
	if _, err := os.Stat(name); err != nil {
		write = func(name string, text []byte) error { return atomicfile.Write(name, text, 0o644) }
	}
	if err := write(name, text); err != nil {
		return err
	}
	mark, err := h.exportedMark(name)
	if err != nil {
		return nil // without a home directory the next build refuses to overwrite the file
	}
	return atomicfile.Write(mark, []byte(hash(text)+"\n"), 0o600)
}

// escape replaces the characters that mean something in double quotes of an --env-file.
var escape = strings.NewReplacer(`\`, `\\`, `"`, `\"`, `$`, `\$`, "\n", `\n`, "\r", `\r`, "\t", `\t`)

// quoted returns a value in single quotes, which change nothing in it. Values that cannot
// be in single quotes are escaped in double quotes.
func quoted(value string) string {
	if !strings.ContainsAny(value, "'\r") {
		return "'" + value + "'"
	}
	return `"` + escape.Replace(value) + `"`
}
