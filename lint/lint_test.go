package lint_test

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/google/go-cmp/cmp"

	"github.com/buildlocal/buildlocal/buildspec"
	"github.com/buildlocal/buildlocal/internal/diag"
	"github.com/buildlocal/buildlocal/lint"
	"github.com/buildlocal/buildlocal/project"
	"github.com/buildlocal/buildlocal/runtimes"
)

// names returns the names of the problems of Check in a buildspec, without those of Parse.
func names(in lint.Input, text string, ignore ...string) []string {
	spec, _ := buildspec.Parse("buildspec.yml", []byte(text))
	in.Spec = spec
	var all []string
	for _, p := range lint.Check(in, nil, ignore) {
		all = append(all, p.Name)
	}
	return all
}

// commands returns a buildspec that runs commands in BUILD.
func commands(all ...string) string {
	text := "version: 0.2\nphases:\n  build:\n    commands:\n"
	for _, c := range all {
		text += "      - |\n        " + strings.ReplaceAll(c, "\n", "\n        ") + "\n"
	}
	return text
}

// TestLint_NoFalsePositives has commands that look like mistakes but are correct.
func TestLint_NoFalsePositives(t *testing.T) {
	t.Parallel()
	source := fstest.MapFS{
		"scripts/build.sh": {Mode: 0o755}, "scripts/plain.sh": {Mode: 0o644}, "Makefile": {}, "src/app.js": {},
		"ci/test.sh": {Mode: 0o755}, "gradlew": {Mode: 0o644},
		"scripts/crlf.sh": {Data: []byte("#!/bin/sh\r\n")},
	}
	for _, all := range [][]string{
		{"set -e\nnpm test\necho done"},
		{"npm test || exit 1\necho done"},
		{"mkdir -p dist\ncd dist\necho done"},
		{"npm test\nstatus=$?\necho done"},
		{"for f in *; do npm test; done\necho done"},
		{"echo hello | tee file"},
		{"set -o pipefail\nnpm test | tee log"},
		{"npm test | grep -v noise"},
		{"cat <<EOF\nno end"},
		{"set -x", "make"},
		{"export -f step", "step"},
		{"step() { make; }\nexport -f step", "step"},
		{"cd scripts", "./build.sh"},
		{"cd scripts && ./build.sh && cd .. && make"},
		{"(cd scripts; ./build.sh)", "ci/test.sh"},
		{"cd $HOME", "./biuld.sh"},
		{"cd /tmp", "./biuld.sh"},
		{"if [ -d x ]; then cd x; fi", "sh biuld.sh"},
		{"chmod +x scripts/plain.sh", "scripts/plain.sh"},
		{"chmod -R +x scripts", "scripts/plain.sh"},
		{"sh scripts/plain.sh"},
		{"curl -o instal.sh https://example.com", "sh instal.sh"},
		{"git clone https://example.com/x", "x/run.sh", "sh setup.sh"},
		{"echo true > new.sh", "sh new.sh"},
		{"./node_modules/.bin/jest"},
		{"python -m pytest", "node -e 1", "sh -c ./biuld.sh"},
		{"cd ${CODEBUILD_SRC_DIR}/scripts", "./build.sh"},
		{"cd \"$CODEBUILD_SRC_DIR\"", "scripts/build.sh"},
		{"docker login"},
		{"aws s3 cp a s3://b"},
		{"$env:X = 1", "Get-ChildItem | ForEach-Object { $_ }", "if (Test-Path x) { exit 1 }"},
		{"source ~/.bashrc", "X=a; echo ${X//a/b} &> log"},
		{"yum install -y jq", "[[ -f x ]]"},
		{"[[ -f x ]]", "a=(1 2)"},
		{"chmod +x gradlew && ./gradlew build"},
		{"find scripts -name '*.sh' -exec chmod +x {} \\;", "scripts/plain.sh"},
		{"for f in scripts/*.sh; do chmod +x $f; done", "scripts/plain.sh"},
		{"if true; then chmod +x scripts/plain.sh; fi", "scripts/plain.sh"},
		{"cd none 2>/dev/null || cd scripts", "./biuld.sh"},
		{"test -d none && cd none", "./scripts/biuld.sh"},
		{"tsc", "node dist/server.js"},
		{"git clone https://example.com/script.git", "sh script/build.sh"},
		{"git checkout other", "sh scripts/biuld.sh"},
		{"node --version\nnpm --version\necho ready"},
		{"rm -rf dist\ngit config a b\necho clean"},
		{"sonar-scanner\ntrue"},
		{"curl -fsSL https://example.com/install.sh | sh"},
		{"pip freeze | tee requirements.lock"},
		{"alias python=python3", "python --version"},
		{"dos2unix scripts/crlf.sh", "sh scripts/crlf.sh"},
		{"aws deploy <bucket> <key>", "echo ${aws_ecr.app.url}", "echo {{ name }} (x)"},
		{"set -x", "set -v", "make"},
	} {
		in := lint.Input{Source: source, ExecBits: true}
		if got := names(in, commands(all...)); len(got) > 0 {
			t.Errorf("%q: %v", all, got)
		}
	}
}

