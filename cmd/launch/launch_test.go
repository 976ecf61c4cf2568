package launch_test

import (
	"encoding/json"
	"testing"

	"github.com/spf13/pflag"

	"github.com/buildlocal/buildlocal/cmd/launch"
)

// TestArguments_Set sets flags from JSON values, and reports all values of wrong types.
func TestArguments_Set(t *testing.T) {
	t.Parallel()
	var a launch.Arguments
	text := `{"image": "node", "timeout": 5, "privileged": true, "env": {"B": 2, "A": "x=y"}, "break": ["build:1", ":4"],
		"only": "build", "type": "t", "__id": [], "imag": "x", "step": "yes", "source": true, "skip": [[]],
		"region": {"x": 1}, "format": "json", "program": 7}`
	if err := json.Unmarshal([]byte(text), &a); err != nil {
		t.Fatal(err)
	}
	flags := pflag.NewFlagSet("run", pflag.ContinueOnError)
	for _, name := range []string{"image", "timeout", "source", "region", "format"} {
		flags.String(name, "", "")
	}
	for _, name := range []string{"env", "break", "only", "skip"} {
		flags.StringArray(name, nil, "")
	}
	flags.Bool("privileged", false, "")
	flags.Bool("step", false, "")
	if _, err := a.Text("program"); err == nil {
		t.Error("a number is a text")
	}
	errs := a.Set(flags, map[string]string{"format": "the editor shows the build"})
	if len(errs) != 6 {
		t.Errorf("%d errors: %v", len(errs), errs)
	}
	for name, want := range map[string]string{
		"image": "node", "timeout": "5", "privileged": "true", "env": "[A=x=y,B=2]", "break": "[build:1,:4]",
		"only": "[build]", "source": "", "step": "false",
	} {
		if got := flags.Lookup(name).Value.String(); got != want {
			t.Errorf("%s is %s, want %s", name, got, want)
		}
	}
}
