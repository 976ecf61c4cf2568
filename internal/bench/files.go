package main

import (
	"context"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
)

// Arms of the workloads with many files.
const (
	piped         = "docker run, tar piped to tar"
	uncached      = "buildlocal, no cache"
	restored      = "buildlocal, cache restored"
	unchanged     = "buildlocal, cache restored and saved unchanged"
	sandboxPrefix = "engine sandbox: "
)

// produce makes 20,000 files of 10 KB, 200 MB, in 200 directories.
const produce = "mkdir -p out && cd out && for d in $(seq 200); do mkdir $d && head -c 1024000 /dev/urandom | " +
	"split -b 10240 -a 3 -d - $d/f; done"

// artifactArms are W5: files are made in a container and copied out of it, by us and
// by tar at both ends of a docker run.
func (b *bench) artifactArms() []*arm {
	j := job{workload: "W5", commands: []string{produce}, rounds: min(b.rounds, heavyRounds), dir: filepath.Join(b.temp,
		"W5")}
	spec := buildspec(j)
	spec.text += "artifacts:\n  base-directory: out\n  files: ['**/*']\n"
	tarred := j
	tarred.commands = []string{produce, "tar -cf - ."}
	quoted := "'" + strings.ReplaceAll(strings.Join(tarred.commands, "\n"), "'", `'\''`) + "'"
	command := slices.Concat(b.docker(tarred)[:len(b.docker(tarred))-1], []string{quoted})
	arms := []*arm{
		j.arm(piped, config{}, "sh", "-c", "d=$(mktemp -d "+b.temp+"/piped.XXXXXX) && "+strings.Join(command,
			" ")+" | tar -xf - -C $d"),
		b.own(j.arm(buildlocal, spec, b.program, "run", "-C", j.dir, "-i", b.image, "--pull", "never")),
	}
	for _, a := range b.daemonlessArms(j) {
		if a.result.Arm == host || a.result.Arm == sandbox {
			a.config = spec
			arms = append(arms, a)
		}
	}
	return arms
}

// cacheArms are W6: a cache of 30,000 files, 500 MB, which is there and does not
// change. Each engine has one, saved before the runs.
func (b *bench) cacheArms(ctx context.Context) []*arm {
	const fill = "mkdir -p deps && cd deps && for d in $(seq 300); do mkdir $d && head -c 1666600 /dev/urandom | " +
		"split -b 16666 -a 3 -d - $d/f; done"
	var arms []*arm
	for _, engine := range []string{"docker", "sandbox"} {
		arm := func(name, action, command string) *arm {
			if engine == "sandbox" {
				name = sandboxPrefix + name
			}
			j := job{workload: "W6", commands: []string{command}, rounds: b.rounds, dir: filepath.Join(b.temp, "W6", engine,
				action)}
			a := b.as(false, j, name, "run", "-C", j.dir, "-i", b.image, "--pull", "never", "--engine", engine, "--project-name",
				"bench", "--cache", filepath.Join(b.temp, "W6", engine, "cache"))
			a.config.text += "cache:\n  paths: ['deps/**/*']\n"
			switch action {
			case "none":
				a.args, a.config = append(a.args[:len(a.args)-2:len(a.args)-2], "--no-cache"), buildspec(j)
			case "restore":
				a.config.text += "  action: restore\n"
			}
			return a
		}
		first := arm("", "fill", fill)
		if first.result.Absent != "" {
			return append(arms, arm(uncached, "none", "true"))
		}
		err := first.config.write(first.dir)
		if err == nil {
			_, err = first.run(ctx)
		}
		if err != nil {
			fmt.Fprintf(b.stderr, "W6: %v\n", err)
			return arms
		}
		arms = append(arms, arm(uncached, "none", "true"), arm(restored, "restore", "test -e deps/300/f000"), arm(unchanged,
			"both", "test -e deps/300/f000"))
	}
	return arms
}

// more returns how much longer one arm of a workload takes than another, in seconds.
func more(workload, arm, than string) func(*Report) (float64, bool) {
	return func(r *Report) (float64, bool) {
		x, base := r.find(workload, arm), r.find(workload, than)
		if !x.measured() || !base.measured() {
			return 0, false
		}
		return x.Median - base.Median, true
	}
}

// over returns the ratio of an arm of a workload to another.
func over(workload, arm, base string) func(*Report) (float64, bool) {
	return func(r *Report) (float64, bool) {
		x, y := r.find(workload, arm), r.find(workload, base)
		if !x.measured() || !y.measured() {
			return 0, false
		}
		return x.Median / y.Median, true
	}
}
