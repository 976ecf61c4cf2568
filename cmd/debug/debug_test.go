package debug

import (
	"slices"
	"testing"

	"github.com/buildlocal/buildlocal/cmd/clitest"
	"github.com/buildlocal/buildlocal/control"
)

func TestNewExec_Flags(t *testing.T) {
	t.Parallel()
	clitest.Flags(t, NewExec, func(o *ExecOptions) any { return *o }, []clitest.Case{
		{Args: "12 -- ls -la", Want: ExecOptions{Args: []string{"12", "--", "ls", "-la"}}},
		{Args: "-- ls -t", Want: ExecOptions{Args: []string{"ls", "-t"}, Dashed: true}},
		{Args: "-t -u app -w /tmp -e A=1 -e UNSET --no-env ls -t", Want: ExecOptions{Args: []string{"ls", "-t"},
			Request: control.ExecRequest{TTY: true, User: "app", Dir: "/tmp", Env: []string{"A=1"}, NoEnv: true}}},
		{Args: "12 --script ls", Want: ExecOptions{Args: []string{"12", "--script", "ls"}}},
		{Args: "--script ls 12", Want: ExecOptions{Args: []string{"12"}, Request: control.ExecRequest{Script: "ls"}}},
		{Args: "", Err: "no command to run"},
		{Args: "-w tmp ls", Err: "--workdir tmp: must be an absolute path"},
		{Args: "-e =1 ls", Err: "--env =1: expected NAME=VALUE"},
		{Args: "--script ls -u app", Err: "--script cannot be combined"},
		{Args: "--scrpt ls", Err: "did you mean --script?"},
	})
}

func TestExecOptions_Split(t *testing.T) {
	t.Parallel()
	isBuild := func(word string) bool { return word == "12" || word == "latest" }
	for _, test := range []struct {
		options ExecOptions
		build   string
		command []string // nil for an error
	}{
		{ExecOptions{Args: []string{"12", "--", "ls"}}, "12", []string{"ls"}},
		{ExecOptions{Args: []string{"13", "--", "ls"}}, "13", []string{"ls"}},
		{ExecOptions{Args: []string{"latest", "ls", "--", "x"}}, "latest", []string{"ls", "--", "x"}},
		{ExecOptions{Args: []string{"ls", "12"}}, "", []string{"ls", "12"}},
		{ExecOptions{Args: []string{"12", "x"}, Dashed: true}, "", []string{"12", "x"}},
		{ExecOptions{Args: []string{"12"}}, "", nil},
		{ExecOptions{Args: []string{"12", "--"}}, "", nil},
		{ExecOptions{Args: []string{"12", "ls"}, Request: control.ExecRequest{Script: "ls"}}, "", nil},
	} {
		build, command, err := test.options.split(isBuild)
		if (err != nil) != (test.command == nil) || build != test.build || !slices.Equal(command, test.command) {
			t.Errorf("%+v: got %q, %q, %v", test.options, build, command, err)
		}
	}
}

func TestNewShell_Flags(t *testing.T) {
	t.Parallel()
	clitest.Flags(t, NewShell, func(o *ShellOptions) any { return *o }, []clitest.Case{
		{Args: "", Want: ShellOptions{}},
		{Args: "12 -u app --shell dash --no-env --drop", Want: ShellOptions{Build: "12",
			Request: control.ShellRequest{User: "app", Shell: "dash", NoEnv: true, Drop: true}}},
		{Args: "--no-tty", Want: ShellOptions{Request: control.ShellRequest{NoTTY: true}}},
		{Args: "--keep --drop", Err: "--keep and --drop cannot be combined"},
		{Args: "--keep --no-tty", Err: "--no-tty and --keep cannot be combined"},
		{Args: "1 2", Err: "shell takes one build, got 1 and 2"},
	})
}

func TestNewAttach_Flags(t *testing.T) {
	t.Parallel()
	clitest.Flags(t, NewAttach, func(o *AttachOptions) any { return *o }, []clitest.Case{
		{Args: "12 --watch", Want: AttachOptions{Build: "12", Watch: true}},
		{Args: "1 2", Err: "attach takes one build"},
	})
}

func TestNewResume_Flags(t *testing.T) {
	t.Parallel()
	clitest.Flags(t, NewResume, func(o *ResumeOptions) any { return *o }, []clitest.Case{
		{Args: "", Want: ResumeOptions{Answer: control.AnswerContinue}},
		{Args: "12 --retry", Want: ResumeOptions{Build: "12", Answer: control.AnswerRetry}},
		{Args: "--skip", Want: ResumeOptions{Answer: control.AnswerSkip}},
		{Args: "--ignore", Want: ResumeOptions{Answer: control.AnswerIgnore}},
		{Args: "--abort", Want: ResumeOptions{Answer: control.AnswerAbort}},
		{Args: "--abort --retry", Err: "--retry and --abort cannot be combined"},
	})
}

func TestNewForward_Flags(t *testing.T) {
	t.Parallel()
	const local = "127.0.0.1"
	clitest.Flags(t, NewForward, func(o *ForwardOptions) any { return *o }, []clitest.Case{
		{Args: "8080", Want: ForwardOptions{Args: []string{"8080"}, Address: local}},
		{Args: "12 0:80 443/tcp --address ::1", Want: ForwardOptions{Address: "::1",
			Args: []string{"12", "0:80", "443/tcp"}}},
		{Args: "", Err: "no port to forward"},
		{Args: "0", Err: "0: expected PORT or LOCAL:PORT"},
		{Args: "65536", Err: "65536: expected PORT or LOCAL:PORT"},
		{Args: "12 80:90:100", Err: "80:90:100: expected PORT or LOCAL:PORT"},
		{Args: "53/udp", Err: "53/udp: only TCP ports are forwarded, not udp"},
		{Args: "80 --address localhost", Err: "--address localhost: not an IP address"},
	})
}

func TestForwardOptions_Split(t *testing.T) {
	t.Parallel()
	isBuild := func(word string) bool { return word == "12" }
	for _, test := range []struct {
		args  []string
		build string
		ports []forwarded
	}{
		{[]string{"12"}, "", []forwarded{{12, 12}}},
		{[]string{"12", "12"}, "12", []forwarded{{12, 12}}},
		{[]string{"80", "12"}, "", []forwarded{{80, 80}, {12, 12}}},
		{[]string{"12:80", "0:443"}, "", []forwarded{{12, 80}, {0, 443}}},
	} {
		o := &ForwardOptions{Args: test.args}
		build, ports, err := o.split(isBuild)
		if err != nil || build != test.build || !slices.Equal(ports, test.ports) {
			t.Errorf("%q: got %q, %v, %v", test.args, build, ports, err)
		}
	}
}
