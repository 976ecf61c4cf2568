package project

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// host is an environment to look names up in.
func host(name string) (string, bool) {
	value, ok := map[string]string{"HOME": "/home/me", "EMPTY": "", "HASH": " a # b "}[name]
	return value, ok
}

func TestParseEnvFile_LiteralValues(t *testing.T) {
	t.Parallel()
	tests := []struct{ title, text, name, want string }{
		{"plain", "A=b\n", "A", "b"},
		{"no end of line", "A=b", "A", "b"},
		{"empty", "A=\n", "A", ""},
		{"an equals sign", "A=b=c\n", "A", "b=c"},
		{"blanks around", "A =  b c  \n", "A", "b c"},
		{"indented", "  A=b\n", "A", "b"},
		{"CRLF", "A=b\r\nB=c\r\n", "A", "b"},
		{"byte order mark", "\xef\xbb\xbfA=b\n", "A", "b"},
		{"UTF-16", "\xff\xfeA\x00=\x00b\x00\n\x00", "A", "b"},
		{"export", "export A=b\n", "A", "b"},
		{"export with tab", "export\tA=b\n", "A", "b"},
		{"a name that begins with export", "exported=b\n", "exported", "b"},
		{"a variable called export", "export=b\n", "export", "b"},
		{"comment", "A=b # c\n", "A", "b"},
		{"comment after a tab", "A=b\t#c\n", "A", "b"},
		{"comment alone", "A= # c\n", "A", ""},
		{"hash", "A=#fff\n", "A", "#fff"},
		{"hash inside", "A=b#c\n", "A", "b#c"},
		{"inner quotes", `A=b"c"'d'`, "A", `b"c"'d'`},
		{"dollars", "A=$HOME ${HOME} $(id)\n", "A", "$HOME ${HOME} $(id)"},
		{"backslashes", `A=C:\new`, "A", `C:\new`},
		{"single quotes", `A='$HOME \n "b" # c' # d`, "A", `$HOME \n "b" # c`},
		{"double quotes", `A="b # 'c'"`, "A", "b # 'c'"},
		{"escapes", `A="\n\r\t\"\\\$\x"`, "A", "\n\r\t\"\\$\\x"},
		{"an escaped backslash before n", `A="\\n"`, "A", `\n`},
		{"dollars in double quotes", `A="$HOME ${HOME}"`, "A", "$HOME ${HOME}"},
		{"two lines in single quotes", "A='b\n c'\n", "A", "b\n c"},
		{"two lines in double quotes", "A=\"b\r\nc\"\r\n", "A", "b\nc"},
		{"blanks inside quotes", "A= ' b ' \n", "A", " b "},
		{"taken from the host", "HOME\n", "HOME", "/home/me"},
		{"taken from the host, with export and comment", "export HOME # a=b\n", "HOME", "/home/me"},
		{"empty on the host", "EMPTY\n", "EMPTY", ""},
		{"not parsed again", "HASH\n", "HASH", " a # b "},
	}
	for _, test := range tests {
		t.Run(test.title, func(t *testing.T) {
			t.Parallel()
			got, problems := ParseEnvFile(".env", []byte(test.text), host)
			want := Variable{Name: test.name, Value: test.want, Type: Plaintext, Line: 1}
			if len(got) == 0 || len(problems) > 0 {
				t.Fatalf("got %v\n%s", got, problems.Error())
			}
			if diff := cmp.Diff(want, got[0]); diff != "" {
				t.Errorf("variable (-want +got):\n%s", diff)
			}
		})
	}
}

func TestParseEnvFile_VariableLines(t *testing.T) {
	t.Parallel()
	text := "# first\n\nA=1\n   # second\nB='x\ny' # third\nC=2\n\t\nD=\"\n\n\"\nE=3"
	got, problems := ParseEnvFile(".env", []byte(text), nil)
	want := []Variable{
		{Name: "A", Value: "1", Type: Plaintext, Line: 3},
		{Name: "B", Value: "x\ny", Type: Plaintext, Line: 5},
		{Name: "C", Value: "2", Type: Plaintext, Line: 7},
		{Name: "D", Value: "\n\n", Type: Plaintext, Line: 9},
		{Name: "E", Value: "3", Type: Plaintext, Line: 12},
	}
	if diff := cmp.Diff(want, got); diff != "" || len(problems) > 0 {
		t.Errorf("variables (-want +got):\n%s%s", diff, problems.Error())
	}
}

