package cmd_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/rogpeppe/go-internal/txtar"

	"github.com/buildlocal/buildlocal/cmd"
	"github.com/buildlocal/buildlocal/internal/diag"
	"github.com/buildlocal/buildlocal/lint"
)

// checksBegin is the line in docs/checks.md after which the text is generated.
const checksBegin = "<!-- The rest of this file is generated: go test ./cmd -run Checks_HaveExamples -update -->\n"

// TestChecks_HaveExamples generates the second half of docs/checks.md from testdata/checks.
// It has an archive for each check with its reason, a bad and a good buildspec. The program
// must report the bad one and accept the good one.
func TestChecks_HaveExamples(t *testing.T) {
	t.Parallel()
	needEngine(t)
	var doc strings.Builder
	for _, severity := range []diag.Severity{diag.Error, diag.Warning, diag.Lint} {
		fmt.Fprintf(&doc, "\n## %ss\n", strings.ToUpper(severity.String()[:1])+severity.String()[1:])
		for _, check := range lint.All() {
			if check.Severity == severity {
				doc.WriteString(describeCheck(t, check))
			}
		}
	}
	const file = "../docs/checks.md"
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	head, old, found := strings.Cut(string(text), checksBegin)
	if !found {
		t.Fatalf("%s lacks the line %s", file, checksBegin)
	}
	if *update {
		if err := os.WriteFile(file, []byte(head+checksBegin+doc.String()), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	if diff := cmp.Diff(old, doc.String()); diff != "" {
		t.Error(diff)
	}
}

func describeCheck(t *testing.T, check diag.Check) string {
	t.Helper()
	archive, err := txtar.ParseFile(filepath.Join("../testdata/checks", check.Name+".txtar"))
	if err != nil {
		t.Fatalf("the check %s has no example: %v", check.Name, err)
	}
	files := map[string]string{"command": "validate"}
	for _, f := range archive.Files {
		files[f.Name] = string(f.Data)
	}
	text := fmt.Sprintf("\n### %s\n\n%s\n\n%s", check.Name, check.Summary, archive.Comment)
	if files["bad.yml"] == "" {
		return text
	}
	command := strings.Fields(files["command"])
	said := shown(t, command, files, files["bad.yml"])
	if !strings.Contains(said, "("+check.Name+")") {
		t.Errorf("%s: its example does not show it:\n%s", check.Name, said)
	}
	if silent := shown(t, command, files, files["good.yml"]); strings.Contains(silent, "("+check.Name+")") &&
		files["good.yml"] != "" {
		t.Errorf("%s: the good example shows it too:\n%s", check.Name, silent)
	}
	text += fmt.Sprintf(
		"\n```yaml\n%s```\n\n```text\n$ buildlocal %s\n%s```\n",
		files["bad.yml"],
		strings.Join(command, " "),
		said,
	)
	if files["good.yml"] != "" {
		text += fmt.Sprintf("\nBetter:\n\n```yaml\n%s```\n", files["good.yml"])
	}
	return text
}

// shown runs a command in a directory with an example's files and returns what it
// prints.
func shown(t *testing.T, command []string, files map[string]string, buildspec string) string {
	t.Helper()
	dir := t.TempDir()
	write := func(name, text string) {
		name, crlf := strings.CutSuffix(filepath.Join(dir, name), ".crlf")
		if crlf {
			text = strings.ReplaceAll(text, "\n", "\r\n")
		}
		if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(name, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	for name, text := range files {
		if name != "command" && name != "bad.yml" && name != "good.yml" {
			write(name, text)
		}
	}
	write("buildspec.yml", buildspec)
	args := append([]string{}, command...)
	for i, arg := range args {
		if arg == "project.json" {
			args[i] = filepath.Join(dir, arg)
		}
	}
	a, stdout, stderr := newApp(t, nil)
	cmd.Main(t.Context(), append(args, "-C", dir), a)
	return strings.NewReplacer(dir+"/", "", " -C "+dir, "").Replace(stdout.String() + stderr.String())
}
