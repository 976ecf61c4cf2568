// Command bench measures the cost of builds: whole processes, from start to
// end, beside docker run and other programs that run builds locally. The arms
// take turns within one run, so what else the machine does meets all of them
// alike; the ratios hold where the seconds do not.
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
	context.AfterFunc(ctx, stop) // a second Ctrl-C ends the program at once
	code := run(ctx, os.Args[1:], os.TempDir(), os.Stdout, os.Stderr)
	stop()
	os.Exit(code)
}

// run is the program without its surroundings: the table goes to stdout, what
// happens meanwhile to stderr, and everything it makes below temp.
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

var errArmFailed = errors.New("an arm failed")

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

type options struct {
	rounds  int
	only    []string // workloads, names from workloadNames
	program string   // buildlocal
	// baseline is a program whose start buildlocal's is compared with.
	baseline string
	image    string
	nesting  string // an image with a Docker engine, for W7
	json     string
	clean    bool
}

// heavyRounds limits the rounds of slow workloads.
const heavyRounds = 3

var workloadNames = []string{"W1", "W2", "W3", "W4", "W5", "W6", "W7", "startup", "unpack"}

func parse(args []string, stderr io.Writer) (options, error) {
	var o options
	var only string
	flags := flag.NewFlagSet("bench", flag.ContinueOnError)
	flags.SetOutput(stderr)
	flags.IntVar(&o.rounds, "n", 7, fmt.Sprintf("`rounds`; at most %d for slow workloads", heavyRounds))
	flags.StringVar(&only, "only", strings.Join(workloadNames, ","), "`workloads` to measure; W2 and W3 are compared "+
		"with W1")
	flags.StringVar(&o.program, "buildlocal", "bin/buildlocal", "the `program` to measure")
	flags.StringVar(&o.baseline, "baseline", "bin/baseline", "the `program` to compare starts with, of "+
		"internal/bench/baseline")
	flags.StringVar(&o.image, "image", "buildlocal-test/base:latest", "`image` of the builds; it must be there")
	flags.StringVar(&o.nesting, "docker-image", "buildlocal-test/aws:latest", "`image` of W7's builds, with dockerd, "+
		"docker and busybox")
	flags.StringVar(&o.json, "json", "", "write every sample to `file`, too")
	flags.BoolVar(&o.clean, "clean", false, "remove the sources kept for W3, and do nothing else")
	if err := flags.Parse(args); err != nil {
		return o, err
	}
	err := o.check(only, flags.Args())
	if err != nil {
		fmt.Fprintln(stderr, "bench:", err)
	}
	return o, err
}

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