// TestLint_MistakesInCommands has one mistake each, in addition to those of the
// documentation.
func TestLint_MistakesInCommands(t *testing.T) {
	t.Parallel()
	source := fstest.MapFS{"scripts/build.sh": {Mode: 0o755}, "scripts/plain.sh": {Mode: 0o644},
		"x.sh": {Data: []byte("#!/bin/sh\r\n")}, "requirements.txt": {}}
	for _, test := range []struct {
		want string
		all  []string
	}{
		{"hidden-failure", []string{"make && make test\necho done"}},
		{"hidden-failure", []string{"npm test\nexport DONE=1"}},
		{"hidden-failure", []string{"sudo npm test\nprintf done"}},
		{"hidden-pipe-failure", []string{"make 2>&1 | grep x | tee log"}},
		{"hidden-pipe-failure", []string{"if true; then npm test | tee log; fi"}},
		{"lost-setting", []string{"set -ex", "make"}},
		{"lost-setting", []string{"set +e", "make"}},
		{"shell-syntax", []string{"if (grep -q x y); then", "make"}},
		{"missing-file", []string{"sh $CODEBUILD_SRC_DIR/scripts/biuld.sh"}},
		{"missing-file", []string{"timeout 30 ./scripts/biuld.sh"}},
		{"missing-file", []string{"cd scirpts", "make"}},
		{"missing-file", []string{"pip install -r requirments.txt"}},
		{"lost-function", []string{"alias ll='ls -l'", "ll"}},
		{"lost-setting", []string{"set -euo pipefail", "make"}},
		{"lost-setting", []string{"shopt -s globstar", "make"}},
		{"shell-syntax", []string{"echo $(date"}},
		{"bash-syntax", []string{"apt-get install -y jq", "[[ -f x ]]"}},
		{"plaintext-credential", []string{"export DB_PASSWORD=Tr0ub4dor-3"}},
		{"plaintext-credential", []string{"git clone https://me:Tr0ub4dor3@github.com/x"}},
		{"missing-file", []string{"./scripts/biuld.sh"}},
		{"missing-file", []string{"scirpts/build.sh"}},
		{"missing-file", []string{"cd scripts", "sh ./biuld.sh"}},
		{"missing-file", []string{"chmod +x scripts/biuld.sh"}},
		{"missing-file", []string{"python tests.py"}},
		{"missing-file", []string{". ./env.sh"}},
		{"not-executable", []string{"cd scripts && ./plain.sh"}},
		{"crlf-script", []string{"bash -e x.sh"}},
	} {
		got := names(lint.Input{Source: source, ExecBits: true}, commands(test.all...))
		if diff := cmp.Diff([]string{test.want}, got); diff != "" {
			t.Errorf("%q: %s", test.all, diff)
		}
	}
}

func TestPlaintextCredential_NamesAndValues(t *testing.T) {
	t.Parallel()
	reported := map[string]string{"API_KEY": "d41d8cd98f00b204E98", "X": "AKIAIOSFODNN7EXAMPLE", "GITHUB_TOKEN": "ghp_" +
		strings.Repeat("a", 36), "MYSQL_PASSWORD": "Tr0ub4dor&3", "PGPASSWORD": "aZ19-kkQw", "DB_PASS": "aZ19-kkQw",
		"dbPassword": "aZ19-kkQw", "DATABASE_URL": "postgres://app:s3cretPw@db/app"}
	silent := map[string]string{
		"PASSWORD": "$PASSWORD", "DB_PASSWORD": "changeme", "SECRET_NAME": "prod/Db-Secret-42", "TOKEN_FILE": "/run/Token1",
		"API_KEY": "<your key>", "ACCESS_TOKEN": "arn:aws:secretsmanager:eu-west-1:1:secret:T0ken", "KEY": "Aa1Bb2Cc3Dd4",
		"PRIVATE_KEY": "id_rsa", "SECRET": "postgres",
		"POSTGRES_PASSWORD": "postgres123", "JWT_SECRET": "testsecret1", "APP_SECRET": "my-app/prod/Db1",
		"GITHUB_TOKEN": "ssm-github-token2", "SESSION_SECRET": "00000000-0000-0000-0000-000000000000",
	}
	for name, value := range reported {
		if got := names(lint.Input{}, "version: 0.2\nenv: {variables: {"+name+": '"+value+"'}}\n"); !slices.Equal(got,
			[]string{"plaintext-credential"}) {
			t.Errorf("%s: %s: %v", name, value, got)
		}
	}
	for name, value := range silent {
		if got := names(lint.Input{}, "version: 0.2\nenv: {variables: {"+name+": '"+value+"'}}\n"); slices.Contains(got,
			"plaintext-credential") {
			t.Errorf("%s: %s: %v", name, value, got)
		}
	}
}

