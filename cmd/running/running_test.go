package running

import (
	"slices"
	"testing"
	"time"

	"github.com/buildlocal/buildlocal/cmd/cli"
	"github.com/buildlocal/buildlocal/cmd/clitest"
	"github.com/buildlocal/buildlocal/local"
)

func TestNewStop_Flags(t *testing.T) {
	t.Parallel()
	clitest.Flags(t, NewStop, func(o *StopOptions) any { return *o }, []clitest.Case{
		{Args: "", Want: StopOptions{Names: []string{}, Format: "text"}},
		{Args: "12 shop-13", Want: StopOptions{Names: []string{"12", "shop-13"}, Format: "text"}},
		{Args: "--all", Want: StopOptions{Names: []string{}, All: true, Format: "text"}},
		{Args: "--all 12", Err: "--all and names of builds cannot be combined"},
		{Args: "--al", Err: "unknown flag --al; did you mean --all?"},
	})
}

func TestNewPs_Flags(t *testing.T) {
	t.Parallel()
	clitest.Flags(t, NewPs, func(o *PsOptions) any { return *o }, []clitest.Case{
		{Args: "", Want: PsOptions{Format: "text"}},
		{Args: "ls -v", Want: PsOptions{Format: "text", Verbose: true}},
		{Args: "list --format json", Want: PsOptions{Format: "json"}},
		{Args: "--format json -v", Err: "--verbose and --format json cannot be combined"},
		{Args: "--format jsn", Err: "--format jsn: did you mean json?"},
	})
}

func TestNewPrune_Flags(t *testing.T) {
	t.Parallel()
	clitest.Flags(t, NewPrune, func(o *PruneOptions) any { return *o }, []clitest.Case{
		{Args: "", Want: PruneOptions{Names: []string{}, Format: "text"}},
		{Args: "9 10-1a2b3c4d", Want: PruneOptions{Names: []string{"9", "10-1a2b3c4d"}, Format: "text"}},
		{Args: "--older-than 7d --kept --dry-run", Want: PruneOptions{Names: []string{}, Format: "text", Kept: true,
			DryRun: true, OlderThan: 7 * 24 * time.Hour}},
		{Args: "--kept 9", Err: "--kept and names of builds cannot be combined"},
		{Args: "--older-than soon", Err: "--older-than soon: not a duration; use 7d or 48h"},
		{Args: "--older-than -5h", Err: "--older-than -5h0m0s: must not be negative"},
		{Args: "--format", Err: "--format needs a value: --format FORMAT"},
	})
}

func TestPruneOptions_Chooses(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 11, 29, 12, 0, 0, 0, time.UTC)
	left := local.Leftover{Build: "9-1a2b3c4d", Started: now.Add(-48 * time.Hour)}
	kept := left
	kept.Kept = true
	for _, test := range []struct {
		options PruneOptions
		of      local.Leftover
		want    bool
	}{
		{PruneOptions{}, left, true},
		{PruneOptions{}, kept, false},
		{PruneOptions{Kept: true}, kept, true},
		{PruneOptions{Names: []string{"9"}}, kept, true},
		{PruneOptions{Names: []string{"#9"}}, left, true},
		{PruneOptions{Names: []string{"9-1a2b3c4d"}}, left, true},
		{PruneOptions{Names: []string{"1"}}, left, false},
		{PruneOptions{OlderThan: 24 * time.Hour}, left, true},
		{PruneOptions{OlderThan: 72 * time.Hour}, left, false},
		{PruneOptions{OlderThan: 72 * time.Hour, Names: []string{"9"}}, kept, false},
	} {
		if got := test.options.chooses(test.of, now); got != test.want {
			t.Errorf("%+v removes %+v: %t, want %t", test.options, test.of, got, test.want)
		}
	}
}

func TestAmbiguousNumber(t *testing.T) {
	t.Parallel()
	running := []string{"1-aaaaaaaa", "1-bbbbbbbb", "2-cccccccc"}
	for name, want := range map[string]bool{"1": true, "2": false, "1-aaaaaaaa": false} {
		if got := ambiguousNumber([]string{name}, running); (got != "") != want {
			t.Errorf("%s: got %q, want a message: %v", name, got, want)
		}
	}
}

// TestFullNames_NumbersAreOfThisSource makes a build in the current directory. Each source counts
// its builds from 1, so a number must not reach a build of another one.
func TestFullNames_NumbersAreOfThisSource(t *testing.T) {
	t.Chdir(t.TempDir())
	if got, err := fullNames(t.Context(), []string{"9"}); err != nil || !slices.Equal(got, []string{"9"}) {
		t.Errorf("without builds: got %q, %v; want the number", got, err)
	}
	store, err := local.OpenBuilds(t.Context(), local.New("."))
	if err != nil {
		t.Fatal(err)
	}
	dir, err := store.Create(1, "1a2b3c4d-0000-4000-8000-000000000000", "run-1")
	if err != nil {
		t.Fatal(err)
	}
	got, err := fullNames(t.Context(), []string{"#1", "9-ffffffff"})
	if want := []string{dir.Name, "9-ffffffff"}; err != nil || !slices.Equal(got, want) {
		t.Errorf("got %q, %v; want %q", got, err, want)
	}
	if got, err := fullNames(t.Context(), []string{"9"}); cli.ExitCode(err) != cli.ExitUsage {
		t.Errorf("a number of another source: got %q, %v; want a usage error", got, err)
	}
}
