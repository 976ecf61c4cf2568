package project

import (
	"bytes"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

var update = flag.Bool("update", false, "rewrite the .out files of testdata/project/err")

const testdata = "../testdata/project"

func files(t testing.TB, dir string) []string {
	t.Helper()
	var all []string
	for _, kind := range []string{"*.json", "*.yml"} {
		some, err := filepath.Glob(filepath.Join(testdata, dir, kind))
		if err != nil || len(some) == 0 {
			t.Fatalf("no %s in %s: %v", kind, dir, err)
		}
		all = append(all, some...)
	}
	return all
}

func read(t testing.TB, file string) []byte {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

func TestParse_GoodDocuments(t *testing.T) {
	t.Parallel()
	for _, file := range files(t, "ok") {
		t.Run(filepath.Base(file), func(t *testing.T) {
			t.Parallel()
			_, problems := Parse(filepath.Base(file), read(t, file), "")
			if len(problems) > 0 {
				t.Errorf("problems:\n%s", problems.Error())
			}
		})
	}
}

// Each bad document has a file beside it with every message as a person reads it.
func TestParse_BadDocuments(t *testing.T) {
	t.Parallel()
	for _, file := range files(t, "err") {
		t.Run(filepath.Base(file), func(t *testing.T) {
			t.Parallel()
			_, problems := Parse(filepath.Base(file), read(t, file), "")
			golden, got := file+".out", problems.Error()+"\n"
			if *update {
				if err := os.WriteFile(golden, []byte(got), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			if diff := cmp.Diff(string(read(t, golden)), got); diff != "" {
				t.Errorf("problems (-want +got):\n%s", diff)
			}
		})
	}
}

func TestParse_AllFields(t *testing.T) {
	t.Parallel()
	want := Project{
		Name:        "web",
		Description: "the web site",
		Source: Source{
			Type: "GITHUB", Location: "https://github.com/example/web.git",
			Buildspec: "ci/buildspec.yml", GitCloneDepth: 1, FetchSubmodules: true,
		},
		Secondary:         []Source{{Type: "S3", Location: "bucket/tools.zip", Identifier: "tools"}},
		SourceVersion:     "main",
		SecondaryVersions: map[string]string{"tools": "v1"},
		Artifacts: Artifacts{
			Type: "S3", Location: "out", Path: "sites", NamespaceType: "BUILD_ID", Name: "web.zip",
			Packaging: "ZIP", OverrideName: true, EncryptionDisabled: true,
		},
		SecondaryArtifacts: []Artifacts{{Type: "NO_ARTIFACTS", Identifier: "docs"}},
		Cache: Cache{
			Type: "LOCAL", Modes: []string{"LOCAL_SOURCE_CACHE", "LOCAL_CUSTOM_CACHE"}, Namespace: "shared",
		},
		Environment: Environment{
			Type: "LINUX_CONTAINER", Image: "aws/codebuild/amazonlinux-x86_64-standard:5.0",
			ComputeType: "BUILD_GENERAL1_SMALL",
			Compute:     Compute{VCPU: 2, Memory: 4, Disk: 64, MachineType: "GENERAL", InstanceType: "m5.large"},
			Privileged:  true,
			Variables: []Variable{
				{Name: "STAGE", Value: "test", Type: Plaintext, Line: 48},
				{Name: "FACE", Value: "😀", Type: Plaintext, Line: 49},
				{Name: "TOKEN", Value: "/web/token", Type: ParameterStore, Line: 50},
				{Name: "LOGIN", Value: "login:user", Type: SecretsManager, Line: 51},
			},
			ImagePullCredentials: "CODEBUILD", RegistryCredential: "registry",
			Certificate: "arn:aws:s3:::bucket/cert.pem",
		},
		FileSystems: []FileSystem{{
			Type: "EFS", Identifier: "data", Location: "fs-1.efs.us-east-1.amazonaws.com:/data",
			MountPoint: "/mnt/data", MountOptions: "hard",
		}},
		ServiceRole: "arn:aws:iam::111122223333:role/build", EncryptionKey: "alias/aws/s3",
		Timeout: 30 * time.Minute, QueuedTimeout: 8 * time.Hour,
		ConcurrentBuildLimit: 2, AutoRetryLimit: 1, LogStreamPrefix: "web",
	}
	got, problems := Parse("p.json", read(t, testdata+"/ok/create-project.json"), "")
	if diff := cmp.Diff(want, got); diff != "" || len(problems) > 0 {
		t.Errorf("project (-want +got):\n%s%s", diff, problems.Error())
	}
}

func TestParse_KeepsScalarSpelling(t *testing.T) {
	t.Parallel()
	want := []Variable{
		{Name: "VERSION", Value: "1.10", Type: Plaintext, Line: 10},
		{Name: "MODE", Value: "010", Type: Plaintext, Line: 11},
		{Name: "ANSWER", Value: "yes", Type: Plaintext, Line: 13},
		{Name: "TEXT", Value: "two\nlines\n", Type: Plaintext, Line: 15},
	}
	got, _ := Parse("project.yml", read(t, testdata+"/ok/project.yml"), "")
	if diff := cmp.Diff(want, got.Environment.Variables); diff != "" {
		t.Errorf("variables (-want +got):\n%s", diff)
	}
	if got.Timeout != 15*time.Minute || !got.Environment.Privileged {
		t.Errorf("timeout is %s, privileged %t; want 15m, true", got.Timeout, got.Environment.Privileged)
	}
}

func TestParse_CloudFormation(t *testing.T) {
	t.Parallel()
	want := Project{
		Name:      "web",
		Source:    Source{Type: "CODEPIPELINE", Buildspec: "ci.yml", FetchSubmodules: true},
		Artifacts: Artifacts{Type: "CODEPIPELINE"},
		Environment: Environment{
			Type: "ARM_CONTAINER", Image: "aws/codebuild/amazonlinux2-aarch64-standard:3.0",
			ComputeType: "BUILD_GENERAL1_SMALL",
			Variables:   []Variable{{Name: "STAGE", Value: "test", Type: Plaintext, Line: 14}},
		},
		LogStreamPrefix: "web", Timeout: 20 * time.Minute,
	}
	got, _ := Parse("p.yml", read(t, testdata+"/ok/cloudformation.yml"), "")
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("project (-want +got):\n%s", diff)
	}
}

func TestParse_APIResponses(t *testing.T) {
	t.Parallel()
	tests := []struct{ title, text, name, want string }{
		{"the project alone", `{"name": "a"}`, "", "a"},
		{"create-project", `{"project": {"name": "a"}}`, "", "a"},
		{"one of one", `{"projects": [{"name": "a"}]}`, "", "a"},
		{"one of one by another name", `{"projects": [{"name": "a"}]}`, "b", "a"},
		{"one of several", `{"projects": [{"name": "a"}, {"name": "b"}]}`, "b", "b"},
		{"nothing said", `{}`, "", ""},
	}
	for _, test := range tests {
		t.Run(test.title, func(t *testing.T) {
			t.Parallel()
			got, problems := Parse("p.json", []byte(test.text), test.name)
			if got.Name != test.want || len(problems) > 0 {
				t.Errorf("got %q, want %q\n%s", got.Name, test.want, problems.Error())
			}
		})
	}
}

func TestParse_UnknownProjectName(t *testing.T) {
	t.Parallel()
	_, problems := Parse("p.json", []byte(`{"projects": [{"name": "a"}, {"name": "b"}]}`), "c")
	want := "p.json:1:14: error: no project \"c\" in the list\n" +
		"  1 | {\"projects\": [{\"name\": \"a\"}, {\"name\": \"b\"}]}\n" +
		"    |              ^ use one of \"a\", \"b\""
	if diff := cmp.Diff(want, problems.Error()); diff != "" {
		t.Errorf("problems (-want +got):\n%s", diff)
	}
}

func TestParse_LastVariableWins(t *testing.T) {
	t.Parallel()
	got, _ := Parse("p.yml", read(t, testdata+"/err/variables.yml"), "")
	want := []Variable{
		{Name: "EMPTY", Type: Plaintext, Line: 7},
		{Name: "CODEBUILD_BUILD_ID", Value: "a", Type: Plaintext, Line: 8},
		{Name: "TWICE", Value: "b", Type: Plaintext, Line: 10},
	}
	if diff := cmp.Diff(want, got.Environment.Variables); diff != "" {
		t.Errorf("variables (-want +got):\n%s", diff)
	}
}

func TestParse_KnownKeysHaveNoWarning(t *testing.T) {
	t.Parallel()
	sections := []struct {
		format string
		keys   []string
	}{
		{"KEY:", projectKeys},
		{"environment: {KEY: }", environmentKeys},
		{"environment: {computeConfiguration: {KEY: }}", computeKeys},
		{"environment: {registryCredential: {KEY: }}", credentialKeys},
		{"environment: {environmentVariables: [{name: A, value: a}, {name: B, value: b, KEY: }]}", variableKeys[2:]},
		{"source: {KEY: }", sourceKeys},
		{"source: {gitSubmodulesConfig: {KEY: }}", submodulesKeys},
		{"secondarySourceVersions: [{KEY: }]", versionKeys},
		{"artifacts: {KEY: }", artifactsKeys},
		{"cache: {KEY: }", cacheKeys},
		{"fileSystemLocations: [{KEY: }]", fileSystemKeys},
		{"logsConfig: {KEY: }", logsKeys},
		{"logsConfig: {cloudWatchLogs: {KEY: }}", cloudWatchKeys},
	}
	for _, section := range sections {
		for _, key := range section.keys {
			text := strings.ReplaceAll(section.format, "KEY", key)
			if _, problems := Parse("p.yml", []byte(text), ""); len(problems) > 0 {
				t.Errorf("%s\n%s", text, problems.Error())
			}
		}
	}
}

func TestParse_LimitsProblems(t *testing.T) {
	t.Parallel()
	text := "name: a\ntimeoutInMinutes: 1\n" + strings.Repeat("bogus: 1\n", 150)
	_, problems := Parse("p.yml", []byte(text), "")
	if !problems.Failed() {
		t.Error("the error was lost among the warnings")
	}
	got := problems[len(problems)-1].Error()
	want := "p.yml: warning: 50 more problems like these are not shown"
	if len(problems) != 102 || got != want {
		t.Errorf("got %d problems, the last is %q; want 102, %q", len(problems), got, want)
	}
}

func FuzzParse(f *testing.F) {
	for _, dir := range []string{"ok", "err"} {
		for _, file := range files(f, dir) {
			f.Add(read(f, file), "web")
		}
	}
	for _, test := range syntaxTests {
		f.Add([]byte(test.text), "")
	}
	f.Fuzz(func(t *testing.T, text []byte, name string) {
		_, problems := Parse("p.yml", text, name)
		if len(problems) > 2*maxProblems+2 {
			t.Errorf("%d problems", len(problems))
		}
		if printed := problems.Error(); len(printed) > 1<<20 || bytes.IndexByte([]byte(printed), 0) >= 0 {
			t.Errorf("problems print as %d bytes: %.200q", len(printed), printed)
		}
	})
}
