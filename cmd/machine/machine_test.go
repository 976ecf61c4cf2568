package machine

import (
	"testing"

	"github.com/buildlocal/buildlocal/cmd/clitest"
	"github.com/buildlocal/buildlocal/local"
)

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
			{Args: "--format service", Err: "--format service: use text or json"},
			{Args: "--engine podman", Err: "--engine podman: use docker, which also connects to podman"},
			{Args: "buildspec.yml", Err: "takes no arguments"},
			{Args: "--keep", Err: "unknown flag --keep"}, // a flag of run
		})
}
