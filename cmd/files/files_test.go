package files

import (
	"testing"

	"github.com/buildlocal/buildlocal/cmd/clitest"
	"github.com/buildlocal/buildlocal/control"
)

func TestNewSync_Flags(t *testing.T) {
	t.Parallel()
	clitest.Flags(t, NewSync, func(o *SyncOptions) any { return *o }, []clitest.Case{
		{Args: "12 --force", Want: SyncOptions{Build: "12", Request: control.SyncRequest{Force: true}}},
		{Args: "--pull a --pull b/c -y", Want: SyncOptions{Pull: []string{"a", "b/c"}, Yes: true}},
		{Args: "--yes", Err: "--yes is for --pull"},
		{Args: "--pull a --force", Err: "--pull and --force cannot be combined"},
	})
}

func TestNewDiff_Flags(t *testing.T) {
	t.Parallel()
	clitest.Flags(t, NewDiff, func(o *DiffOptions) any { return *o }, []clitest.Case{
		{Args: "", Want: DiffOptions{Format: "text"}},
		{Args: "12 --name-only", Want: DiffOptions{Build: "12", NameOnly: true, Format: "text"}},
		{Args: "--format json", Want: DiffOptions{Format: "json"}},
		{Args: "--format xml", Err: "xml"},
		{Args: "1 2", Err: "diff"},
		{Args: "--name-only --format json", Err: "cannot be combined"},
	})
}

func TestNewCp_Flags(t *testing.T) {
	t.Parallel()
	clitest.Flags(t, NewCp, func(o *CpOptions) any { return *o }, []clitest.Case{
		{Args: ":target/a.jar .", Want: CpOptions{From: place{inBuild: true, path: "target/a.jar"}, To: place{path: "."}}},
		{Args: "-y x 12-1a2b3c4d:/tmp", Want: CpOptions{From: place{path: "x"}, Yes: true,
			To: place{inBuild: true, build: "12-1a2b3c4d", path: "/tmp"}}},
		{Args: "- latest:/tmp", Want: CpOptions{From: place{path: "-"},
			To: place{inBuild: true, build: "latest", path: "/tmp"}}},
		{Args: "./a:b :/tmp", Want: CpOptions{From: place{path: "./a:b"}, To: place{inBuild: true, path: "/tmp"}}},
		{Args: "a", Err: "cp takes two paths, got 1"},
		{Args: "a b", Err: "one of SRC and DST must be a path in a build"},
		{Args: "1:/a 2:/b", Err: "one of SRC and DST must be a path in a build"},
		{Args: "1: b", Err: "1:: the path is missing"},
	})
}
