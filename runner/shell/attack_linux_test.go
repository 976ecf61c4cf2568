package shell_test

import (
	"errors"
	"fmt"
	"os"
	"strings"
	"syscall"
	"testing"

	"github.com/buildlocal/buildlocal/runner/shell"
)

// attacks lists commands of a build, each followed by one that fails. STATE is the state's
// directory. A loop keeps running in the background.
var attacks = []struct{ name, attack, fails string }{
	{"driver's file size limited", "prlimit --pid $PPID --fsize=4096", ": " + strings.Repeat("x", 5000) + "\nexit 7"},
	{"driver's file size limited to nothing", "prlimit --pid $PPID --fsize=0", "exit 7"},
	{"driver's file size limited to a part of a line", "prlimit --pid $PPID --fsize=200", "true\nexit 7"},
	{"script replaced by a link", "echo exit 0 >fake; LOOP ln -sf $PWD/fake STATE/script.sh; POOL", "exit 7"},
	{"script renamed over", "LOOP echo exit 0 >fake; mv -f fake STATE/script.sh; POOL", "exit 7"},
	{"script overwritten", "LOOP echo exit 0 >STATE/script.sh; POOL", "exit 7"},
	{"script emptied while it runs", "LOOP : >STATE/script.sh; POOL",
		"sleep 0.1\n" + strings.Repeat(": a long line\n", 1000) + "exit 7"},
	{"script's exit edited", "LOOP sed -i 's/exit 7/exit 0/' STATE/script.sh; POOL", "exit 7"},
	{"script is a directory", "rm -f STATE/script.sh; mkdir STATE/script.sh", "exit 7"},
	{"script is a pipe", "rm -f STATE/script.sh; mkfifo STATE/script.sh", "exit 7"},
	{"script is a device", "ln -sf /dev/null STATE/script.sh", "exit 7"},
	{"variables end the shell", "LOOP echo exit 0 >STATE/env.sh; POOL", "exit 7"},
	{"variables end the shell as complete ones", "LOOP printf '%s\\n' 'set -- complete' 'exit 0' >STATE/env.sh; POOL",
		"exit 7"},
	{"variables end the shell once",
		"trap 'printf \"%s\\n\" \"set -- complete\" \"exit 0\" >STATE/env.sh' EXIT", "exit 7"},
	{"variables emptied", "trap ': >STATE/env.sh' EXIT", "exit 7"},
	{"variables removed", "trap 'rm -f STATE/env.sh' EXIT", "exit 7"},
	{"variables are a directory", "trap 'rm -f STATE/env.sh; mkdir STATE/env.sh' EXIT", "exit 7"},
	{"variables are a pipe", "trap 'rm -f STATE/env.sh; mkfifo STATE/env.sh' EXIT", "exit 7"},
	{"directory emptied", "trap ': >STATE/dir.txt' EXIT", "exit 7"},
	{"directory is a pipe", "trap 'rm -f STATE/dir.txt; mkfifo STATE/dir.txt' EXIT", "exit 7"},
	{"all removed", "trap 'rm -rf STATE/*' EXIT", "exit 7"},
	{"command's file size limited", "ulimit -f 0 && X=$(head -c 3000 /dev/zero | tr '\\0' x)", "exit 7"},
	{"function written to the driver's input", "for fd in /proc/$PPID/fd/*; do " +
		"printf 'run() { printf \"\\\\036$1\\\\036\"; echo $1 0 >&2; }\\n' >$fd; done; true", "exit 7"},
	{"text written to the driver's input", "for fd in /proc/$PPID/fd/*; do printf 'no newline' >$fd; done; true",
		"exit 7"},
	{"answers written to the driver's output", "echo 0 0 >/proc/$PPID/fd/2; printf 0 >/proc/$PPID/fd/2", "exit 7"},
}

// expand replaces the words of an attack.
func expand(attack, state string) string {
	words := strings.NewReplacer("STATE", state, "LOOP", "{ while :; do", "POOL", "done; } >/dev/null 2>&1 &")
	return words.Replace(attack)
}

