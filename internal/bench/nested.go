package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
)

// Names of the arms of W7. A privileged build has a Docker daemon of its own.
const (
	onHostEngine = "docker build, host daemon"
	unprivileged = "buildlocal, not privileged"
	privileged   = "buildlocal, privileged"
	builtInside  = "buildlocal, privileged, docker build"
)

// nestedDockerfile has three layers of 10 MB. It starts from scratch and needs only busybox,
// because a nested daemon has no images and its builds should not access a registry.
const nestedDockerfile = `FROM scratch
COPY busybox /bin/
RUN ["/bin/busybox", "dd", "if=/dev/urandom", "of=/a", "bs=1M", "count=10"]
RUN ["/bin/busybox", "dd", "if=/dev/urandom", "of=/b", "bs=1M", "count=10"]
RUN ["/bin/busybox", "dd", "if=/dev/urandom", "of=/c", "bs=1M", "count=10"]
`

// nestedArms returns the arms of W7. Two builds that do nothing, one of them privileged,
// show the cost of starting the nested daemon. A docker build in it is compared with the
// same on the host's daemon. Both use the classic builder, because BuildKit needs the
// buildx plugin, which an image may lack.
func (b *bench) nestedArms(ctx context.Context) []*arm {
	heavy := min(b.rounds, maxHeavyRounds)
	tag := b.id + ":nested"
	// The image is removed in the same run, or the host's daemon would keep one per round.
	build := "DOCKER_BUILDKIT=0 docker build --quiet --no-cache --tag " + tag + " . && docker rmi --force " + tag
	dir := filepath.Join(b.temp, "W7")
	nestedArm := func(name, command string, rounds int, flags ...string) *arm {
		j := job{workload: "W7", commands: []string{command}, rounds: rounds, dir: filepath.Join(dir, name)}
		args := slices.Concat([]string{b.program, "run", "-C", j.dir, "-i", b.dockerImage, "--pull", "never"}, flags)
		return b.required(j.arm(name, buildspec(j), args...))
	}
	host := job{workload: "W7", rounds: heavy, dir: filepath.Join(dir, "host")}.arm(onHostEngine, config{}, "sh", "-c",
		build)
	arms := []*arm{
		host,
		nestedArm(unprivileged, "true", b.rounds),
		nestedArm(privileged, "true", b.rounds, "--privileged"),
		nestedArm(builtInside, build, heavy, "--privileged"),
	}
	for _, a := range []*arm{host, arms[len(arms)-1]} { // the two that run docker build
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

// nestedContext creates the build context of nestedDockerfile, with the busybox of the
// image. It fails if the image has no dockerd either: the arms could not work.
func (b *bench) nestedContext(ctx context.Context, dir string) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	cmd := exec.CommandContext(ctx, "docker", "run", "--rm", "--pull", "never", "--label", label+"="+b.id,
		"--entrypoint", "sh", b.dockerImage, "-c", "command -v dockerd >&2 && cat $(command -v busybox)")
	busybox, err := cmd.Output()
	if err != nil {
		return fmt.Errorf("%v: %w", cmd.Args, err)
	}
	if err := os.WriteFile(filepath.Join(dir, "busybox"), busybox, 0o755); err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(dir, "Dockerfile"), []byte(nestedDockerfile), 0o644)
}

// nestedRatio returns the time that a docker build adds to a privileged build, divided by
// the time of the same docker build on the host's daemon. The start of the nested daemon,
// which has a target of its own, is not included.
func nestedRatio(r *Report) (float64, bool) {
	added, ok := difference("W7", builtInside, privileged)(r)
	base := r.find("W7", onHostEngine)
	if !ok || !base.measured() {
		return 0, false
	}
	return added / base.Median, true
}
