package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
)

// job is the work that all arms of a workload do.
type job struct {
	workload string
	commands []string
	source   bool   // the build needs the files of dir, which is more than configuration
	lines    int    // minimum number of lines of output
	rounds   int    // for buildlocal and docker run
	dir      string // has the source and the configuration of every program
}

const (
	echoes   = 200
	logLines = 1_000_000
	// Lines have about 80 bytes with their newline, so the log has 80 MB.
	generator = "seq -f 'line %.0f of a long log, with more text so that it is about eighty bytes wide' 1000000"
)

// prepare creates the directories of the selected workloads and returns their arms in
// groups, whose arms take turns. Heavy workloads are separate groups: after a run of W4, for
// example, the daemon and the disk are still busy, which would slow down the arm that is
// next.
func (b *bench) prepare(ctx context.Context) ([][]*arm, error) {
	heavy := min(b.rounds, maxHeavyRounds)
	var light, long, files, kept, nested, unpacking []*arm
	if err := b.prepareDaemonless(ctx); err != nil {
		return nil, err
	}
	for _, name := range workloadNames {
		if !slices.Contains(b.only, name) {
			continue
		}
		switch name {
		case "W1":
			light = append(light, b.arms(job{workload: "W1", commands: []string{"true"}, rounds: b.rounds})...)
		case "W2":
			light = append(light, b.arms(job{workload: "W2", commands: echoCommands(), lines: echoes, rounds: b.rounds})...)
		case "W3":
			arms, err := b.sourceArms(ctx)
			if err != nil {
				return nil, err
			}
			light = append(light, arms...)
		case "W4":
			j := job{workload: "W4", commands: []string{generator}, lines: logLines, rounds: heavy}
			long = slices.Concat(b.arms(j), b.logArms(j))
		case "W5":
			files = b.artifactArms()
		case "W6":
			kept = b.cacheArms(ctx)
		case "W7":
			nested = b.nestedArms(ctx)
		case "startup":
			light = append(light, b.startupArms()...)
		case "unpack":
			unpacking = b.unpackArms(ctx)
		}
	}
	// Each program has its own file name, so all arms of a job share one directory.
	groups := [][]*arm{light, long, files, kept, nested, unpacking}
	for _, a := range slices.Concat(groups...) {
		if a.result.Absent != "" {
			continue
		}
		if err := a.config.write(a.dir); err != nil {
			return nil, err
		}
	}
	return groups, nil
}

// echoCommands returns the commands of W2, which measures the cost of a command.
func echoCommands() []string {
	var commands []string
	for i := range echoes {
		commands = append(commands, fmt.Sprintf("echo %d", i+1))
	}
	return commands
}

// sourceArms returns the arms of W3, once for a Git repository and once for a plain
// directory: buildlocal lists the files of a repository with git, and others by itself.
func (b *bench) sourceArms(ctx context.Context) ([]*arm, error) {
	var arms []*arm
	for _, s := range sources {
		dir, err := s.make(ctx, b.cache, b.stderr)
		if err != nil {
			return nil, fmt.Errorf("create the source of %s: %w", s.workload, err)
		}
		arms = append(arms, b.arms(job{
			workload: s.workload, commands: []string{sourceCommand}, source: true, rounds: b.rounds, dir: dir,
		})...)
	}
	return arms, nil
}

// config is the configuration file of one program. The name is slash-separated and relative
// to the job's directory, or empty for a program that has no configuration.
type config struct {
	name, text string
}

// write writes the file, unless it already has this content. In a source that is a git
// repository, a new mtime would make git and buildlocal read the file again.
func (c config) write(dir string) error {
	if c.name == "" {
		return nil
	}
	path := filepath.Join(dir, filepath.FromSlash(c.name))
	if text, err := os.ReadFile(path); err == nil && string(text) == c.text {
		return nil
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	return os.WriteFile(path, []byte(c.text), 0o644)
}