func TestRun_AttackedStateNeverSucceeds(t *testing.T) {
	for _, a := range attacks {
		t.Run(a.name, func(t *testing.T) {
			onEvery(t, func(t *testing.T, b *build) {
				_, _ = b.Run(t.Context(), expand(a.attack, b.state))
				for range 5 {
					exit, err := b.Run(t.Context(), a.fails)
					if exit == 0 && err == nil {
						t.Fatalf("exit status 0, want a failure; output %q", b.printed())
					}
				}
			})
		})
	}
}

func TestRun_TruncatedStateIsAFault(t *testing.T) {
	for name, want := range map[string]string{
		"driver's file size limited":                     "the size of files is limited",
		"script is a directory":                          "script.sh",
		"script is a device":                             "script.sh",
		"variables emptied":                              "env.sh was removed or truncated",
		"command's file size limited":                    "limits the size of files",
		"variables end the shell once":                   "env.sh was re",
		"variables are a pipe":                           "env.sh is not a regular file",
		"function written to the driver's input":         "ended with exit status 1",
		"driver's file size limited to nothing":          "the size of files is limited",
		"driver's file size limited to a part of a line": "the size of files is limited",
	} {
		t.Run(name, func(t *testing.T) {
			onEvery(t, func(t *testing.T, b *build) {
				var err error
				for _, a := range attacks {
					if a.name == name {
						_, first := b.Run(t.Context(), expand(a.attack, b.state))
						_, second := b.Run(t.Context(), a.fails)
						err = errors.Join(first, second)
					}
				}
				var fault *shell.StateError
				if !errors.As(err, &fault) && !errors.Is(err, shell.ErrEnded) || !strings.Contains(fmt.Sprint(err), want) {
					t.Errorf("got %v, want a fault that contains %q", err, want)
				}
			})
		})
	}
}

func TestRun_FullStateDirectoryIsAFault(t *testing.T) {
	long := "echo begun\n" + strings.Repeat(": "+strings.Repeat("x", 70)+"\n", 90) + "exit 7"
	for name, commands := range map[string][]string{
		"the script":              {"head -c 1048576 /dev/zero >STATE/fill", long},
		"the script's end":        {"head -c 61440 /dev/zero >STATE/fill", long},
		"a script that is longer": {": " + strings.Repeat("x", 70_000) + "\nexit 7"},
		"the variables": {"head -c 1048576 /dev/zero >STATE/fill; " +
			"KEPT=$(printf '%20000s' x)", "[ \"$KEPT\" ]; exit 7"},
	} {
		t.Run(name, func(t *testing.T) {
			for _, s := range shells {
				t.Run(s.name, func(t *testing.T) { full(t, confined(t, s.driver, s.runs), commands) })
			}
		})
	}
}

// full runs commands, the last of which does not fit into the state directory.
func full(t *testing.T, b *build, commands []string) {
	t.Helper()
	for _, c := range commands[:len(commands)-1] {
		_, _ = b.Run(t.Context(), strings.ReplaceAll(c, "STATE", b.state))
	}
	exit, err := b.Run(t.Context(), commands[len(commands)-1])
	if err == nil || !strings.Contains(err.Error(), "no space left in "+b.state) {
		t.Errorf("exit status %d, %v; want no space left in %s; output %q", exit, err, b.state, b.printed())
	}
}

// confined starts a driver whose state is in a file system of 64 KiB.
func confined(t *testing.T, driver []string, runs string) *build {
	return launch(t, launchOptions{
		driver: driver, runs: runs, keep: true,
		within: `mount -t tmpfs -o size=64k tmpfs "$0" && exec "$@"`,
		attr: &syscall.SysProcAttr{
			Setsid: true, Cloneflags: syscall.CLONE_NEWUSER | syscall.CLONE_NEWNS,
			UidMappings: []syscall.SysProcIDMap{{HostID: os.Getuid(), Size: 1}},
			GidMappings: []syscall.SysProcIDMap{{HostID: os.Getgid(), Size: 1}},
		}})
}
