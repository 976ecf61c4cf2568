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

// Report is the result of one run. Its JSON, written by -json, is for comparing two runs:
// it has all samples and the machine that they were measured on.
type Report struct {
	Taken       time.Time `json:"taken"`
	Platform    string    `json:"platform"`
	CPUs        int       `json:"cpus"`
	Engine      string    `json:"engine"`
	Image       string    `json:"image"`
	Rounds      int       `json:"rounds"`
	BinaryBytes int64     `json:"binary_bytes,omitempty"`
	FloorKiB    int64     `json:"peak_floor_kib,omitempty"` // the smallest peak that can be measured
	Results     []*Result `json:"results"`
	Verdicts    []Verdict `json:"targets"`
}

// bench is the state of one run.
type bench struct {
	options
	id     string // value of label on all containers of this run
	cache  string // directory of the source trees, which later runs reuse
	temp   string // directory for everything else, removed at the end
	stderr io.Writer

	daemonless daemonlessSetup
}

// measureAll prepares the workloads, measures them and cleans up, even if ctx is canceled.
func measureAll(ctx context.Context, o options, cache string, stderr io.Writer) (report *Report, err error) {
	temp, err := os.MkdirTemp(filepath.Dir(cache), "buildlocal-bench-run-")
	if err != nil {
		return nil, err
	}
	b := &bench{options: o, id: filepath.Base(temp), cache: cache, temp: temp, stderr: stderr}
	defer func() { err = errors.Join(err, b.cleanUp(ctx)) }()

	if b.program, err = b.install(o.program); err != nil {
		return nil, err
	}
	if b.baseline, err = b.install(o.baseline); err != nil {
		return nil, err
	}
	groups, err := b.prepare(ctx)
	if err != nil {
		return nil, err
	}
	report = &Report{
		Taken: time.Now().UTC().Truncate(time.Second), Platform: runtime.GOOS + "/" + runtime.GOARCH,
		CPUs: runtime.NumCPU(), Engine: engineVersion(ctx), Image: b.image, Rounds: b.rounds,
	}
	report.BinaryBytes = sizeOf(b.program) // 0 if it does not exist: its arms fail, but others run
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
	report.Verdicts = evaluate(report)
	return report, nil
}

// measure runs the arms in turn: A B C A B C, not A A B B C C. So a slow minute of the
// machine is not charged to one arm. After a failure an arm is not run again, because each
// further failure could take as long as maxRunTime.
func (b *bench) measure(ctx context.Context, arms []*arm) error {
	for round := range b.rounds {
		for _, a := range arms {
			r := a.result
			if round >= a.rounds || r.Absent != "" || r.Failure != "" {
				continue
			}
			if r.Workload == "unpack" { // the kernel still writes back the files of the previous arm
				_ = exec.CommandContext(ctx, "sync").Run()
			}
			s, err := a.run(ctx)
			if ctx.Err() != nil { // the sample is that of an interrupted program
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

// install copies a program to the temporary directory, as an installation would, and returns
// the path of the copy. A program that the linker has just written starts 1 to 2 ms slower than
// its copy, because it is in the page cache in smaller pieces. The copy also stays the same if a
// developer runs make build during the benchmark. A program that does not exist keeps its name,
// and its arms report it.
func (b *bench) install(program string) (string, error) {
	path, err := exec.LookPath(program)
	if err != nil {
		return program, nil
	}
	in, err := os.Open(path)
	if err != nil {
		return "", err
	}
	defer in.Close()
	out, err := os.OpenFile(filepath.Join(b.temp, filepath.Base(path)), os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o755)
	if err != nil {
		return "", err
	}
	// Without the buffer the copy may share the extents of the file instead of writing new ones.
	_, err = io.CopyBuffer(struct{ io.Writer }{out}, struct{ io.Reader }{in}, make([]byte, 1<<20))
	return out.Name(), errors.Join(err, out.Close())
}

// sizeOf returns the size of a program in bytes, or 0 if it does not exist.
func sizeOf(program string) int64 {
	info, err := os.Stat(program)
	if err != nil {
		return 0
	}
	return info.Size()
}

// warmUp starts a container before the measurement. The first one after a pause takes up
// to a second longer, and docker run, the first arm, would be charged for it. Failures are
// ignored here, because the arms report them.
func (b *bench) warmUp(ctx context.Context) {
	j := job{commands: []string{"true"}, dir: b.temp}
	_, _ = j.arm("", config{}, b.docker(j)...).run(ctx)
}

// floorKiB returns the measured peak of true, a program that uses almost no memory. Between
// fork and exec a child shares the memory of this process, and Linux includes that in the
// child's ru_maxrss (setmax_mm_hiwater_rss in exec_mmap). Smaller peaks cannot be measured.
func floorKiB(ctx context.Context) int64 {
	s, err := job{}.arm("", config{}, "true").run(ctx)
	if err != nil {
		return 0
	}
	return s.peakKiB
}

// engineVersion returns the version of the Docker daemon, for the head of the table. A
// daemon is not required: there are arms without one.
func engineVersion(ctx context.Context) string {
	out, err := exec.CommandContext(ctx, "docker", "version", "--format", "{{.Server.Version}}").Output()
	if err != nil {
		return "unknown"
	}
	return strings.TrimSpace(string(out))
}

// leftovers are directories that the measured programs create in the source. They are
// removed to start each run with the same source tree.
var leftovers = []string{".buildlocal", ".gitlab-ci-local"}

// cleanUp removes all containers and temporary files of this run. docker run --rm removes
// its own container, unless the client was killed. A missing docker is no problem: then
// there are no containers.
func (b *bench) cleanUp(ctx context.Context) error {
	// After Ctrl-C ctx is done, and then containers are more likely to exist than otherwise.
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
	_ = os.Remove(b.cache) // fails if it contains source trees, as intended
	return errors.Join(errs...)
}