func TestPlaintextCredential_IsMasked(t *testing.T) {
	t.Parallel()
	spec, _ := buildspec.Parse("b.yml", []byte("version: 0.2\nenv:\n  variables:\n    DB_PASSWORD: Tr0ub4dor&3\n"+
		"phases:\n  build:\n    commands:\n      - curl -u AKIAIOSFODNN7EXAMPLE x\n"))
	got := lint.Check(lint.Input{Spec: spec}, nil, nil)
	if len(got) != 2 || strings.Contains(got.Error(), "Tr0ub") || strings.Contains(got.Error(), "AKIAIO") {
		t.Error(got)
	}
}

func TestPlaintextCredential_IsMaskedInHints(t *testing.T) {
	t.Parallel()
	spec, found := buildspec.Parse("b.yml", []byte("version: 0.2\nenv:\n  variables:\n    KEY: AKIAIOSFODNN7EXAMPLE\n"+
		"phases:\n  build:\n    commands:\n      - echo key: AKIAIOSFODNN7EXAMPLE\n"))
	if len(found) != 1 || !strings.Contains(found[0].Hint, "AKIAIO") {
		t.Fatalf("the hint does not quote the command: %+v", found)
	}
	for _, p := range lint.Check(lint.Input{Spec: spec}, found, nil) {
		if strings.Contains(p.String()+p.Text(), "AKIAIO") || p.Fix != nil {
			t.Errorf("a credential is in %+v", p)
		}
	}
}

func TestIgnore_ByNameAndByLine(t *testing.T) {
	t.Parallel()
	const text = "version: 0.1\nphases:\n  build:\n    commands:\n      - cd a%s\n      - make\n"
	with := func(comment string) string { return strings.ReplaceAll(text, "%s", comment) }
	for comment, want := range map[string][]string{
		"":                                    {"lost-directory"},
		" # buildlocal:ignore lost-directory": nil,
		" # buildlocal:ignore hidden-failure, lost-directory": nil,
		" # buildlocal:ignore hidden-failure":                 {"lost-directory"},
		" # buildlocal:ignore lost-directroy":                 {"lost-directory", "unknown-ignore"},
		" # buildlocal:ignore yaml-syntax":                    {"lost-directory", "unknown-ignore"},
	} {
		if got := names(lint.Input{}, with(comment)); !slices.Equal(got, want) {
			t.Errorf("%q: got %v, want %v", comment, got, want)
		}
	}
	above := strings.ReplaceAll(with(""), "      - cd a", "      # buildlocal:ignore lost-directory\n      - cd a")
	if got := names(lint.Input{}, above); len(got) > 0 {
		t.Errorf("above: %v", got)
	}
	if got := names(lint.Input{}, with(""), "lost-directory"); len(got) > 0 {
		t.Errorf("by name: %v", got)
	}
}

func TestUnknownRuntime_ComparesWithImage(t *testing.T) {
	t.Parallel()
	const text = "version: 0.2\nphases:\n  install:\n    runtime-versions:\n      nodejs: %s\n"
	table := runtimes.Curated("standard:7.0")
	for version, want := range map[string]bool{
		"22": false, "latest": false, "22.x": false, "18.20.1": false, "$NODE": false, "3.x": true, "lts": true,
		"22.1.2.3": true,
	} {
		in := lint.Input{Runtimes: table, RuntimesFrom: "a table"}
		got := names(in, strings.ReplaceAll(text, "%s", version))
		if reported := slices.Contains(got, "unknown-runtime"); reported != want {
			t.Errorf("%s: reported: %v", version, reported)
		}
	}
	spec, _ := buildspec.Parse("b.yml", []byte(strings.ReplaceAll(text, "%s", "lts")))
	got := lint.Check(lint.Input{Spec: spec, Runtimes: table, Exact: true}, nil, nil)
	if !got.Failed() || !strings.HasPrefix(got[0].Service,
		"Unknown runtime version named 'lts' of nodejs. This build image has the following versions: 18, ") {
		t.Errorf("the image's own table: %v %q", got, got[0].Service)
	}
}

