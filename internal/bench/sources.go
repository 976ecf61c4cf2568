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

// The size of a source tree: 50,000 files, about 200 MB.
const (
	folders        = 500
	filesPerFolder = 100
	ignoredFiles   = 500
	fileSize       = 4096
	// sourceCommand fails if the source is not in the container.
	sourceCommand = "ls folder-500/file-100.txt >/dev/null"
)

// source is a tree of many small files. It is created once and kept for later runs, so
// folder must be renamed whenever the content changes.
type source struct {
	workload string
	folder   string
	git      bool // a repository: all files are committed, except for some ignored ones
}

var sources = []source{
	{"W3 git", "source-git-1", true},
	{"W3 plain", "source-plain-1", false},
}

// make returns the directory of the source, and creates it if it is missing. The tree is
// renamed to its final name only when it is complete, so an interrupted run leaves no
// partial tree for the next one.
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
	fmt.Fprintf(stderr, "%s: creating %d files in %s\n", s.workload, folders*filesPerFolder, dir)
	if err := s.fill(ctx, partial); err != nil {
		return "", err
	}
	// MkdirTemp creates directories with mode 0700, but the non-root user reads this one.
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

// fillFolder creates files with different text: git stores equal files as one object.
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

// commit makes dir a repository. Files that the measured programs write are ignored, to
// keep the working tree clean. Background maintenance of git is disabled, because it would
// disturb measurements. The user's configuration, such as hooks or signing, is not used.
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
		{"gc", "--quiet"},         // packs all objects, as in a clone
		{"status", "--porcelain"}, // refreshes the index, which the first measured program would do otherwise
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

// printSize walks the whole source. That also loads its directories into the kernel's
// caches before the first arm runs.
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
