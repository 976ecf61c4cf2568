package cmd_test

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/buildlocal/buildlocal/cmd"
)

// event has the fields that programs read from the JSON.
type event struct {
	Version int    `json:"version"`
	Event   string `json:"event"`
	Time    string `json:"time"`
	Phase   string `json:"phase"`
	Text    string `json:"text"`
	Line    int    `json:"line"`
	Exit    *int   `json:"exitStatus"`
	Output  string `json:"output"`
	Bytes   []byte `json:"outputBase64"`
	Status  string `json:"status"`
	Build   *struct {
		Status string `json:"buildStatus"`
	} `json:"build"`
}

const noisyBuild = `version: 0.2
phases:
  build:
    commands:
      - printf 'plain\n'
      - printf '\377\376 binary \000'
      - printf 'split \303'; sleep 0.1; printf '\244 \033[31m\n'
      - printf '{"version":7}\n\r\r\n'
      - printf 'cut off \342\202'
      - exit 9
`

func TestJSON_EachLineIsAnEvent(t *testing.T) {
	t.Parallel()
	needEngine(t)
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "buildspec.yml"), []byte(noisyBuild), 0o644); err != nil {
		t.Fatal(err)
	}
	app, stdout, stderr := newApp(t, nil)
	exit := cmd.Main(
		t.Context(),
		[]string{"run", "-C", dir, "--format", "json", "--pull", "never", "-i", "buildlocal-test/base"},
		app,
	)
	if exit != 1 || stderr.Len() > 0 {
		t.Errorf("exit code %d, want 1; on stderr %q, want nothing", exit, stderr)
	}
	events := readEvents(t, stdout.String())
	var printed bytes.Buffer
	for _, e := range events {
		printed.WriteString(e.Output)
		printed.Write(e.Bytes)
		if len(e.Bytes) > 0 && utf8.Valid(e.Bytes) {
			t.Errorf("%q is text and written as base64", e.Bytes)
		}
	}
	want := "plain\n\xff\xfe binary \x00split ä \x1b[31m\n{\"version\":7}\n\r\r\ncut off \xe2\x82"
	if got := printed.String(); got != want {
		t.Errorf("the output in the events is\n%q, want\n%q", got, want)
	}
	checkEnd(t, events)
}

// readEvents parses each line, which has to be one event.
func readEvents(t *testing.T, text string) []event {
	t.Helper()
	if !strings.HasSuffix(text, "\n") {
		t.Error("the last line does not end")
	}
	var events []event
	for line := range strings.Lines(text) {
		var e event
		if err := json.Unmarshal([]byte(line), &e); err != nil {
			t.Fatalf("%q: %v", line, err)
		}
		if e.Version != 1 || e.Event == "" || e.Time == "" {
			t.Errorf("%q: want version 1, an event and a time", line)
		}
		events = append(events, e)
	}
	return events
}

// checkEnd checks the facts that programs need first: which command failed, and how the
// build ended.
func checkEnd(t *testing.T, events []event) {
	t.Helper()
	var failed, ended event
	for _, e := range events {
		if e.Event == "command_ended" && *e.Exit != 0 {
			failed = e
		}
		ended = e
	}
	if failed.Text != "exit 9" || failed.Line != 10 || failed.Phase != "BUILD" {
		t.Errorf(
			"the failed command is %q of line %d in %s, want exit 9 of line 10 in BUILD",
			failed.Text,
			failed.Line,
			failed.Phase,
		)
	}
	if ended.Event != "build_ended" || ended.Status != "FAILED" || ended.Build == nil || ended.Build.Status != "FAILED" {
		t.Errorf("the last event is %+v, want a failed build's end", ended)
	}
}