func TestBashSyntax_NeedsKnownShell(t *testing.T) {
	t.Parallel()
	for image, want := range map[string]bool{
		"": false, "aws/codebuild/standard:7.0": true, "aws/codebuild/amazonlinux-x86_64-standard:5.0": false,
		"node:22":                            true,
		"docker.io/library/python:3.12-slim": true, "node:22-alpine": false, "example.com/mine": false,
		"ubuntu@sha256:0": true,
	} {
		for _, command := range []string{"[[ -f x ]]", "source x", "a=(1 2)", "echo ${A[0]}", "make |& cat",
			"select x in a; do make; done", "mapfile a", "X+=1"} {
			got := names(lint.Input{Image: image}, commands(command))
			if reported := slices.Contains(got, "bash-syntax"); reported != want {
				t.Errorf("%s: %s: reported: %v", image, command, reported)
			}
		}
	}
}

func TestDeployAfterFailure_Conditions(t *testing.T) {
	t.Parallel()
	text := func(build, post string) string {
		return "version: 0.2\nphases:\n  build:\n    commands:\n      - " + build +
			"\n  post_build:\n    commands:\n      - |\n        " + strings.ReplaceAll(post, "\n", "\n        ") + "\n"
	}
	for post, want := range map[string]bool{
		"aws s3 sync dist s3://bucket": true, "aws --profile p s3 sync dist \"s3://$B\" --delete": true,
		"terraform -chdir=infra apply -auto-approve": true,
		"kubectl -n p apply -f x":                    true, "helm -n p upgrade a b": true, "cdk deploy": true,
		"docker push a\naws ecs update-service": false, "aws s3 cp coverage/lcov.info s3://b": false,
		"aws s3 cp s3://b/x .":         false,
		"echo now run terraform apply": false, "npm publish --dry-run": false, "mvn -Dmaven.deploy.skip=true verify": false,
		"test -f .ok || exit 1\ncdk deploy": false, "[ $CODEBUILD_BUILD_SUCCEEDING = 1 ] && cdk deploy": false,
	} {
		found := names(lint.Input{}, text("npm test", post))
		if reported := slices.Contains(found, "deploy-after-failure"); reported != want {
			t.Errorf("%q: reported: %v", post, reported)
		}
	}
	if got := names(lint.Input{}, text("echo nothing", "cdk deploy")); len(got) > 0 {
		t.Errorf("a BUILD that cannot fail: %v", got)
	}
}

func TestNotPrivileged_NeedsKnownMode(t *testing.T) {
	t.Parallel()
	text := commands("docker login", "docker build .")
	for _, test := range []struct {
		in   lint.Input
		want int
	}{
		{lint.Input{}, 1}, {lint.Input{Privileged: true}, 0},
		{lint.Input{Project: &project.Project{}}, 1},
		{lint.Input{Project: &project.Project{Environment: project.Environment{Type: "MAC_ARM"}}}, 0},
	} {
		if got := names(test.in, text); len(got) != test.want {
			t.Errorf("%+v: %v", test.in, got)
		}
	}
}

// TestLint_PublicBuildspecs runs all checks over a corpus of public
// buildspecs that CodeBuild accepts.
func TestLint_PublicBuildspecs(t *testing.T) {
	t.Parallel()
	table := filepath.Join(corpus(), "dev.tsv")
	text, err := os.ReadFile(table)
	if err != nil {
		t.Skipf("no corpus of public buildspecs here: %v", err)
	}
	for _, row := range strings.Split(string(text), "\n") {
		name, rest, _ := strings.Cut(row, "\t")
		if !strings.Contains(rest, "\taccept\t") {
			continue
		}
		text, err := os.ReadFile(filepath.Join(corpus(), "dev", name))
		if err != nil {
			t.Fatal(err)
		}
		spec, problems := buildspec.Parse(name, text)
		in := lint.Input{Spec: spec, Runtimes: runtimes.AllCurated()}
		if all := lint.Check(in, problems, nil); all.Failed() {
			t.Error(all)
		}
	}
}

func corpus() string {
	dir := os.Getenv("BUILDLOCAL_CORPUS")
	if beside, _ := filepath.Glob("../../*/corpus"); dir == "" && len(beside) > 0 {
		dir = beside[0]
	}
	return filepath.Join(dir, "buildspecs")
}

func FuzzCheck(f *testing.F) {
	files, _ := filepath.Glob("../testdata/*/*.txtar")
	more, _ := filepath.Glob("../testdata/buildspec/*/*.yml")
	for _, file := range append(files, more...) {
		text, err := os.ReadFile(file)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(text)
	}
	source := fstest.MapFS{"scripts/build.sh": {}, "a": {}, "dist/x": {}}
	f.Fuzz(func(t *testing.T, text []byte) {
		spec, problems := buildspec.Parse("f", text)
		all := lint.Check(lint.Input{Spec: spec, Source: source, ExecBits: true, Project: &project.Project{},
			Runtimes: runtimes.AllCurated()}, problems, nil)
		_ = all.Error()
		fixed, _ := diag.Apply(string(text), all)
		_, _ = buildspec.Parse("f", []byte(fixed))
	})
}
