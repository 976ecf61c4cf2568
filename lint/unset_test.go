package lint_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/google/go-cmp/cmp"

	"github.com/buildlocal/buildlocal/buildspec"
	"github.com/buildlocal/buildlocal/lint"
	"github.com/buildlocal/buildlocal/project"
)

// unsetIn returns the messages of the check for commands, without its hint.
func unsetIn(t *testing.T, in lint.Input, text string) string {
	t.Helper()
	spec, problems := buildspec.Parse("buildspec.yml", []byte(text))
	in.Spec = spec
	var all []string
	for _, p := range lint.Check(in, problems, nil) {
		if p.Name == lint.UnsetVariable {
			all = append(all, p.Message)
		}
	}
	return strings.Join(all, "; ")
}

func TestUnsetVariable_Commands(t *testing.T) {
	t.Parallel()
	source := fstest.MapFS{
		"env.sh":    {Data: []byte("export FROM_FILE=1\n. ./more.sh\n")},
		"more.sh":   {Data: []byte("FROM_MORE=1\n")},
		"opaque.sh": {Data: []byte(`eval "$(vault read x)"`)},
	}
	for _, test := range []struct {
		commands []string
		want     string
	}{
		{[]string{"echo $X"}, "X is not set"},
		{[]string{"echo ${X}", "echo $X again"}, "X is not set"},
		{[]string{`echo "a $X" '$Y' \$Z`}, "X is not set"},
		{[]string{"cat <<END\n$X\nEND"}, "X is not set"},
		{[]string{"X=1", "echo $X"}, ""},
		{[]string{"export X=1 Y=$(echo $Z)", "echo $X $Y"}, "Z is not set"},
		{[]string{"export X", "echo $X"}, "X is not set"},
		{[]string{"echo $X", "X=1"}, "X is not set yet"},
		{[]string{"for X in a b; do echo $X; done", "echo $X"}, ""},
		{[]string{"read -r X Y", "echo $X $Y"}, ""},
		{[]string{"while read -r X; do echo $X; done <f"}, ""},
		{[]string{"f() { local X; X=1; echo $X; }; f"}, ""},
		{[]string{"printf -v X %s a; echo $X"}, ""},
		{[]string{"i=0; while [ $i -lt 3 ]; do i=$((i + n)); done; echo $n"}, ""},
		{[]string{"echo ${X:-d} ${Y-d} ${Z:?} ${A?} ${B+x} ${C:+x}"}, ""},
		{[]string{": ${X:=1}", "echo $X"}, ""},
		{[]string{"echo ${X%%.*}"}, "X is not set"},
		{[]string{"[ -z \"$X\" ] || echo $X"}, ""},
		{[]string{"set -u; [ -z \"$X\" ] || echo"}, "X is not set, and set -u makes that an error"},
		{[]string{"case $X in a) echo $X;; esac"}, ""},
		{[]string{"echo $1 $@ $? $# $$ $HOME $PATH $JAVA_HOME $CODEBUILD_WEBHOOK_EVENT $AWS_REGION $http_proxy"}, ""},
		{[]string{"source env.sh", "echo $FROM_FILE $FROM_MORE $OTHER"}, "OTHER is not set"},
		{[]string{". ./opaque.sh", "echo $X"}, ""},
		{[]string{". ./missing.sh", "echo $X"}, ""},
		{[]string{"source ~/.bashrc", "echo $X"}, "X is not set"},
		{[]string{"echo $X", "eval $(some-tool)", "echo $Y"}, "X is not set"},
		{[]string{"eval $(ssh-agent -s)", "echo $X"}, "X is not set"},
		{[]string{"export $(cat .env | xargs)", "echo $X"}, ""},
		{[]string{`export "X=1" && echo $X`}, ""},
		{[]string{"if then", "echo $X"}, "X is not set"},
		{[]string{"$env:X = 1", "echo $X"}, ""},
	} {
		if got := unsetIn(t, lint.Input{Source: source}, commands(test.commands...)); got != test.want {
			t.Errorf("%q: %q, want %q", test.commands, got, test.want)
		}
	}
}

func TestUnsetVariable_OtherTexts(t *testing.T) {
	t.Parallel()
	const text = "version: 0.2\nphases: {post_build: {commands: ['B=1']}, build: {commands: [make]}}\n" +
		"artifacts: {name: 'a-$A-$B', base-directory: $C, files: ['$B/*']}\ncache: {key: 'k-$D', paths: [x]}\n"
	got := unsetIn(t, lint.Input{}, text)
	parts := strings.Split(got, "; ")
	slices.Sort(parts)
	if !slices.Equal(parts, []string{"A is not set", "C is not set", "D is not set"}) {
		t.Errorf("%q", got)
	}
}

