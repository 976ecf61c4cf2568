package runner_test

import (
	"io"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/buildlocal/buildlocal/engine"
	"github.com/buildlocal/buildlocal/engine/enginetest"
	"github.com/buildlocal/buildlocal/project"
	"github.com/buildlocal/buildlocal/reports"
	"github.com/buildlocal/buildlocal/runner"
)

const junit = `<testsuite name="s"><testcase name="good"/><testcase name="s3cret"><failure/></testcase></testsuite>`

func TestReports_GroupsAndDiscovery(t *testing.T) {
	t.Parallel()
	const spec = `version: 0.2
env: {parameter-store: {SECRET: /s}}
phases: {build: {commands: [b]}}
reports:
  unit-s3cret: {files: ['unit/*.xml'], discard-paths: yes}
  broken: {files: [broken.xml]}
  missing: {files: [none.xml]}
`
	fake := &enginetest.Fake{Files: map[string]string{
		sourceDir + "/unit/a.xml": junit, sourceDir + "/broken.xml": "<testsuite", sourceDir + "/more/b.xml": junit + " ",
	}}
	fake.Do = func(text string, output io.Writer) int {
		if strings.Contains(text, "AUTO_DISCOVER") {
			_, _ = io.WriteString(output, "**/*\n./unit/a.xml\n./more/b.xml\n./gone.xml\n")
		}
		return 0
	}
	plan := planOf(t, spec, func(in *runner.Inputs) {
		in.Overrides = []runner.Override{{Origin: "-e", Variables: []project.Variable{{Name: "SECRET", Value: "s3cret"}}}}
	})
	var set *reports.Set
	record, lines, err := play(t, t.Context(), fake, plan, func(r *runner.Runner) {
		r.SourceFiles = func() ([]string, string) { return nil, "print" }
		notify := r.Notify
		r.Notify = func(e runner.Event) {
			if e.Kind == runner.Reported {
				set = e.Reports
			}
			notify(e)
		}
	})
	if err != nil || record.Status != runner.Failed || set == nil {
		t.Fatalf("%s, %v, %+v", record.Status, err, set)
	}
	var got []string
	for _, r := range set.Reports {
		got = append(got, r.Group+" "+string(r.Status)+" "+r.Dir)
	}
	want := []string{
		"demo-unit-*** FAILED reports/unit----", "demo-broken INCOMPLETE reports/broken", "demo-missing INCOMPLETE ",
		"demo-JUNITXML-AutoDiscovered FAILED reports/JUNITXML-AutoDiscovered",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff, lines)
	}
	if len(record.ReportARNs) != len(want) || len(record.Reports) != 3 || record.Reports[0].Report == nil {
		t.Errorf("%d ARNs, reports %+v", len(record.ReportARNs), record.Reports)
	}
	if files := record.Reports[0].Files; len(files) != 1 || files[0].Path != "a.xml" {
		t.Errorf("discard-paths: %+v", files)
	}
	if text := strings.Join(lines, "\n"); strings.Contains(text, "s3cret") {
		t.Errorf("the secret is in %s", text)
	}
}

func TestArtifacts_ZipAndNames(t *testing.T) {
	t.Parallel()
	const spec = `version: 0.2
phases: {build: {commands: [b]}}
artifacts:
  files: ['**/*']
  name: my-$NAME
  secondary-artifacts:
    two: {files: [b], name: other}
`
	fake := &enginetest.Fake{Files: map[string]string{sourceDir + "/a": "1", sourceDir + "/b": "22"}}
	fake.Do = func(text string, output io.Writer) int {
		if strings.Contains(text, "my-$NAME") {
			_, _ = io.WriteString(output, "my-app/1")
		}
		return 0
	}
	record, _, err := play(t, t.Context(), fake, planOf(t, spec, func(in *runner.Inputs) { in.Zip = true }))
	if err != nil || record.Status != runner.Succeeded || len(record.Artifacts) != 2 {
		t.Fatalf("%s, %v, %+v", record.Status, err, record.Artifacts)
	}
	for i, want := range []string{"1.zip", "secondary-artifacts/two.zip"} {
		if got := record.Artifacts[i].Zip; got != want {
			t.Errorf("got %s, want %s", got, want)
		}
	}
}

// TestImage_Notes runs builds with images that a note describes.
func TestImage_Notes(t *testing.T) {
	t.Parallel()
	moved := engine.Image{ID: "sha256:2222222222222222", Platform: "linux/amd64"}
	emulated := engine.Image{ID: "sha256:1", Platform: "linux/arm64", Native: "linux/amd64", Emulated: true}
	for name, test := range map[string]struct {
		image engine.Image
		want  string
	}{
		"moved": {moved, "note: The image image:1 has changed since build 6-x: " +
			"sha256:222222222222, not sha256:111111111111."},
		"emulated": {emulated, "note: The image is for linux/arm64 and the engine's machine is linux/amd64: " +
			"it runs emulated"},
	} {
		_, lines, err := play(t, t.Context(), nil, planOf(t, four), func(r *runner.Runner) {
			r.Engine = imageEngine{&enginetest.Fake{}, test.image}
			r.LastImage = func(string) (runner.Environment, string) {
				return runner.Environment{ImageID: "sha256:1111111111111111", ImagePlatform: "linux/amd64"}, "6-x"
			}
		})
		if text := strings.Join(lines, "\n"); err != nil || !strings.Contains(text, test.want) {
			t.Errorf("%s: %v, got\n%s", name, err, text)
		}
	}
}

func TestPlan_LambdaLimits(t *testing.T) {
	t.Parallel()
	fake := &enginetest.Fake{}
	plan := planOf(t, four, func(in *runner.Inputs) {
		in.Project.Environment.Type, in.Privileged = "LINUX_LAMBDA_CONTAINER", true
	})
	if !plan.Lambda() || plan.Privileged || plan.Timeout.Minutes() != 15 || plan.Sources[0].Top[:5] != "/tmp/" {
		t.Errorf("got %v, privileged %v, %v, %s", plan.Lambda(), plan.Privileged, plan.Timeout, plan.Sources[0].Top)
	}
	record, lines, err := play(t, t.Context(), fake, plan)
	if err != nil || record.Status != runner.Succeeded || exported(fake, "HOME") != "/tmp" {
		t.Errorf("%s, %v, HOME=%s", record.Status, err, exported(fake, "HOME"))
	}
	const note = "note: Docker is not available in builds on Lambda: --privileged and --docker are ignored."
	if text := strings.Join(lines, "\n"); !strings.Contains(text, note) {
		t.Errorf("got %s", text)
	}
}

func TestUnpublishedImage_HintNamesOther(t *testing.T) {
	t.Parallel()
	plan := planOf(t, four, func(in *runner.Inputs) {
		in.Image, in.Default = "aws/codebuild/standard:7.0", "aws/codebuild/amazonlinux-x86_64-standard:5.0"
	})
	if !strings.Contains(plan.NoImage, "Or run with -i aws/codebuild/amazonlinux-x86_64-standard:") {
		t.Errorf("got %q", plan.NoImage)
	}
	broken := &engine.Fault{Kind: engine.NoImage, Message: "no image"}
	_, _, err := play(t, t.Context(), &enginetest.Fake{StartError: broken}, plan)
	if err == nil || broken.Hint != plan.NoImage {
		t.Errorf("%v, hint %q", err, broken.Hint)
	}
}
