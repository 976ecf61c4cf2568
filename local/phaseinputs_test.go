package local

import (
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestRequest_InputsOf(t *testing.T) {
	t.Parallel()
	r := New(".")
	r.Inputs = []string{"install=package*.json", "INSTALL=ci", "build="}
	for phase, want := range map[string][]string{
		"INSTALL": {"package*.json", "ci"}, "BUILD": {}, "POST_BUILD": nil,
	} {
		if diff := cmp.Diff(want, r.InputsOf(phase)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", phase, diff)
		}
	}
}

func TestRequest_ValidateInputs(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"install=package*.json": "", "build=": "", "Pre_Build=ci/**": "", "post_build=a{b,c}[0-9]": "",
		"install": "expected PHASE=PATTERN", "instal=a": "did you mean install?", "submitted=a": "expected install,",
		"install=[a": "not a pattern", "install=a{b": "not a pattern", "install=/etc": "relative to the top",
		"build=../a": "relative to the top", "build=a/../../b": "relative to the top", "build=!x": "excludes nothing",
	} {
		r := New(".")
		r.Inputs = []string{text}
		err := errors.Join(r.Validate(0)...)
		if (err == nil) != (want == "") || err != nil && !strings.Contains(err.Error(), want) {
			t.Errorf("%s: got %v; want %q", text, err, want)
		}
	}
	// Both the phase and the pattern of each are wrong.
	r := New(".")
	r.Inputs = []string{"x=[", "y=["}
	if got := len(r.validateInputs()); got != 4 {
		t.Errorf("got %d mistakes; want 4", got)
	}
}
