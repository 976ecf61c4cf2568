package cache

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"syscall"
	"testing"

	"github.com/buildlocal/buildlocal/engine"
)

// hostContainer runs processes on this machine.
type hostContainer struct{ Container }

func (hostContainer) Exec(ctx context.Context, p engine.Process) (int, error) {
	command := exec.CommandContext(ctx, p.Args[0], p.Args[1:]...)
	command.Stdout = p.Stdout
	return 0, command.Run()
}

func TestListFiles_StaysOnFileSystem(t *testing.T) {
	dir, state := t.TempDir(), t.TempDir()
	other, mark := filepath.Join(dir, "other"), filepath.Join(state, "mark")
	if err := os.Mkdir(other, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Mount("tmpfs", other, "tmpfs", 0, "size=100k"); err != nil {
		t.Skipf("nothing can be mounted: %v", err)
	}
	t.Cleanup(func() { _ = syscall.Unmount(other, syscall.MNT_DETACH) })
	for _, name := range []string{mark, filepath.Join(other, "a"), filepath.Join(dir, "b")} {
		if err := os.WriteFile(name, nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	paths := Paths{Source: "/nowhere"}
	for at, want := range map[string]string{dir: "b", other: "a"} {
		paths.Patterns = []string{paths.Pattern(at + "/**/*")}
		files, err := listFiles(t.Context(), hostContainer{}, paths, mark)
		var got []string
		for _, f := range files {
			if f.Kind == '0' {
				got = append(got, filepath.Base(f.Name))
			}
		}
		if err != nil || !slices.Equal(got, []string{want}) {
			t.Errorf("%s: got %v, %v; want %s", at, got, err, want)
		}
	}
}

// endlessContainer lists files until it is interrupted.
type endlessContainer struct {
	Container
	listed chan<- struct{}
}

func (c endlessContainer) Exec(ctx context.Context, p engine.Process) (int, error) {
	_, _ = p.Stdout.Write([]byte("gnu\nf 644 0 0 0 1.0 10.0 1 /mark\x00\x00"))
	close(c.listed)
	<-ctx.Done()
	return 0, context.Cause(ctx)
}

func TestListFiles_Interrupted(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	listed := make(chan struct{})
	go func() {
		<-listed
		cancel()
	}()
	paths := Paths{Source: "/src", Patterns: []string{"root/**/*"}}
	if files, err := listFiles(ctx, endlessContainer{listed: listed}, paths, "/mark"); files != nil || err == nil {
		t.Errorf("got %v, %v; want an error", files, err)
	}
}
