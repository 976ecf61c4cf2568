package runtimes_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/buildlocal/buildlocal/runtimes"
)

const table = `version: 0.1
runtimes:
  android:
    versions:
      29: {requires: {java: [corretto8]}, commands: [echo android 29]}
  java:
    versions:
      corretto8: {commands: [echo java 8]}
      corretto11: {commands: [echo java 11]}
  nodejs:
    versions:
      10: {commands: [echo node 10]}
      "18": {commands: [echo node 18]}
      9: {commands: [echo node 9]}
      default: {commands: [echo node $VERSION]}
  python:
    versions:
      3.9: {commands: [echo python 3.9]}
      3.10: {commands: [echo python 3.10, second]}
`

func read(t *testing.T) runtimes.Table {
	t.Helper()
	got, err := runtimes.Read([]byte(table))
	if err != nil {
		t.Fatal(err)
	}
	return got
}

func TestChoose_LikeCodeBuild(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		wishes []runtimes.Wish
		want   string // the selection, or the error
	}{
		"the same text":     {[]runtimes.Wish{{"python", "3.10"}}, "python 3.10"},
		"a wildcard":        {[]runtimes.Wish{{"python", "3.x"}}, "python 3.10"},
		"a wildcard of one": {[]runtimes.Wish{{"java", "corretto8.x"}}, "java corretto8"},
		"latest by number": {[]runtimes.Wish{{"nodejs", "latest"}, {"python", "latest"}, {"java", "latest"}},
			"nodejs 18, python 3.10, java corretto11"},
		"a custom version": {[]runtimes.Wish{{"nodejs", "18.20.1"}}, "nodejs 18.20.1 VERSION=18.20.1"},
		"no custom version": {[]runtimes.Wish{{"python", "3.10.1"}},
			"Unknown runtime version named '3.10.1' of python. This build image has the following versions: 3.9, 3.10"},
		"an unknown version": {[]runtimes.Wish{{"nodejs", "banana"}},
			"Unknown runtime version named 'banana' of nodejs. This build image has the following versions: 9, 10, 18"},
		"an unknown runtime": {[]runtimes.Wish{{"docker", "19"}},
			"Unknown runtime named 'docker'. This build image has the following runtimes: android, java, nodejs, python"},
		"the template's name": {[]runtimes.Wish{{"java", "default"}},
			"Unknown runtime version named 'default' of java. This build image has the following versions: corretto8, " +
				"corretto11"},
		"one that needs one": {[]runtimes.Wish{{"android", "29"}}, "android 29, java corretto8 for android"},
		"it is selected too": {[]runtimes.Wish{{"android", "29"}, {"java", "corretto8"}}, "android 29, java corretto8"},
		"a conflict": {[]runtimes.Wish{{"java", "corretto11"}, {"android", "29"}},
			"Runtime 'android' version '29' needs java corretto8, and version 'corretto11' of it is selected"},
		"the first of mistake": {[]runtimes.Wish{{"python", "3.9"}, {"nodejs", "x"}},
			"Unknown runtime version named 'x' of nodejs. This build image has the following versions: 9, 10, 18"},
	}
	for name, test := range tests {
		var said []string
		choices, err := read(t).Choose(test.wishes, func(f string, args ...any) {
			said = append(said,
				fmt.Sprintf(f, args...))
		})
		if got := describe(choices, err); got != test.want {
			t.Errorf("%s:\n got %s\nwant %s", name, got, test.want)
		}
		if len(said) < len(choices) {
			t.Errorf("%s: %d choices, said %q", name, len(choices), said)
		}
	}
}

func describe(choices []runtimes.Choice, err error) string {
	var unknown *runtimes.Unknown
	if errors.As(err, &unknown) {
		return unknown.Message
	}
	var all []string
	for _, c := range choices {
		text := c.Name + " " + c.Version
		if c.Env != "" {
			text += " VERSION=" + c.Env
		}
		if c.Needed != "" {
			text += " for " + c.Needed
		}
		all = append(all, text)
	}
	return strings.Join(all, ", ")
}

func TestChoose_Commands(t *testing.T) {
	t.Parallel()
	choices, err := read(t).Choose([]runtimes.Wish{{Name: "python", Version: "3.10"}}, func(string, ...any) {})
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"echo python 3.10", "second"}, choices[0].Commands); diff != "" {
		t.Error(diff)
	}
}

func FuzzRead(f *testing.F) {
	f.Add([]byte(table), "latest")
	f.Add([]byte("runtimes: {a: {versions: {b: }}}"), "b.x")
	f.Fuzz(func(t *testing.T, text []byte, version string) {
		got, err := runtimes.Read(text)
		if err != nil {
			return
		}
		for name := range got {
			_, _ = got.Choose([]runtimes.Wish{{Name: name, Version: version}}, func(string, ...any) {})
		}
	})
}

func TestUnknown_Nearest(t *testing.T) {
	t.Parallel()
	for wanted, want := range map[string]string{
		"3.12": "3.10", "3.9.1": "3.9", "3.1": "3.9", "2.7": "3.9", "4": "3.10", "lastest": "latest", "new": "",
	} {
		u := runtimes.Unknown{Name: "python", Version: wanted, Known: []string{"3.9", "3.10"}}
		if got := u.Nearest(); got != want {
			t.Errorf("%s: got %q, want %q", wanted, got, want)
		}
	}
	u := runtimes.Unknown{Name: "java", Version: "corretto12", Known: []string{"corretto8", "corretto11", "corretto17"}}
	if got := u.Nearest(); got != "corretto17" {
		t.Errorf("got %q", got)
	}
}
