package repro_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/buildlocal/buildlocal/project"
	"github.com/buildlocal/buildlocal/repro"
	"github.com/buildlocal/buildlocal/runner"
)

// red returns a build here that failed at a command of BUILD.
func red(command string, exit int) *runner.Record {
	return &runner.Record{
		Status:   runner.Failed,
		Commands: []runner.CommandRecord{{Phase: runner.Build, Text: command, Exit: exit}},
		Failures: []runner.Failure{{Command: 0}},
	}
}

func TestCompare_Verdicts(t *testing.T) {
	t.Parallel()
	inBuild := project.BuildFailure{Phase: "BUILD", Command: "npm test", Exit: 3}
	noStatus := project.BuildFailure{Phase: "BUILD", Command: "npm ci"}
	green := &runner.Record{Status: runner.Succeeded}
	inInstall := red("npm test", 3)
	inInstall.Commands[0].Phase = runner.Install
	noImage := &runner.Record{Status: runner.Fault, Phases: []runner.PhaseRecord{
		{Type: runner.Submitted, Status: runner.Succeeded}, {Type: runner.Provisioning, Status: runner.Fault}}}
	for name, tt := range map[string]struct {
		status  string
		failure project.BuildFailure
		here    *runner.Record
		want    string
	}{
		"the same":         {"FAILED", inBuild, red("npm test\n", 3), repro.Reproduced},
		"another status":   {"FAILED", inBuild, red("npm test", 1), repro.FailsOtherwise},
		"another command":  {"FAILED", inBuild, red("npm ci", 3), repro.FailsOtherwise},
		"another phase":    {"FAILED", inBuild, inInstall, repro.FailsOtherwise},
		"green here":       {"FAILED", inBuild, green, repro.PassesHere},
		"only the phase":   {"FAILED", project.BuildFailure{Phase: "BUILD"}, red("npm ci", 9), repro.Reproduced},
		"unknown status":   {"FAILED", noStatus, red("npm ci", 9), repro.Reproduced},
		"fault":            {"FAILED", inBuild, noImage, repro.FailsOtherwise},
		"both green":       {"SUCCEEDED", project.BuildFailure{}, green, repro.Reproduced},
		"green, fails now": {"SUCCEEDED", project.BuildFailure{}, red("npm test", 3), repro.FailsOtherwise},
	} {
		c := repro.Case{Build: project.Build{ID: "shop:1", Status: tt.status}, Failure: tt.failure}
		if got := repro.Compare(c, tt.here); got.Verdict != tt.want || got.Of != "shop:1" {
			t.Errorf("%s: %+v, want %s", name, got, tt.want)
		}
	}
	got := repro.Compare(repro.Case{Build: project.Build{Status: "FAILED"}, Failure: inBuild}, red("a\nb", 1))
	if got.There != "FAILED in BUILD: npm test, exit status 3" || got.Here != "FAILED in BUILD: a …, exit status 1" {
		t.Errorf("%+v", got)
	}
}

func TestCompare_Differences(t *testing.T) {
	t.Parallel()
	p := project.Project{
		SourceVersion: "pr/4", ServiceRole: "arn:aws:iam::123456789012:role/path/builder",
		Source: project.Source{FetchSubmodules: true}, Secondary: []project.Source{{Identifier: "lib"}},
		Cache:       project.Cache{Type: "S3"},
		FileSystems: []project.FileSystem{{Identifier: "data"}},
		Environment: project.Environment{
			Type: "ARM_CONTAINER", ComputeType: "BUILD_GENERAL1_SMALL", Image: "aws/codebuild/standard:7.0",
			Variables: []project.Variable{
				{Name: "TOKEN", Type: project.SecretsManager}, {Name: "A", Type: project.Plaintext},
			},
		},
	}
	c := repro.Case{Tree: "the directory as it is now", Build: project.Build{
		Status: "FAILED", VPC: "vpc-1", Project: p, Start: time.Date(2026, 7, 4, 0, 0, 0, 0, time.UTC)}}
	r := &runner.Record{
		Status: runner.Succeeded, ByHand: []runner.HandChange{{Kind: runner.HandSet}},
		Environment: runner.Environment{
			Image: p.Environment.Image, ImageID: "sha256:0123456789abcdef", ImagePlatform: "linux/amd64",
		},
		Commands: []runner.CommandRecord{{Used: &runner.Used{PeakMemory: 5 << 30}}},
	}
	got := repro.Compare(c, r).Differences
	for i, want := range []string{
		"you changed the build here: 1 variable set", "the source is the directory as it is now",
		"aws/codebuild/standard:7.0 may have changed since 2026-07-04", "VPC vpc-1 is not emulated",
		"the values of TOKEN are those of this machine", "CODEBUILD_WEBHOOK_* are missing",
		"the service role builder is not assumed", "no cache is used here", "memory: BUILD_GENERAL1_SMALL has ",
		"architecture: linux/amd64 here, linux/arm64 in CodeBuild", "not mounted: data",
		"secondary sources", "submodules are those",
		"time of day",
	} {
		if i >= len(got) || !strings.HasPrefix(got[i], want) {
			t.Fatalf("difference %d is not %q in %q", i, want, got)
		}
	}
	alike := repro.Case{Build: project.Build{Project: project.Project{Environment: project.Environment{Image: "a"}}}}
	got = repro.Compare(alike, &runner.Record{Environment: runner.Environment{Image: "a"}}).Differences
	if len(got) != 1 || slices.Contains(got, "") {
		t.Errorf("builds that are alike: %q", got)
	}
}
