package cmd_test

import (
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/rogpeppe/go-internal/txtar"

	"github.com/buildlocal/buildlocal/builds"
	"github.com/buildlocal/buildlocal/cmd"
	"github.com/buildlocal/buildlocal/cmd/cli"
	buildconsole "github.com/buildlocal/buildlocal/console"
	"github.com/buildlocal/buildlocal/engine/docker"
	"github.com/buildlocal/buildlocal/local"
	"github.com/buildlocal/buildlocal/reports"
	"github.com/buildlocal/buildlocal/runner"
)

var update = flag.Bool("update", false, "rewrite the golden files")

// needEngine skips a test if Docker cannot be reached, or fails it if
// BUILDLOCAL_REQUIRE_ENGINE is set.
func needEngine(t *testing.T) {
	t.Helper()
	e, err := docker.Connect(docker.Options{Host: os.Getenv("DOCKER_HOST"), Home: os.Getenv("HOME")})
	if err == nil {
		err = e.Ping(t.Context())
	}
	if err != nil && os.Getenv("BUILDLOCAL_REQUIRE_ENGINE") == "" {
		t.Skipf("no Docker engine: %v", err)
	}
	if err != nil {
		t.Fatal(err)
	}
}

// newApp returns an App with the variables of the engine and the given ones, and its output.
func newApp(t *testing.T, variables map[string]string) (*cli.App, *bytes.Buffer, *bytes.Buffer) {
	t.Helper()
	var stdout, stderr bytes.Buffer
	a := &cli.App{Stdout: &stdout, Stderr: &stderr, Version: "test"}
	a.Host = local.Host{
		Stdin: strings.NewReader(""), Now: time.Now, Home: t.TempDir(),
		TempDir: t.TempDir(), Hostname: "host", User: "tester", UID: os.Getuid(), PID: os.Getpid(),
		LookupEnv: func(name string) (string, bool) {
			if name == "DOCKER_HOST" {
				return os.LookupEnv(name)
			}
			value, given := variables[name]
			return value, given
		},
	}
	return a, &stdout, &stderr
}

// TestConformance runs the table of small builds in testdata/conformance. Each file is a
// txtar archive: its comment describes the behavior and how it is known (documented,
// observed, or chosen here); the files named want/* are the expected results, flags is the
// command line, and the other files are the source.
func TestConformance(t *testing.T) {
	t.Parallel()
	for name, file := range cases(t) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			needEngine(t)
			conform(t, file)
		})
	}
}

// cases returns the files of the table, by name.
func cases(t *testing.T) map[string]string {
	t.Helper()
	files, err := filepath.Glob("../testdata/conformance/*.txtar")
	if err != nil || len(files) < 60 {
		t.Fatalf("found %d cases, want at least 60: %v", len(files), err)
	}
	all := map[string]string{}
	for _, file := range files {
		all[strings.TrimSuffix(filepath.Base(file), ".txtar")] = file
	}
	return all
}

// origins are the ways in which a behavior can be known.
var origins = regexp.MustCompile(`(?m)^(Documented|Observed|Chosen): \S`)

func conform(t *testing.T, file string) { conformOn(t, file, "docker", nil) }

// nearby matches the lines about buildspecs nearby, whose paths depend on the current directory.
var nearby = regexp.MustCompile(`(?m)^  .* buildlocal run -C .*\n`)

// conformOn runs a case on an engine, with additional environment variables.
func conformOn(t *testing.T, file, engine string, variables map[string]string) {
	t.Helper()
	archive, err := txtar.ParseFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if !origins.Match(archive.Comment) {
		t.Errorf("the comment says nowhere from where the fact is known: a line Documented:, Observed: or Chosen:")
	}
	dir := filepath.Join(t.TempDir(), "project")
	if variables["XDG_CACHE_HOME"] == "" {
		variables = map[string]string{"XDG_CACHE_HOME": t.TempDir()}
	}
	run := func(a *txtar.Archive) (int, string, string) {
		args := unpackCase(t, a, dir)
		if engine == "host" {
			args = withoutImage(t, args)
		} else {
			args = append([]string{"--pull", "never"}, args...)
		}
		app, stdout, stderr := newApp(t, variables)
		args = append([]string{"run", "-C", dir, "--format", "service", "--engine", engine}, args...)
		exit := cmd.Main(t.Context(), args, app)
		return exit, stdout.String(), stderr.String()
	}
	if earlier := earlierBuild(archive); earlier != nil {
		if exit, _, stderr := run(earlier); exit > 1 {
			t.Fatalf("the earlier build: exit %d: %s", exit, stderr)
		}
		clearCase(t, dir)
	}
	exit, stdout, stderr := run(archive)
	got := map[string]string{
		"want/exit": fmt.Sprintf("%d\n", exit),
		"want/log":  normal(stdout, dir),
	}
	build := outcome(t, dir)
	// Notes and hints about a build that ran are of no concern to the service.
	if text := nearby.ReplaceAllString(normal(stderr, dir), ""); text != "" && build == "" {
		got["want/stderr"] = text
	}
	if names := outputs(t, dir); names != "" {
		got["want/files"] = names
	}
	if text := reported(t, dir); text != "" {
		got["want/reports"] = text
	}
	if build != "" {
		got["want/build"] = build
	}
	compareCase(t, file, archive, got)
}

