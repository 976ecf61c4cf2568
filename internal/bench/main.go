// Command bench compares the cost of a build with docker run and with other programs that
// run builds locally. It measures whole processes, from start to exit. Each workload has
// one arm per program. The arms take turns, so other load on the machine affects all of
// them equally. Therefore ratios are comparable between runs, even if seconds are not.
//
// Workloads W1 to W4 are a build that does nothing, one with many commands, one with a
// large source and one with a long log. W5 to W7 have artifacts, a cache and a nested
// Docker daemon. The other two measure the start of the program and unpacking an image.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop) // restores the default action: a second Ctrl-C exits without cleaning up
	code := run(ctx, os.Args[1:], os.TempDir(), os.Stdout, os.Stderr)
	stop()
	os.Exit(code)
}

// run is the program without its globals. It prints the table to stdout and progress to
// stderr, creates all files below temp, and returns the exit code.
func run(ctx context.Context, args []string, temp string, stdout, stderr io.Writer) int {
	o, err := parse(args, stderr)
	if errors.Is(err, flag.ErrHelp) {
		return 0
	}
	if err != nil {
		return 2
	}
	cache := filepath.Join(temp, "buildlocal-bench")
	if o.clean {
		err = os.RemoveAll(cache)
	} else {
		err = measureAndPrint(ctx, o, cache, stdout, stderr)
	}
	switch {
	case ctx.Err() != nil:
		fmt.Fprintln(stderr, "bench: stopped")
		return 130
	case err != nil:
		fmt.Fprintln(stderr, "bench:", err)
		return 1
	}
	return 0
}

// errArmFailed makes the exit code 1. The table, which names the arm, has been printed.
var errArmFailed = errors.New("an arm failed")

// measureAndPrint measures the selected workloads, and prints the table before it writes
// the JSON file, so that a file that cannot be written does not lose the result.
func measureAndPrint(ctx context.Context, o options, cache string, stdout, stderr io.Writer) error {
	report, err := measureAll(ctx, o, cache, stderr)
	if err != nil {
		return err
	}
	if err := report.print(stdout); err != nil {
		return err
	}
	if o.json != "" {
		if err := writeJSON(o.json, report); err != nil {
			return err
		}
	}
	if slices.ContainsFunc(report.Results, func(r *Result) bool { return r.Failure != "" }) {
		return errArmFailed
	}
	return nil
}

func writeJSON(name string, report *Report) error {
	text, err := json.MarshalIndent(report, "", "  ")
	if err != nil {
		return err
	}
	return os.WriteFile(name, append(text, '\n'), 0o644)
}

// options are the values of the flags, after parse has checked them.
type options struct {
	rounds  int
	only    []string // workloads to measure, from workloadNames
	program string   // the buildlocal binary
	// baseline is the program of internal/bench/baseline, the lower bound of a start.
	baseline    string
	image       string
	dockerImage string // an image with a Docker daemon, for W7
	json        string
	clean       bool
}

// maxHeavyRounds limits the rounds of slow workloads. Each of their runs takes seconds, so
// the relative noise is small.
const maxHeavyRounds = 3

// workloadNames are the values of -only, in the order of the table.
var workloadNames = []string{"W1", "W2", "W3", "W4", "W5", "W6", "W7", "startup", "unpack"}

// parse parses the command line. Errors are printed to stderr, by flag or by parse itself.
// The error is flag.ErrHelp for -h, which has been printed too.
func parse(args []string, stderr io.Writer) (options, error) {
	var o options
	var only string
	flags := flag.NewFlagSet("bench", flag.ContinueOnError)
	flags.SetOutput(stderr)
	flags.IntVar(&o.rounds, "n", 7, fmt.Sprintf("`rounds`; at most %d for slow workloads", maxHeavyRounds))
	flags.StringVar(&only, "only", strings.Join(workloadNames, ","), "`workloads` to measure; W2 and W3 are compared "+
		"with W1")
	flags.StringVar(&o.program, "buildlocal", "bin/buildlocal", "the buildlocal `program` to measure")
	flags.StringVar(&o.baseline, "baseline", "bin/baseline", "`program` to compare the startup time with, built from "+
		"internal/bench/baseline")
	flags.StringVar(&o.image, "image", "buildlocal-test/base:latest", "`image` of the builds; it is not pulled")
	flags.StringVar(&o.dockerImage, "docker-image", "buildlocal-test/aws:latest", "`image` for W7, with dockerd, "+
		"docker and busybox; it is not pulled")
	flags.StringVar(&o.json, "json", "", "also write all samples to `file`")
	flags.BoolVar(&o.clean, "clean", false, "remove the source trees that are kept for W3, and exit")
	if err := flags.Parse(args); err != nil {
		return o, err
	}
	err := o.check(only, flags.Args())
	if err != nil {
		fmt.Fprintln(stderr, "bench:", err)
	}
	return o, err
}

// check validates the options and sets o.only. Names of workloads are case-insensitive.
func (o *options) check(only string, rest []string) error {
	if len(rest) > 0 {
		return fmt.Errorf("unexpected argument %q", rest[0])
	}
	if o.rounds < 1 {
		return fmt.Errorf("-n %d: at least one round is needed", o.rounds)
	}
	for name := range strings.SplitSeq(only, ",") {
		same := func(known string) bool { return strings.EqualFold(known, strings.TrimSpace(name)) }
		i := slices.IndexFunc(workloadNames, same)
		if i < 0 {
			return fmt.Errorf("-only %s: unknown workload %q; known are %s", only, name, strings.Join(workloadNames, ", "))
		}
		o.only = append(o.only, workloadNames[i])
	}
	return nil
}
