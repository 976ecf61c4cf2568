package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
)

// job is what all arms of a workload are asked to do.
type job struct {
	workload string
	commands []string
	source   bool   // dir is a source the build must see, not just configuration
	lines    int    // of output, at least
	rounds   int    // of buildlocal and docker run
	dir      string // holds the source and every program's configuration
}

const (
	echoes   = 200
	logLines = 1_000_000
	// With the line's end about 80 bytes, so 80 MB in all.
	generator = "seq -f 'line %.0f of a long log, with more text so that it is about eighty bytes wide' 1000000"
)

// prepare makes the folders of the chosen workloads and returns their arms, in
// groups. Those of a group take turns. W4 is alone: what it leaves the engine
// and the disk to do would be charged to its neighbour.
func (b *bench) prepare(ctx context.Context) ([][]*arm, error) {
	heavy := min(b.rounds, heavyRounds)
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

func echoCommands() []string {
	var commands []string
	for i := range echoes {
		commands = append(commands, fmt.Sprintf("echo %d", i+1))
	}
	return commands
}

func (b *bench) sourceArms(ctx context.Context) ([]*arm, error) {
	var arms []*arm
	for _, s := range sources {
		dir, err := s.make(ctx, b.cache, b.stderr)
		if err != nil {
			return nil, fmt.Errorf("make the source of %s: %w", s.workload, err)
		}
		arms = append(arms, b.arms(job{
			workload: s.workload, commands: []string{sourceCommand}, source: true, rounds: b.rounds, dir: dir,
		})...)
	}
	return arms, nil
}

// config is the configuration file of one program.
type config struct {
	name, text string
}

// write leaves a file alone that already says the same: in a source that is a
// git repository it must not look touched.
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
