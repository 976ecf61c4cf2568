package main

import (
	"context"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
)

// Names of the arms of W5 and W6.
const (
	piped         = "docker run, tar piped to tar"
	uncached      = "buildlocal, no cache"
	restored      = "buildlocal, cache restored"
	unchanged     = "buildlocal, cache restored and saved unchanged"
	sandboxPrefix = "engine sandbox: "
)

// produceFiles creates 20,000 files of 10 KB, 200 MB in total, in 200 directories. Random
// data cannot be compressed, so all arms transfer the same number of bytes.
const produceFiles = "mkdir -p out && cd out && for d in $(seq 200); do mkdir $d && head -c 1024000 /dev/urandom | " +
	"split -b 10240 -a 3 -d - $d/f; done"

// artifactArms returns the arms of W5: files are created in a container and copied to the
// host. The reference is the fastest way with standard tools: docker run with a tar at both
// ends of the pipe.
func (b *bench) artifactArms() []*arm {
	j := job{
		workload: "W5", commands: []string{produceFiles}, rounds: min(b.rounds, maxHeavyRounds),
		dir: filepath.Join(b.temp, "W5"),
	}
	spec := buildspec(j)
	spec.text += "artifacts:\n  base-directory: out\n  files: ['**/*']\n"
	// tar writes to stdout, so a shell with a pipe is needed around docker run.
	tarred := j
	tarred.commands = []string{produceFiles, "tar -cf - ."}
	// The script is the last argument of docker run. Here it is part of another script.
	quoted := "'" + strings.ReplaceAll(strings.Join(tarred.commands, "\n"), "'", `'\''`) + "'"
	command := slices.Concat(b.docker(tarred)[:len(b.docker(tarred))-1], []string{quoted})
	arms := []*arm{
		j.arm(piped, config{}, "sh", "-c",
			"d=$(mktemp -d "+b.temp+"/piped.XXXXXX) && "+strings.Join(command, " ")+" | tar -xf - -C $d"),
		b.required(j.arm(buildlocal, spec, b.program, "run", "-C", j.dir, "-i", b.image, "--pull", "never")),
	}
	// The non-root arms are left out: a round takes long, and the copy is the same.
	for _, a := range b.daemonlessArms(j) {
		if a.result.Arm == host || a.result.Arm == sandbox {
			a.config = spec
			arms = append(arms, a)
		}
	}
	return arms
}

// cacheArms returns the arms of W6: a build whose cache has 30,000 files, 500 MB in total,
// and does not change them. The arms differ in the cache action, so their differences are
// the cost of restoring and saving. Each engine has a cache of its own, which this function
// fills before the measurement.
func (b *bench) cacheArms(ctx context.Context) []*arm {
	// 300 directories with 100 files of 16,666 bytes.
	const fill = "mkdir -p deps && cd deps && for d in $(seq 300); do mkdir $d && head -c 1666600 /dev/urandom | " +
		"split -b 16666 -a 3 -d - $d/f; done"
	var arms []*arm
	for _, engine := range []string{"docker", "sandbox"} {
		arm := func(name, action, command string) *arm {
			if engine == "sandbox" {
				name = sandboxPrefix + name
			}
			j := job{
				workload: "W6", commands: []string{command}, rounds: b.rounds,
				dir: filepath.Join(b.temp, "W6", engine, action),
			}
			a := b.daemonlessArm(false, j, name, "run", "-C", j.dir, "-i", b.image, "--pull", "never", "--engine", engine,
				"--project-name", "bench", "--cache", filepath.Join(b.temp, "W6", engine, "cache"))
			a.config.text += "cache:\n  paths: ['deps/**/*']\n"
			switch action {
			case "none": // replaces --cache and its value, in a copy of the arguments
				a.args, a.config = append(a.args[:len(a.args)-2:len(a.args)-2], "--no-cache"), buildspec(j)
			case "restore":
				a.config.text += "  action: restore\n"
			}
			return a
		}
		first := arm("", "fill", fill)
		if first.result.Absent != "" { // one arm is enough to show in the table why W6 is missing
			return append(arms, arm(uncached, "none", "true"))
		}
		err := first.config.write(first.dir)
		if err == nil {
			_, err = first.run(ctx)
		}
		if err != nil { // without a cache to restore there is no figure for this engine
			fmt.Fprintf(b.stderr, "W6: %v\n", err)
			return arms
		}
		// The command fails if the cache was not restored, which would be fast.
		const probe = "test -e deps/300/f000"
		arms = append(arms, arm(uncached, "none", "true"), arm(restored, "restore", probe), arm(unchanged, "both", probe))
	}
	return arms
}

// difference returns a figure for target.value: by how many seconds the median of an arm
// exceeds that of another arm of the same workload.
func difference(workload, arm, than string) func(*Report) (float64, bool) {
	return func(r *Report) (float64, bool) {
		x, base := r.find(workload, arm), r.find(workload, than)
		if !x.measured() || !base.measured() {
			return 0, false
		}
		return x.Median - base.Median, true
	}
}

// ratioTo returns a figure for target.value: the median of an arm divided by that of
// another arm of the same workload.
func ratioTo(workload, arm, base string) func(*Report) (float64, bool) {
	return func(r *Report) (float64, bool) {
		x, y := r.find(workload, arm), r.find(workload, base)
		if !x.measured() || !y.measured() {
			return 0, false
		}
		return x.Median / y.Median, true
	}
}