// earlierBuild returns the case of a build that runs before the one that is compared: the
// files below earlier/, or nil if there are no such files.
func earlierBuild(archive *txtar.Archive) *txtar.Archive {
	var earlier txtar.Archive
	for _, f := range archive.Files {
		if name, is := strings.CutPrefix(f.Name, "earlier/"); is {
			earlier.Files = append(earlier.Files, txtar.File{Name: name, Data: f.Data})
		}
	}
	if len(earlier.Files) == 0 {
		return nil
	}
	return &earlier
}

// clearCase removes the source of an earlier build.
func clearCase(t *testing.T, dir string) {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		if e.Name() == ".buildlocal" {
			continue
		}
		if err := os.RemoveAll(filepath.Join(dir, e.Name())); err != nil {
			t.Fatal(err)
		}
	}
}

// withoutImage removes the image that most cases use from the flags. It skips cases with
// another image.
func withoutImage(t *testing.T, args []string) []string {
	t.Helper()
	at := slices.Index(args, "buildlocal-test/base")
	if at < 1 || args[at-1] != "-i" {
		t.Skip("it names an image of its own")
	}
	return slices.Delete(slices.Clone(args), at-1, at+1)
}

// unpackCase writes the source of a case and returns its flags.
func unpackCase(t *testing.T, archive *txtar.Archive, dir string) []string {
	t.Helper()
	args := []string{"-i", "buildlocal-test/base"}
	for _, f := range archive.Files {
		if f.Name == "flags" {
			args = nil
			for _, line := range strings.Split(strings.TrimSpace(string(f.Data)), "\n") {
				args = append(args, strings.ReplaceAll(line, "$DIR", dir))
			}
			continue
		}
		if strings.HasPrefix(f.Name, "want/") || strings.HasPrefix(f.Name, "earlier/") {
			continue
		}
		name := filepath.Join(dir, f.Name)
		mode := os.FileMode(0o644)
		if bytes.HasPrefix(f.Data, []byte("#!")) {
			mode = 0o755
		}
		if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(name, f.Data, mode); err != nil {
			t.Fatal(err)
		}
		if err := os.Chmod(name, mode); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := os.Stat(filepath.Join(dir, "git")); err == nil {
		gitCase(t, dir)
	}
	return args
}

// gitCase makes the source a repository with one commit. The file git has the URL of its
// remote; it may be empty.
func gitCase(t *testing.T, dir string) {
	t.Helper()
	remote, _ := os.ReadFile(filepath.Join(dir, "git"))
	script := `rm git && git init -q -b main . && git add -A && git commit -q -m one`
	if url := strings.TrimSpace(string(remote)); url != "" {
		script += " && git remote add origin " + url
	}
	c := exec.Command("sh", "-c", script)
	c.Dir = dir
	c.Env = append(
		os.Environ(),
		"GIT_CONFIG_GLOBAL=/dev/null",
		"GIT_AUTHOR_NAME=a",
		"GIT_AUTHOR_EMAIL=a@b",
		"GIT_COMMITTER_NAME=a",
		"GIT_COMMITTER_EMAIL=a@b",
		"GIT_AUTHOR_DATE=2020-01-01T00:00:00Z",
		"GIT_COMMITTER_DATE=2020-01-01T00:00:00Z",
	)
	if out, err := c.CombinedOutput(); err != nil {
		t.Fatalf("git: %v\n%s", err, out)
	}
}

var volatile = []struct {
	pattern *regexp.Regexp
	with    string
}{
	{regexp.MustCompile(`(?m)^\[Container\] \d{4}/\d\d/\d\d \d\d:\d\d:\d\d\.\d{6} `), "[Container] "},
	{regexp.MustCompile(`/codebuild/output/src\d+`), "/codebuild/output/srcN"},
	{regexp.MustCompile(`[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}`), "UUID"},
	{regexp.MustCompile(`took [0-9.]+ seconds`), "took N seconds"},
}

// normal replaces texts that differ from run to run.
func normal(text, dir string) string {
	text = strings.ReplaceAll(text, dir, "DIR")
	for _, v := range volatile {
		text = v.pattern.ReplaceAllString(text, v.with)
	}
	return text
}

// outcome returns the status and the exported variables of the build.
func outcome(t *testing.T, dir string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(dir, ".buildlocal", "latest", "build.json"))
	if err != nil {
		return ""
	}
	var record runner.Record
	if err := json.Unmarshal(text, &record); err != nil {
		t.Fatal(err)
	}
	lines := string(record.Status) + "\n"
	for _, v := range record.Exported {
		lines += fmt.Sprintf("%s=%q\n", v.Name, v.Value)
	}
	return lines
}

