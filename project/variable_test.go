package project

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestValidName_ShellNames(t *testing.T) {
	t.Parallel()
	for name, want := range map[string]bool{
		"A": true, "_": true, "a1_B": true,
		"": false, "1A": false, "A-B": false, "A B": false, "A.B": false, "Ä": false, "A\n": false,
	} {
		if got := ValidName(name); got != want {
			t.Errorf("ValidName(%q) = %t, want %t", name, got, want)
		}
	}
}

func TestReservedName_Prefix(t *testing.T) {
	t.Parallel()
	for name, want := range map[string]bool{"CODEBUILD_SRC_DIR": true, "CODEBUILD": false, "MY_CODEBUILD_X": false} {
		if got := ReservedName(name); got != want {
			t.Errorf("ReservedName(%q) = %t, want %t", name, got, want)
		}
	}
}

func TestParseEnvFlag_LiteralValue(t *testing.T) {
	t.Parallel()
	for arg, value := range map[string]string{
		"A=b": "b", "A=": "", "A= b # c ": " b # c ", `A="b"`: `"b"`, "A=b=c": "b=c", "A=$HOME\n": "$HOME\n",
	} {
		got, err := ParseEnvFlag(arg, host)
		if err != nil {
			t.Errorf("ParseEnvFlag(%q): %v", arg, err)
		}
		if diff := cmp.Diff(Variable{Name: "A", Value: value, Type: Plaintext}, got); diff != "" {
			t.Errorf("ParseEnvFlag(%q) (-want +got):\n%s", arg, diff)
		}
	}
}

func TestParseEnvFlag_NameOnly(t *testing.T) {
	t.Parallel()
	got, err := ParseEnvFlag("HOME", host)
	if want := (Variable{Name: "HOME", Value: "/home/me", Type: Plaintext}); err != nil || got != want {
		t.Errorf("got %+v, %v; want %+v", got, err, want)
	}
}

func TestParseEnvFlag_Errors(t *testing.T) {
	t.Parallel()
	for arg, want := range map[string]string{
		"":         `the variable has no name; use NAME=VALUE or NAME`,
		"=secret":  `the variable has no name; use NAME=VALUE or NAME`,
		"my-var=a": `invalid variable name "my-var"; use letters, digits and "_", and do not begin with a digit`,
		"NOWHERE":  `variable NOWHERE is not set in your environment; set it, or write NOWHERE=VALUE`,
		"A=a\x00b": `the value of variable A contains a NUL character; remove it`,
		"A\x1b[m=1": `invalid variable name "A` + "\uFFFD" +
			`[m"; use letters, digits and "_", and do not begin with a digit`,
	} {
		_, err := ParseEnvFlag(arg, host)
		if err == nil || err.Error() != want {
			t.Errorf("ParseEnvFlag(%q): got %v, want %s", arg, err, want)
		}
		if err != nil && strings.Contains(err.Error(), "secret") {
			t.Errorf("ParseEnvFlag(%q) shows the value", arg)
		}
	}
}
