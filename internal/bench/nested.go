package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
)

// Arms of W7: a privileged build has a Docker engine of its own.
const (
	onThisMachine = "docker build, this machine's engine"
	unprivileged  = "buildlocal, not privileged"
	privileged    = "buildlocal, privileged"
	builtInside   = "buildlocal, privileged, docker build"
)

// nestedFile is built from a directory with nothing else in it: 30 MB in three layers.
const nestedFile = `FROM scratch
COPY busybox /bin/
RUN ["/bin/busybox", "dd", "if=/dev/urandom", "of=/a", "bs=1M", "count=10"]
RUN ["/bin/busybox", "dd", "if=/dev/urandom", "of=/b", "bs=1M", "count=10"]
RUN ["/bin/busybox", "dd", "if=/dev/urandom", "of=/c", "bs=1M", "count=10"]
`

// nestedArms are W7: the cost of the engine in the build for a build that does nothing,
// and a docker build in it beside one on this machine's engine. Both have the classic
// builder, for a builder of one's own is not everywhere.
func (b *bench) nestedArms(ctx context.Context) []*arm {
	heavy := min(b.rounds, heavyRounds)
	tag := b.id + ":nested"
	build := "DOCKER_BUILDKIT=0 docker build --quiet --no-cache --tag " + tag + " . && docker rmi --force " + tag
	dir := filepath.Join(b.temp, "W7")
	ours := func(name, command string, rounds int, flags ...string) *arm {
		j := job{workload: "W7", commands: []string{command}, rounds: rounds, dir: filepath.Join(dir, name)}
		args := slices.Concat([]string{b.program, "run", "-C", j.dir, "-i", b.nesting, "--pull", "never"}, flags)
		return b.own(j.arm(name, buildspec(j), args...))
	}
	host := job{workload: "W7", rounds: heavy, dir: filepath.Join(dir, "host")}.arm(onThisMachine, config{}, "sh", "-c",
		build)
	arms := []*arm{
		host,
		ours(unprivileged, "true", b.rounds),
		ours(privileged, "true", b.rounds, "--privileged"),
		ours(builtInside, build, heavy, "--privileged"),
	}
	for _, a := range []*arm{host, arms[len(arms)-1]} {
		if err := b.nestedContext(ctx, a.dir); err != nil {
			fmt.Fprintf(b.stderr, "W7: %v\n", err)
			for _, a := range arms {
				a.result.Absent = "no image with docker and busybox"
			}
			return arms
		}
	}
	return arms
}

// nestedContext writes what nestedFile needs into a directory.
func (b *bench) nestedContext(ctx context.Context, dir string) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	cmd := exec.CommandContext(ctx, "docker", "run", "--rm", "--pull", "never", "--label", label+"="+b.id,
		"--entrypoint", "sh", b.nesting, "-c", "command -v dockerd >&2 && cat $(command -v busybox)")
	busybox, err := cmd.Output()
	if err != nil {
		return fmt.Errorf("%v: %w", cmd.Args, err)
	}
	if err := os.WriteFile(filepath.Join(dir, "busybox"), busybox, 0o755); err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(dir, "Dockerfile"), []byte(nestedFile), 0o644)
}

// nestedRatio is the time that a docker build adds to a privileged build, beside the same on
// this machine's engine.
func nestedRatio(r *Report) (float64, bool) {
	added, ok := more("W7", builtInside, privileged)(r)
	base := r.find("W7", onThisMachine)
	if !ok || !base.measured() {
		return 0, false
	}
	return added / base.Median, true
}
