package runner_test

import (
	"fmt"
	"io"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/buildlocal/buildlocal/engine/enginetest"
	"github.com/buildlocal/buildlocal/project"
	"github.com/buildlocal/buildlocal/runner"
)

func TestRecord_Failures(t *testing.T) {
	t.Parallel()
	const spec = `version: 0.2
env: {parameter-store: {SECRET: /s}}
phases:
  build:
    commands:
      - make all # s3cret
      - not reached
  post_build:
    commands: [absent]
`
	fake := &enginetest.Fake{Do: func(text string, output io.Writer) int {
		switch {
		case strings.Contains(text, "make all"):
			fmt.Fprint(output, "fine\nmain.c:3:1: error: no s3cret here\n\nmore\n")
			return 2
		case strings.Contains(text, "absent"):
			fmt.Fprint(output, "script.sh: 4: absent: not found\n")
			return 127
		}
		return 0
	}}
	plan := planOf(t, spec, func(in *runner.Inputs) {
		in.Overrides = []runner.Override{{Origin: "-e", Variables: []project.Variable{{Name: "SECRET", Value: "s3cret"}}}}
	})
	var described runner.Status
	record, _, err := play(t, t.Context(), fake, plan, func(r *runner.Runner) {
		r.Describe = func(r *runner.Record) {
			described = r.Status
			r.Commit = &runner.Commit{Subject: "do not print s3cret"}
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	want := []runner.Failure{
		{
			Command: 0, Explanation: runner.Explanation{
				File: "buildspec.yml", Line: 6, Column: 9, Width: 8, First: 4,
				Excerpt: []string{"  build:", "    commands:", "      - make all # ***", "      - not reached", "  post_build:"},
			},
			Output: []runner.OutputLine{
				{Offset: 5, Text: "main.c:3:1: error: no *** here", Error: true}, {Offset: 37, Text: "more"},
			},
		},
		{
			Command: 1, Explanation: runner.Explanation{
				File: "buildspec.yml", Line: 9, Column: 16, Width: 6, First: 7,
				Excerpt: []string{"      - not reached", "  post_build:", "    commands: [absent]"},
				Cause:   "absent: not found",
				Hint:    "install absent in the install phase, or use an image that has it",
				Hints:   []string{"hint: install absent in the install phase, or use an image that has it"},
			},
			Output: []runner.OutputLine{{Text: "script.sh: 4: absent: not found", Error: true}},
		},
	}
	if diff := cmp.Diff(want, record.Failures); diff != "" {
		t.Error(diff)
	}
	if record.Commit.Subject != "do not print ***" || described != runner.Failed {
		t.Errorf("described %s: %+v", described, record.Commit)
	}
	if c := record.Commands[1]; c.Start.Before(record.Start) || c.Attempt != 1 {
		t.Errorf("%+v", c)
	}
}