func TestUnsetVariable_OtherSources(t *testing.T) {
	t.Parallel()
	text := "env: {variables: {A: 1}, parameter-store: {B: /b}, secrets-manager: {C: c}}\n" +
		commands("echo $A $B $C $D $E $F $G")
	p := &project.Project{Environment: project.Environment{Variables: []project.Variable{{Name: "D"}}}}
	asked := 0
	image := func() []string { asked++; return []string{"F"} }
	in := lint.Input{Project: p, Variables: []string{"E"}, ImageVariables: image}
	if got := unsetIn(t, in, text); got != "G is not set" || asked != 1 {
		t.Errorf("%q, asked the image %d times", got, asked)
	}
	if got := unsetIn(t, in, commands("echo $E")); got != "" || asked != 1 {
		t.Errorf("%q, asked the image %d times although nothing is unset", got, asked)
	}
}

func TestUnset_AllOfACommand(t *testing.T) {
	t.Parallel()
	spec, _ := buildspec.Parse("f", []byte(commands("echo $X", "docker build -t $X:$Y ${Z:?} $X .")))
	got := lint.Unset(lint.Input{Spec: spec})
	want := map[int][]string{spec.Phases[0].Commands[0].Line: {"X"}, spec.Phases[0].Commands[1].Line: {"X", "Y", "Z"}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestHiddenFailure_Declarations(t *testing.T) {
	t.Parallel()
	for command, want := range map[string]bool{
		"export X=$(aws sts get-caller-identity)":  true,
		"export X=\"$(aws s3 ls)\"":                true,
		"export X=`cat VERSION`":                   true,
		"readonly X=$(git describe)":               true,
		"declare -r X=$(./version.sh)":             true,
		"f() { local X=$(curl -f https://x); }; f": true,
		"set -e\nexport X=$(aws s3 ls)":            true,
		"X=$(aws s3 ls)":                           false,
		"X=$(aws s3 ls) && export X":               false,
		"export X=$(date +%s)":                     false,
		"export X=a-$(aws s3 ls)":                  false,
		"export X=$(aws s3 ls || echo none)":       false,
		"export X=$(aws s3 ls 2>/dev/null)":        false,
		"export X=$(aws s3 ls | head -1)":          false,
		"export X=$(aws s3 ls); [ -n \"$X\" ]":     false,
		"export X=$(aws s3 ls); : ${X:?}":          false,
		"export X=$Y":                              false,
	} {
		got := false
		for _, name := range names(lint.Input{Variables: []string{"Y"}}, commands(command)) {
			got = got || name == "hidden-failure"
		}
		if got != want {
			t.Errorf("%q: reported %t, want %t", command, got, want)
		}
	}
}

func TestGitInArtifacts_Patterns(t *testing.T) {
	t.Parallel()
	source := fstest.MapFS{".git/HEAD": {}, "a": {}}
	for _, test := range []struct {
		artifacts string
		in        lint.Input
		want      bool
	}{
		{"files: '**/*'", lint.Input{Source: source}, true},
		{"files: ['a', './**/*']", lint.Input{Source: source}, true},
		{"{files: '**/*', base-directory: .}", lint.Input{Source: source}, true},
		{"{files: '**/*', base-directory: dist}", lint.Input{Source: source}, false},
		{"{files: '**/*', exclude-paths: ['.git/**/*']}", lint.Input{Source: source}, false},
		{"files: '*'", lint.Input{Source: source}, false},
		{"files: '**/*'", lint.Input{}, false},
		{"files: '**/*'", lint.Input{Source: fstest.MapFS{"a": {}}}, false},
		{"files: '**/*'", lint.Input{Source: source,
			Project: &project.Project{Source: project.Source{Type: "CODEPIPELINE"}}}, false},
	} {
		text := commands("make") + "artifacts:\n  " + test.artifacts + "\n"
		if strings.HasPrefix(test.artifacts, "{") {
			text = commands("make") + "artifacts: " + test.artifacts + "\n"
		}
		got := false
		for _, name := range names(test.in, text) {
			got = got || name == "git-in-artifacts"
		}
		if got != test.want {
			t.Errorf("%s: reported %t, want %t", test.artifacts, got, test.want)
		}
	}
	removed := commands("rm -rf .git", "make") + "artifacts: {files: '**/*'}\n"
	if got := names(lint.Input{Source: source}, removed); len(got) > 0 {
		t.Errorf("removed by a command: %v", got)
	}
}

func TestHiddenValues_UntilAnotherValue(t *testing.T) {
	t.Parallel()
	spec, _ := buildspec.Parse("f", []byte(commands(
		"export X=$(aws s3 ls) Y=$(git describe)", "echo $X", "echo ${X:-none} $Y", "X=a", "echo $X $Y",
		"true\nexport Z=$(./id.sh)\necho $Z", "Y=$(git describe)", "echo $Y", "f() { local L=$(aws s3 ls); }; echo $L",
	)))
	at := func(i int) int { return spec.Phases[0].Commands[i].Line }
	x := fmt.Sprintf("export in line %d hides whether aws failed", at(0))
	y := fmt.Sprintf("export in line %d hides whether git failed", at(0))
	z := fmt.Sprintf("export in line %d hides whether id.sh failed", at(5)+1)
	want := map[int]map[string]string{
		at(1): {"X": x}, at(2): {"Y": y}, at(4): {"Y": y}, at(5): {"Z": z},
	}
	if diff := cmp.Diff(want, lint.HiddenValues(lint.Input{Spec: spec})); diff != "" {
		t.Error(diff)
	}
}
