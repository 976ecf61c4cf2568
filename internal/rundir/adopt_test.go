package rundir_test

import (
	"errors"
	"os"
	"testing"

	"github.com/buildlocal/buildlocal/internal/rundir"
)

func TestAdopt_DirectoryThatWasLeft(t *testing.T) {
	root := rundir.RootOf(t.TempDir(), os.Getuid())
	for round, leave := range []func(*rundir.Dir){(*rundir.Dir).Leave, func(d *rundir.Dir) { d.Keep("unix:///engine") }} {
		d, err := root.New(os.Getpid())
		if err != nil {
			t.Fatal(err)
		}
		if _, err := root.Adopt(d.Path, d.Name, os.Getpid()); !errors.Is(err, rundir.ErrInUse) {
			t.Errorf("round %d: adopt a run that is alive: %v", round, err)
		}
		leave(d)
		d.Remove()
		if _, alive := rundir.Alive(d.Path); alive {
			t.Errorf("round %d: the run is alive", round)
		}
		again, err := root.Adopt(d.Path, d.Name, os.Getpid())
		if err != nil {
			t.Fatal(err)
		}
		pid, alive := rundir.Alive(again.Path)
		if !alive || pid != os.Getpid() || again.Name != d.Name || rundir.Needed(again.Path, "unix:///other") {
			t.Errorf("round %d: adopted as %+v, process %d, alive %v", round, again, pid, alive)
		}
		again.Leave()
		again.Discard()
		again.Remove()
		if _, err := os.Stat(again.Path); !errors.Is(err, os.ErrNotExist) {
			t.Errorf("round %d: the directory stays: %v", round, err)
		}
		if _, err := root.Adopt(again.Path, again.Name, os.Getpid()); err == nil {
			t.Errorf("round %d: a directory that is gone was adopted", round)
		}
	}
}
