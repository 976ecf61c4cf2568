package machine

import (
	"testing"

	"github.com/buildlocal/buildlocal/cmd/clitest"
	"github.com/buildlocal/buildlocal/local"
)

func TestNewStop_Flags(t *testing.T) {
	t.Parallel()
	clitest.Flags(t, NewStop, func(o *StopOptions) any { return *o }, []clitest.Case{
		{Args: "", Want: StopOptions{Names: []string{}}},
		{Args: "12 shop-13", Want: StopOptions{Names: []string{"12", "shop-13"}}},
		{Args: "--all", Want: StopOptions{Names: []string{}, All: true}},
		{Args: "--all 12", Err: "--all cannot be combined"},
		{Args: "--al", Err: "unknown flag --al; did you mean --all?"},
	})
}

func TestNewDoctor_Flags(t *testing.T) {
	t.Parallel()
	type view struct {
		image, format string
		engine        local.EngineKind
	}
	clitest.Flags(t, NewDoctor, func(o *DoctorOptions) any { return view{o.Image.Name, o.Format, o.Engine.Kind} },
		[]clitest.Case{
			{Args: "", Want: view{"", "text", "auto"}},
			{Args: "-i node:22 --engine sandbox", Want: view{"node:22", "text", "sandbox"}},
			{Args: "--format json", Want: view{"", "json", "auto"}},
			{Args: "--format service", Err: `--format: invalid value "service"; expected text or json`},
			{Args: "--engine podman", Err: "--engine:"},
			{Args: "buildspec.yml", Err: "takes no arguments"},
			{Args: "--keep", Err: "unknown flag --keep"}, // a flag of run
		})
}

func TestAmbiguousNumber(t *testing.T) {
	t.Parallel()
	running := make([]local.Resource, 3)
	for i, name := range []string{"1-aaaaaaaa", "1-bbbbbbbb", "2-cccccccc"} {
		running[i].Labels = map[string]string{local.LabelBuild: name}
	}
	for name, want := range map[string]bool{"1": true, "2": false, "1-aaaaaaaa": false} {
		if got := ambiguousNumber([]string{name}, running); (got != "") != want {
			t.Errorf("%s: got %q, want a message: %v", name, got, want)
		}
	}
}