// reported returns the reports of the build: a line for each, followed by its test cases and
// covered files.
func reported(t *testing.T, dir string) string {
	t.Helper()
	set, err := reports.ReadSet(filepath.Join(dir, ".buildlocal", "latest"))
	if err != nil {
		t.Fatal(err)
	}
	var b strings.Builder
	for _, r := range set.Reports {
		fmt.Fprintf(&b, "%s %s %s in %s\n", normal(r.GroupARN, dir), r.Format, r.Status, strings.Join(r.Files, " "))
		for _, c := range r.Cases {
			fmt.Fprintf(&b, "  %s %s %s %s %s %q", c.Status, c.Suite, c.Prefix, c.Name, c.Duration, c.Message)
			if c.Place != nil {
				fmt.Fprintf(&b, " at %s:%d", c.Place.File, c.Place.Line)
			}
			fmt.Fprintln(&b, strings.TrimRight(" "+string(c.Change)+" "+string(c.History), " "))
		}
		for _, c := range r.Coverage {
			fmt.Fprintf(&b, "  %s lines %v branches %v of %s\n", c.Path, c.Lines, c.Branches, c.Place)
		}
		for _, p := range r.Problems {
			fmt.Fprintf(&b, "  %v\n", p)
		}
	}
	return b.String()
}

// outputs lists the files of a build except its log, records and page, with their contents.
func outputs(t *testing.T, dir string) string {
	t.Helper()
	var b strings.Builder
	latest := filepath.Join(dir, ".buildlocal", "latest")
	root, err := filepath.EvalSymlinks(latest)
	if err != nil {
		return ""
	}
	err = filepath.Walk(root, func(path string, info os.FileInfo, err error) error {
		if err != nil || info.IsDir() {
			return err
		}
		rel, _ := filepath.Rel(root, path)
		ours := []string{builds.LogName, builds.LogIndexName, builds.JournalName, "build.json", "artifacts.json",
			reports.SetName, buildconsole.PageName}
		if slices.Contains(ours, rel) {
			return nil
		}
		text, err := os.ReadFile(path)
		fmt.Fprintf(&b, "%s %v %q\n", filepath.ToSlash(rel), info.Mode(), text)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return b.String()
}

// compareCase compares the results with want/* of the archive, or with -update writes them.
func compareCase(t *testing.T, file string, archive *txtar.Archive, got map[string]string) {
	t.Helper()
	want := map[string]string{}
	var kept []txtar.File
	for _, f := range archive.Files {
		if strings.HasPrefix(f.Name, "want/") {
			want[f.Name] = string(f.Data)
			continue
		}
		kept = append(kept, f)
	}
	for name, text := range got {
		if !strings.HasSuffix(text, "\n") {
			got[name] = text + "\n" // as txtar keeps it
		}
	}
	if *update {
		for _, name := range []string{"want/exit", "want/build", "want/files", "want/reports", "want/stderr", "want/log"} {
			if text, has := got[name]; has {
				kept = append(kept, txtar.File{Name: name, Data: []byte(text)})
			}
		}
		archive.Files = kept
		if err := os.WriteFile(file, txtar.Format(archive), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}
