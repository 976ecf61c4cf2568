package cmd_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// consoleBlock matches a block of commands and their output.
var consoleBlock = regexp.MustCompile("(?ms)^```console\n(.*?)^```$")

// TestDocs_OutputIsCurrent runs the commands in the console blocks of the README and of docs,
// in a copy of examples, and compares their output. With -update it replaces the output.
// Texts that differ from run to run, such as times, are not compared.
func TestDocs_OutputIsCurrent(t *testing.T) {
	needEngine(t)
	bin := t.TempDir()
	build := exec.Command("go", "build", "-o", filepath.Join(bin, "buildlocal"), "..")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("build: %v\n%s", err, out)
	}
	files, err := filepath.Glob("../docs/*.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range append(files, "../README.md") {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		dir := filepath.Join(t.TempDir(), "examples")
		if err := os.CopyFS(dir, os.DirFS("../examples")); err != nil {
			t.Fatal(err)
		}
		os.RemoveAll(filepath.Join(dir, "hello", ".buildlocal"))
		from := dir
		if filepath.Base(file) == "README.md" { // whose reader is at the top
			from = filepath.Dir(dir)
		}
		run := func(block string) string { return runBlock(t, block, from, bin) }
		got := consoleBlock.ReplaceAllStringFunc(string(text), run)
		if *update {
			if normalizeOutput(string(text)) != normalizeOutput(got) {
				err = os.WriteFile(file, []byte(got), 0o644)
			}
			if err != nil {
				t.Fatal(err)
			}
			continue
		}
		if diff := cmp.Diff(normalizeOutput(string(text)), normalizeOutput(got)); diff != "" {
			t.Errorf("%s: go test ./cmd -run TestDocs -update regenerates it\n%s", file, diff)
		}
	}
}

// runBlock runs the commands of a block and returns the block with their output.
func runBlock(t *testing.T, block, dir, bin string) string {
	t.Helper()
	var b strings.Builder
	b.WriteString("```console\n")
	for _, line := range strings.Split(block, "\n") {
		if !strings.HasPrefix(line, "$ ") || !strings.Contains(line, "buildlocal ") {
			continue // old output
		}
		command := strings.TrimPrefix(line, "$ ")
		c := exec.Command("sh", "-c", "{ "+command+"\n} 2>&1")
		c.Dir = dir
		c.Env = append(
			os.Environ(),
			"PATH="+bin+":"+os.Getenv("PATH"),
			"CI=", "GITHUB_ACTIONS=", "GITLAB_CI=", // a reader is no CI job
			"USER=you",
			"NO_COLOR=1",
			"XDG_CACHE_HOME="+filepath.Join(filepath.Dir(dir), ".cache"),
		)
		out, _ := c.Output() // many examples fail on purpose
		b.WriteString(line + "\n" + strings.ReplaceAll(string(out), strings.TrimSuffix(dir, "/examples"), "/home/you"))
	}
	return b.String() + "```"
}

// variable has the texts that differ from run to run, and their replacements.
var variable = []struct {
	pattern *regexp.Regexp
	with    string
}{
	{regexp.MustCompile(`(?m)^  here: .*$`), "  here: IMAGES"}, // those of the engine
	// These lines exist only if the phase or a command takes long enough.
	{regexp.MustCompile(`(?m)^  FINALIZING +[0-9.hms]+  SUCCEEDED\n`), ""},
	{regexp.MustCompile(`(?m)^(  slowest)? +[0-9.hms]+s  .*\n`), ""},
	{regexp.MustCompile(` · (DOWNLOAD_SOURCE|UPLOAD_ARTIFACTS|FINALIZING) [0-9.hms]+`), ""},
	{regexp.MustCompile(`(?m)^[a-z_]+(:finally)?:\d+ +✓ [0-9.hms]+ *\n`), ""},
	{regexp.MustCompile(` +[0-9.]+ [MG]iB at most, .* of CPU`), ""}, // only if a phase used much
	{regexp.MustCompile(`\d{4}/\d\d/\d\d \d\d:\d\d:\d\d\.\d{6}`), "TIME"},
	{regexp.MustCompile(`\d{4}-\d\d-\d\dT[0-9:.]+Z`), "TIME"},
	{regexp.MustCompile(`\d{4}-\d\d-\d\d \d\d:\d\d:\d\d`), "TIME"},
	{regexp.MustCompile(`-[0-9a-f]{8}/\d+ +`), "-ID/N "},
	{regexp.MustCompile(`(?m)^CACHE +KEY`), "CACHE KEY"}, // the width depends on the names
	{regexp.MustCompile(`src\d+`), "srcN"},
	{regexp.MustCompile(`[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}`), "UUID"},
	{regexp.MustCompile(`builds/(\d+)-[0-9a-f]{8}`), "builds/$1-ID"},
	{regexp.MustCompile(`( *)\b(\d+[hm])*\d+(\.\d+)?(ms|s)\b( *)`), " TIME "},
	{regexp.MustCompile(`INITIATOR=\S+`), "INITIATOR=YOU"},
	{regexp.MustCompile(`took [0-9.]+ seconds`), "took TIME"},
	{regexp.MustCompile(`START_TIME=\d+`), "START_TIME=TIME"},
	{regexp.MustCompile(`"durationInMilliseconds":\d+`), `"durationInMilliseconds":N`},
	{regexp.MustCompile(`(?m)^  slowest .*\n(^ {20}.*\n)*`), ""},
}

// normalizeOutput replaces texts that differ from run to run.
func normalizeOutput(text string) string {
	for _, p := range variable {
		text = p.pattern.ReplaceAllString(text, p.with)
	}
	return text
}
