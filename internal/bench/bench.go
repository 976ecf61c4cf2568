package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"time"
)

// Report is one run of the bench.
type Report struct {
	Taken       time.Time `json:"taken"`
	Platform    string    `json:"platform"`
	CPUs        int       `json:"cpus"`
	Engine      string    `json:"engine"`
	Image       string    `json:"image"`
	Rounds      int       `json:"rounds"`
	BinaryBytes int64     `json:"binary_bytes,omitempty"`
	FloorKiB    int64     `json:"peak_floor_kib,omitempty"` // no peak below it can be seen
	Rebuilt     bool      `json:"rebuilt,omitempty"`        // buildlocal changed during the run
	Results     []*Result `json:"results"`
	Verdicts    []Verdict `json:"targets"`
}

// bench is what every step of a run needs.
type bench struct {
	options
	id     string // label of the containers of docker run
	cache  string // sources are kept here from one run to the next
	temp   string // gone at the end
	stderr io.Writer

	without daemonless
}

// measureAll prepares the workloads, measures them and cleans up, also when ctx
// ends early.
func measureAll(ctx context.Context, o options, cache string, stderr io.Writer) (report *Report, err error) {
	temp, err := os.MkdirTemp(filepath.Dir(cache), "buildlocal-bench-run-")
	if err != nil {
		return nil, err
	}
	b := &bench{options: o, id: filepath.Base(temp), cache: cache, temp: temp, stderr: stderr}
	defer func() { err = errors.Join(err, b.cleanUp(ctx)) }()

	groups, err := b.prepare(ctx)
	if err != nil {
		return nil, err
	}
	report = &Report{
		Taken: time.Now().UTC().Truncate(time.Second), Platform: runtime.GOOS + "/" + runtime.GOARCH,
		CPUs: runtime.NumCPU(), Engine: engineVersion(ctx), Image: b.image, Rounds: b.rounds,
	}
	before := b.binary()
	if before != nil {
		report.BinaryBytes = before.Size()
	}
	b.warmUp(ctx)
	for _, arms := range groups {
		if err := b.measure(ctx, arms); err != nil {
			return nil, err
		}
		for _, a := range arms {
			a.result.summarize()
			report.Results = append(report.Results, a.result)
		}
	}
	report.FloorKiB = floorKiB(ctx)
	after := b.binary()
	report.Rebuilt = before != nil && (after == nil || !after.ModTime().Equal(before.ModTime()))
	report.Verdicts = judge(report)
	return report, nil
}

// measure lets the arms take turns: A B C A B C.
func (b *bench) measure(ctx context.Context, arms []*arm) error {
	for round := range b.rounds {
		for _, a := range arms {
			r := a.result
			if round >= a.rounds || r.Absent != "" || r.Failure != "" {
				continue
			}
			if r.Workload == "unpack" { // write pending data of other arms first, to not charge it to this one
				_ = exec.CommandContext(ctx, "sync").Run()
			}
			s, err := a.run(ctx)
			if ctx.Err() != nil {
				return context.Cause(ctx)
			}
			if err != nil {
				r.Failure = err.Error()
				fmt.Fprintf(b.stderr, "round %d of %d: %s, %s: failed\n", round+1, a.rounds, r.Workload, r.Arm)
				continue
			}
			r.Seconds = append(r.Seconds, s.seconds)
			r.PeaksKiB = append(r.PeaksKiB, s.peakKiB)
			fmt.Fprintf(b.stderr, "round %d of %d: %s, %s: %.3f s\n", round+1, a.rounds, r.Workload, r.Arm, s.seconds)
		}
	}
	return nil
}

// binary describes the file of buildlocal, or nil if it does not exist.
func (b *bench) binary() os.FileInfo {
	path, err := exec.LookPath(b.program)
	if err != nil {
		return nil
	}
	info, err := os.Stat(path)
	if err != nil {
		return nil
	}
	return info
}

// warmUp wakes the engine and the image: the first container after a pause takes
// up to a second longer, and docker run would pay for all. The arms report
// failures.
func (b *bench) warmUp(ctx context.Context) {
	j := job{commands: []string{"true"}, dir: b.temp}
	_, _ = j.arm("", config{}, b.docker(j)...).run(ctx)
}

// floorKiB is the peak of a program that needs next to nothing. Linux counts the
// memory of the process that starts another as the other's until that is loaded.
func floorKiB(ctx context.Context) int64 {
	s, err := job{}.arm("", config{}, "true").run(ctx)
	if err != nil {
		return 0
	}
	return s.peakKiB
}

func engineVersion(ctx context.Context) string {
	out, err := exec.CommandContext(ctx, "docker", "version", "--format", "{{.Server.Version}}").Output()
	if err != nil {
		return "unknown"
	}
	return strings.TrimSpace(string(out))
}

// leftovers are files that the programs write beside the sources.
var leftovers = []string{".buildlocal", ".gitlab-ci-local"}

// cleanUp removes temporary resources. A container of docker run is still
// there only if its client was killed.
func (b *bench) cleanUp(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Minute)
	defer cancel()
	out, err := exec.CommandContext(ctx, "docker", "ps", "-aq", "--filter", "label="+label+"="+b.id).Output()
	if ids := strings.Fields(string(out)); err == nil && len(ids) > 0 {
		err = exec.CommandContext(ctx, "docker", slices.Concat([]string{"rm", "-f"}, ids)...).Run()
	}
	if err != nil && !errors.Is(err, exec.ErrNotFound) {
		fmt.Fprintf(b.stderr, "bench: containers with the label %s=%s may be left: %v\n", label, b.id, err)
	}
	errs := []error{os.RemoveAll(b.temp)}
	for _, s := range sources {
		for _, name := range leftovers {
			errs = append(errs, os.RemoveAll(filepath.Join(b.cache, s.folder, name)))
		}
	}
	_ = os.Remove(b.cache) // if it is empty
	return errors.Join(errs...)
}
