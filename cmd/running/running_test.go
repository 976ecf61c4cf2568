package running

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/buildlocal/buildlocal/builds"
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

// someNames returns names for builds of two other sources.
func someNames(typed ...string) names {
	return names{
		typed: typed, nothing: "nothing stopped", command: "buildlocal stop",
		known: []candidate{
			{"1-bbbbbbbb", "~/two"}, {"1-aaaaaaaa", "~/one"}, {"2-cccccccc", "~/one"}, {"1-aaaaaaaa", "~/one"},
		},
		unknown: func(name string) error { return cli.Usagef("no build %s is running", name) },
	}
}

func TestNames_OfOtherSources(t *testing.T) {
	t.Parallel()
	for name, want := range map[string]string{"#2": "2-cccccccc", "2": "2-cccccccc", "1-bbbbbbbb": "1-bbbbbbbb"} {
		if got, err := someNames(name).full(); err != nil || !slices.Equal(got, []string{want}) {
			t.Errorf("%s: got %q, %v; want %s", name, got, err, want)
		}
	}
	_, err := someNames("1").full()
	if want := ":\n  1-aaaaaaaa   ~/one\n  1-bbbbbbbb   ~/two\n"; err == nil || !strings.Contains(err.Error(), want) {
		t.Errorf("an ambiguous number: got %v, want %q in it", err, want)
	}
}

// TestNames_AllMistakesAtOnce has right and wrong names.
func TestNames_AllMistakesAtOnce(t *testing.T) {
	t.Parallel()
	got, err := someNames("2", "9", "1", "1-bbbbbbbb").full()
	if cli.ExitCode(err) != cli.ExitUsage || got != nil {
		t.Fatalf("got %q, %v; want a usage error", got, err)
	}
	for _, want := range []string{
		"no build 9 is running", "2 builds have the number 1", "nothing stopped", ": buildlocal stop 2 1-bbbbbbbb",
	} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("%q is missing in %q", want, err)
		}
	}
	if _, err := someNames("9").full(); strings.Contains(err.Error(), "nothing") {
		t.Errorf("one wrong name: %v", err)
	}
}

// TestNames_NumbersAreOfThisSource has a build in the current directory. Each source counts its builds
// from 1, so a number must not reach a build of another one.
func TestNames_NumbersAreOfThisSource(t *testing.T) {
	t.Parallel()
	n := someNames("#1", "1-bbbbbbbb")
	n.here = []builds.Build{{Number: 1, Name: "1-aaaaaaaa"}}
	if got, err := n.full(); err != nil || !slices.Equal(got, []string{"1-aaaaaaaa", "1-bbbbbbbb"}) {
		t.Errorf("got %q, %v", got, err)
	}
	n.typed = []string{"2"}
	got, err := n.full()
	if cli.ExitCode(err) != cli.ExitUsage || !strings.Contains(err.Error(), "\n  2-cccccccc   ~/one\n") {
		t.Errorf("a number of another source: got %q, %v; want a usage error that names its build", got, err)
	}
}
