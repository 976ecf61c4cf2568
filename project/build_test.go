package project_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/buildlocal/buildlocal/project"
)

// awsBuild is a build as batch-get-builds prints it, with some fields of no effect.
const awsBuild = `{
  "id": "shop:0a1b", "arn": "arn:aws:codebuild:eu-west-1:123456789012:build/shop:0a1b", "buildNumber": 7,
  "startTime": "2026-11-02T10:00:00.5+01:00", "buildStatus": "FAILED", "sourceVersion": "pr/4",
  "resolvedSourceVersion": "0123456789012345678901234567890123456789", "projectName": "shop",
  "phases": [{"phaseType": "INSTALL", "phaseStatus": "SUCCEEDED"},
    {"phaseType": "BUILD", "phaseStatus": "FAILED", "contexts": [{"statusCode": "COMMAND_EXECUTION_ERROR",
      "message": "Error while executing command: npm test. Reason: exit status 3"}]},
    {"phaseType": "COMPLETED"}],
  "source": {"type": "GITHUB", "location": "https://github.com/acme/shop.git", "gitCloneDepth": 1, "new": 1},
  "artifacts": {"location": "arn:aws:s3:::bucket/key", "md5sum": ""}, "cache": {"type": "NO_CACHE"},
  "environment": {"type": "LINUX_CONTAINER", "image": "aws/codebuild/standard:7.0",
    "computeType": "BUILD_GENERAL1_SMALL", "privilegedMode": false, "environmentVariables": [
    {"name": "STAGE", "value": "dev", "type": "PLAINTEXT"},
    {"name": "TOKEN", "value": "/t", "type": "PARAMETER_STORE"}]},
  "logs": {"groupName": "/aws/codebuild/shop", "streamName": "0a1b"}, "timeoutInMinutes": 30,
  "vpcConfig": {"vpcId": "vpc-1"}, "buildComplete": true, "unknown": {"a": [1]}
}`

func TestParseBuild_Record(t *testing.T) {
	t.Parallel()
	b, problems := project.ParseBuild("b.json", []byte(`{"builds": [`+awsBuild+`], "buildsNotFound": []}`), "")
	if len(problems) > 0 {
		t.Fatal(problems)
	}
	wantFailure := project.BuildFailure{Phase: "BUILD", Command: "npm test", Exit: 3,
		Message: "COMMAND_EXECUTION_ERROR: Error while executing command: npm test. Reason: exit status 3"}
	if diff := cmp.Diff(wantFailure, b.Failure("")); diff != "" {
		t.Error(diff)
	}
	got := fmt.Sprint(b.ID, b.Number, b.Status, b.Start.UTC(), b.Resolved[:4], b.VPC, b.LogGroup, b.LogStream,
		b.Project.Name, b.Project.SourceVersion, b.Project.Timeout, b.Project.Environment.Image,
		len(b.Project.Environment.Variables),
		b.Project.Source.Location)
	want := fmt.Sprint("shop:0a1b", 7, "FAILED", time.Date(2026, 11, 2, 9, 0, 0, 5e8, time.UTC), "0123", "vpc-1",
		"/aws/codebuild/shop", "0a1b", "shop", "pr/4", 30*time.Minute, "aws/codebuild/standard:7.0", 2,
		"https://github.com/acme/shop.git")
	if got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}

// event is a "CodeBuild Build State Change", in the format of the user guide.
const event = `{"version": "0", "detail-type": "CodeBuild Build State Change", "source": "aws.codebuild", "detail": {
  "build-status": "FAILED", "project-name": "shop",
  "build-id": "arn:aws:codebuild:us-west-2:123456789012:build/shop:0a1b",
  "additional-information": {"timeout-in-minutes": 60.0, "build-number": 7.0, "build-complete": true,
    "initiator": "me", "build-start-time": "Sep 1, 2026 4:12:29 PM",
    "source-version": "0123456789012345678901234567890123456789",
    "source": {"location": "https://github.com/acme/shop", "type": "GITHUB"},
    "environment": {"image": "aws/codebuild/standard:7.0", "privileged-mode": true,
      "compute-type": "BUILD_GENERAL1_SMALL", "type": "LINUX_CONTAINER",
      "environment-variables": [{"name": "MY-x", "value": "a-b", "type": "PLAINTEXT"},
        {"name": "A_B", "value": "a-b", "type": "PLAINTEXT"}]},
    "logs": {"group-name": "/g", "stream-name": "s", "deep-link": "https://x"},
    "phases": [
      {"phase-context": [": "], "phase-type": "INSTALL", "phase-status": "SUCCEEDED", "duration-in-seconds": 0},
      {"phase-context": ["COMMAND_EXECUTION_ERROR: Error while executing command: make. Reason: exit status 2"],
       "phase-type": "BUILD", "phase-status": "FAILED"}, {"phase-type": "COMPLETED"}]},
  "current-phase": "COMPLETED", "current-phase-context": "[]", "version": "1"}}`

