package human

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

func TestErrorText_DropsWrapping(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	none, file := filepath.Join(dir, "none"), filepath.Join(dir, "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	_, open := os.Open(none)
	_, stat := os.Lstat(none)
	_, program := exec.LookPath("no-such-program-anywhere")
	_, isFile := os.ReadDir(filepath.Join(file, "x"))
	for name, c := range map[string]struct {
		err  error
		want string
	}{
		"open":      {open, none + ": no such file"},
		"stat":      {stat, none + ": no such file"},
		"operation": {fmt.Errorf("read it: %w\nTry again", open), "read it: " + none + ": no such file\nTry again"},
		"mkdir":     {os.Mkdir(none+"/x", 0o700), "create directory " + none + "/x: no such file or directory"},
		"not a dir": {isFile, file + "/x: not a directory"},
		"rename":    {os.Rename(none, file), "rename " + none + " to " + file + ": no such file or directory"},
		"joined":    {errors.Join(open, stat), none + ": no such file\n" + none + ": no such file"},
		"program":   {program, "no-such-program-anywhere: command not found"},
		"sentinel":  {fmt.Errorf("find it: %w", fs.ErrNotExist), "find it: no such file"},
		"own error": {errors.New("open the door: no such file or directory"), "open the door: no such file or directory"},
	} {
		if got := ErrorText(c.err); got != c.want {
			t.Errorf("%s: got %q, want %q", name, got, c.want)
		}
	}
}
