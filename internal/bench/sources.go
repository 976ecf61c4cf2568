package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

const (
	folders        = 500
	filesPerFolder = 100
	ignoredFiles   = 500
	fileSize       = 4096
	// sourceCommand fails where the source did not arrive.
	sourceCommand = "ls folder-500/file-100.txt >/dev/null"
)

// source is a tree of many small files, made once and kept. A change of what is
// in it needs a new name for folder.
type source struct {
	workload string
	folder   string
	git      bool // a repository with everything committed, and ignored files
}

var sources = []source{
	{"W3 git", "source-git-1", true},
	{"W3 plain", "source-plain-1", false},
}

// make returns the directory of the source. A tree gets its name when it is
// complete: one cut short is removed, and never used.
func (s source) make(ctx context.Context, cache string, stderr io.Writer) (string, error) {
	dir := filepath.Join(cache, s.folder)
	if _, err := os.Stat(dir); err == nil {
		return dir, s.printSize(dir, stderr)
	}
	if err := os.MkdirAll(cache, 0o755); err != nil {
		return "", err
	}
	partial, err := os.MkdirTemp(cache, s.folder+"-partial-")
	if err != nil {
		return "", err
	}
	defer os.RemoveAll(partial)
	fmt.Fprintf(stderr, "%s: making %d files in %s\n", s.workload, folders*filesPerFolder, dir)
	if err := s.fill(ctx, partial); err != nil {
		return "", err
	}
	if err := errors.Join(os.Chmod(partial, 0o755), os.Rename(partial, dir)); err != nil {
		return "", err
	}
	return dir, s.printSize(dir, stderr)
}

func (s source) fill(ctx context.Context, dir string) error {
	if err := buildspec(job{commands: []string{sourceCommand}}).write(dir); err != nil {
		return err
	}
	for i := range folders {
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		if err := fillFolder(filepath.Join(dir, fmt.Sprintf("folder-%03d", i+1)), filesPerFolder); err != nil {
			return err
		}
	}
	if !s.git {
		return nil
	}
	if err := fillFolder(filepath.Join(dir, "ignored"), ignoredFiles); err != nil {
		return err
	}
	return commit(ctx, dir)
}

func fillFolder(dir string, files int) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	text := make([]byte, 0, 2*fileSize)
	for i := range files {
		text = text[:0]
		for line := 1; len(text) < fileSize; line++ {
			text = fmt.Appendf(text, "line %d of file %d in %s\n", line, i+1, filepath.Base(dir))
		}
		name := filepath.Join(dir, fmt.Sprintf("file-%03d.txt", i+1))
		if err := os.WriteFile(name, text[:fileSize], 0o644); err != nil {
			return err
		}
	}
	return nil
}

// commit makes a repository of dir. Files that the programs under test write
// are ignored, and git never tidies up while something is measured.
func commit(ctx context.Context, dir string) error {
	ignore := "/ignored/\n/.github/\n/.gitlab-ci.yml\n/.woodpecker.yaml\n/" + strings.Join(leftovers, "/\n/") + "/\n"
	if err := os.WriteFile(filepath.Join(dir, ".gitignore"), []byte(ignore), 0o644); err != nil {
		return err
	}
	for _, args := range [][]string{
		{"init", "--quiet", "--initial-branch=main"},
		{"config", "gc.auto", "0"},
		{"config", "maintenance.auto", "false"},
		{"add", "--all"},
		{"-c", "user.name=bench", "-c", "user.email=bench@example.com", "commit", "--quiet", "--message=source"},
		{"gc", "--quiet"}, // one pack, as a clone has
		{"status", "--porcelain"},
	} {
		cmd := exec.CommandContext(ctx, "git", args...)
		cmd.Dir = dir
		cmd.Env = append(cmd.Environ(), "GIT_CONFIG_GLOBAL="+os.DevNull, "GIT_CONFIG_NOSYSTEM=1")
		if out, err := cmd.CombinedOutput(); err != nil {
			return fmt.Errorf("git %s: %w\n%s", args[0], err, out)
		}
	}
	return nil
}

// printSize prints the size of the source.
func (s source) printSize(dir string, stderr io.Writer) error {
	var files, bytes int64
	err := filepath.WalkDir(dir, func(_ string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		info, err := entry.Info()
		if err != nil {
			return err
		}
		files++
		bytes += info.Size()
		return nil
	})
	fmt.Fprintf(stderr, "%s: %s, %d files, %d MB; kept for the next run, -clean removes it\n",
		s.workload, dir, files, bytes/1e6)
	return err
}