func TestParseBuild_Event(t *testing.T) {
	t.Parallel()
	text := strings.ReplaceAll(event, `{"name": "MY-x", "value": "a-b", "type": "PLAINTEXT"},`, "")
	b, problems := project.ParseBuild("e.json", []byte(text), "")
	if len(problems) > 0 {
		t.Fatal(problems)
	}
	f := b.Failure("")
	if b.ID != "shop:0a1b" || b.Number != 7 || b.Start.Year() != 2026 || !b.Project.Environment.Privileged ||
		b.Project.Environment.Variables[0].Value != "a-b" || b.LogStream != "s" || f.Command != "make" || f.Exit != 2 {
		t.Errorf("%+v\n%+v", b, f)
	}
}

func TestParseBuild_Problems(t *testing.T) {
	t.Parallel()
	green := strings.ReplaceAll(strings.ReplaceAll(awsBuild, "FAILED", "SUCCEEDED"), "shop:0a1b", "shop:green")
	second := strings.ReplaceAll(awsBuild, "shop:0a1b", "shop:second")
	for name, tt := range map[string]struct{ text, id, want string }{
		"empty":       {" \n", "", "the record is empty"},
		"noise":       {strings.Repeat("x", 50<<20), "", "the record has 52428800 bytes"},
		"truncated":   {awsBuild[:400], "", "b.json:"},
		"not found":   {`{"builds": [], "buildsNotFound": ["shop:9"]}`, "", `CodeBuild did not find "shop:9"`},
		"empty list":  {`[]`, "", "the list has no builds"},
		"scalar":      {`"text"`, "", "must be a mapping"},
		"project":     {`{"projects": [{"name": "shop"}]}`, "", "these are projects, not builds"},
		"other JSON":  {`{"a": 1}`, "", "not the record of a build"},
		"several":     {"[" + awsBuild + "," + second + "]", "", "2 builds, of which 2 failed"},
		"unknown ID":  {"[" + awsBuild + "]", "shop:x", `no build "shop:x" in the list`},
		"other event": {`{"detail-type": "EC2", "detail": {}}`, "", "has no record of a build"},
		"odd event": {`{"detail-type": "CodeBuild Build State Change", "detail": {"a": 1}}`, "",
			"no additional-information"},
		"a batch": {`{"buildBatches": [{"buildGroups": [{"currentBuildSummary":
			{"arn": "arn:x/shop:1", "buildStatus": "FAILED"}}]}]}`, "", "--ids shop:1"},
		"wrong source":  {`{"id": "a", "source": []}`, "", "source must be a mapping"},
		"nil elements":  {`{"builds": [null]}`, "", "must be a mapping"},
		"control bytes": {"{\"id\": \"\x01\"}", "", "control character"},
	} {
		_, problems := project.ParseBuild("b.json", []byte(tt.text), tt.id)
		if err := problems.Err(); err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: got %.300v, want %q", name, err, tt.want)
		}
	}
	b, problems := project.ParseBuild("b.json", []byte("["+green+","+awsBuild+"]"), "")
	if len(problems) > 0 || b.ID != "shop:0a1b" {
		t.Errorf("the failed one of two: %s, %v", b.ID, problems)
	}
	if b, _ := project.ParseBuild("b.json", []byte("["+green+","+awsBuild+"]"), "shop:green"); b.ID != "shop:green" {
		t.Errorf("selected: %s", b.ID)
	}
}

func TestBuildFailure_FromLog(t *testing.T) {
	t.Parallel()
	b, _ := project.ParseBuild("b.json", []byte(strings.ReplaceAll(awsBuild, "exit status 3", "exit")), "")
	if f := b.Failure(""); f.Phase != "BUILD" || f.Command != "" {
		t.Errorf("without a log: %+v", f)
	}
	const log = "[Container] 2026/11/02 10:00:01.1 Running command echo a\na\n" +
		"[Container] 2026/11/02 10:00:02.1 Command did not exit successfully set -e\nnpm test exit status 4\n" +
		"[Container] 2026/11/02 10:00:02.1 Phase complete: BUILD State: FAILED\n" +
		"[Container] 2026/11/02 10:00:02.1 Command did not exit successfully later exit status 5\n"
	for _, text := range []string{log, strings.ReplaceAll(log, "\n", "\r\n")} {
		if f := b.Failure(text); f.Command != "set -e\nnpm test" || f.Exit != 4 {
			t.Errorf("with a log: %+v", f)
		}
	}
}

func FuzzParseBuild(f *testing.F) {
	for _, text := range []string{
		awsBuild, event, "[" + awsBuild + "]", `{"builds": []}`, `{"buildBatches": [{}]}`, "{", "a: &a [*a]",
	} {
		f.Add([]byte(text), "")
	}
	f.Fuzz(func(t *testing.T, text []byte, id string) {
		b, problems := project.ParseBuild("b.json", text, id)
		if len(problems) == 0 {
			b.Failure(string(text))
		}
	})
}