var envProblems = []struct{ title, text, want string }{
	{
		"not a name", "my-var=a\n  export 1ST=b\n",
		`.env:1:1: error: invalid variable name "my-var"
hint: use letters, digits and "_", and do not begin with a digit
.env:2:10: error: invalid variable name "1ST"
hint: use letters, digits and "_", and do not begin with a digit`,
	},
	{
		"no name", "A=1\n=b\nexport =c\n",
		`.env:2:1: error: no name before the "="
hint: write NAME=VALUE
.env:3:8: error: no name before the "="
hint: write NAME=VALUE`,
	},
	{
		"a key without quotes", "KEY=-----BEGIN KEY-----\nMIIEvgIBADANBgkqhkiG9w0BAQEFAASCBKgwggSkAgEAAoIBAQC7/Q==\n" +
			"abc/def\n-----END KEY-----\n",
		`.env:2:1: error: the line is neither NAME=VALUE nor NAME
hint: put a value of several lines in quotes
.env:3:1: error: the line is neither NAME=VALUE nor NAME
hint: put a value of several lines in quotes
.env:4:1: error: the line is neither NAME=VALUE nor NAME
hint: put a value of several lines in quotes`,
	},
	{
		"an open quote", "A=1\nB=\"two\nlines\n",
		`.env:2:1: error: the value of B begins with " on line 2 but has no closing "`,
	},
	{
		"a quote closed by an escaped quote", `A="b\"`,
		`.env:1:1: error: the value of A begins with " on line 1 but has no closing "`,
	},
	{
		"text behind a quote", "A='x\ny'z\nB=\"b\"#c\nC=3\n",
		`.env:2: error: text after the closing ' of A
hint: end the line there, or begin a comment with " #"
.env:3: error: text after the closing " of B
hint: end the line there, or begin a comment with " #"`,
	},
	{
		"not set on the host", "NOWHERE\nHOME\n",
		`.env:1:1: warning: NOWHERE is ignored, because it is not set in your environment`,
	},
	{
		"twice", "A=1\nB=2\nA=3\nA=4\n",
		`.env:3:1: warning: A is already defined on line 1; the last definition wins
.env:4:1: warning: A is already defined on line 3; the last definition wins`,
	},
	{
		"reserved", "CODEBUILD_CI=true\n",
		`.env:1:1: warning: "CODEBUILD_CI" begins with CODEBUILD_, which CodeBuild reserves
hint: use another name`,
	},
	{
		"a NUL", "A=1\nB=a\x00b\n",
		`.env:2:4: error: NUL character
hint: remove it, or save the file as UTF-8`,
	},
	{
		"too large", strings.Repeat("#", maxSize+1),
		`.env: error: the file has 1048577 bytes; the maximum for an environment file is 1048576`,
	},
}

func TestParseEnvFile_ProblemsHideValues(t *testing.T) {
	t.Parallel()
	for _, test := range envProblems {
		t.Run(test.title, func(t *testing.T) {
			t.Parallel()
			_, problems := ParseEnvFile(".env", []byte(test.text), host)
			if diff := cmp.Diff(test.want, problems.Error()); diff != "" {
				t.Errorf("problems (-want +got):\n%s", diff)
			}
		})
	}
}

func TestParseEnvFile_ContinuesAfterProblem(t *testing.T) {
	t.Parallel()
	got, _ := ParseEnvFile(".env", []byte("a-b=1\nA='x'y\nB=2\nB=3\nNOWHERE\nC=4\nD='\nE=5\n"), host)
	want := []Variable{
		{Name: "B", Value: "3", Type: Plaintext, Line: 4},
		{Name: "C", Value: "4", Type: Plaintext, Line: 6},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("variables (-want +got):\n%s", diff)
	}
}

func FuzzParseEnvFile(f *testing.F) {
	for _, test := range envProblems {
		f.Add([]byte(test.text))
	}
	f.Add([]byte("export A=b # c\r\nHOME\nB='x\n'\nC=\"\\n\\\"\" #"))
	f.Fuzz(func(t *testing.T, text []byte) {
		vars, problems := ParseEnvFile(".env", text, host)
		seen := map[string]bool{}
		for _, v := range vars {
			if !ValidName(v.Name) || seen[v.Name] || strings.ContainsRune(v.Value, 0) || v.Line < 1 {
				t.Errorf("variable %+v", v)
			}
			seen[v.Name] = true
		}
		if len(problems) > 2*maxProblems+2 {
			t.Errorf("%d problems", len(problems))
		}
	})
}
