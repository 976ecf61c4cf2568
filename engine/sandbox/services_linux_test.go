package sandbox_test

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/buildlocal/buildlocal/engine"
	"github.com/buildlocal/buildlocal/engine/sandbox"
)

// TestOtherUsersOfTheMachineDoNotReachAService: its port is one of 127.0.0.1, and
// answers only who runs the build.
func TestOtherUsersOfTheMachineDoNotReachAService(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("only root becomes another user")
	}
	before := listening(t)
	c, err := engineOf(t, sandbox.Host).Start(t.Context(), engine.Spec{Name: "services", Mounts: engine.Mounts{Temp: t.TempDir()}, Network: engine.Network{Services: []engine.Service{{
		Address: "169.254.170.2:80",
		Serve: func(l net.Listener) error {
			return http.Serve(l, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "served") }))
		},
	}}}})
	need(t, err)
	defer c.Close(t.Context())
	ports := 0
	for port := range listening(t) {
		if before[port] || !strings.Contains(fetch(t, port, 0), "served") { // of a test beside this one
			continue
		}
		ports++
		if got := fetch(t, port, 65534); strings.Contains(got, "served") {
			t.Errorf("nobody reaches port %d: %s", port, got)
		}
	}
	if ports == 0 {
		t.Error("the service listens nowhere")
	}
}

// fetch asks a port of this machine as a user.
func fetch(t *testing.T, port, user int) string {
	t.Helper()
	c := exec.Command("timeout", "10", "bash", "-c", fmt.Sprintf(`exec 3<>/dev/tcp/127.0.0.1/%d && printf 'GET / HTTP/1.0\r\n\r\n' >&3 && cat <&3`, port))
	c.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: uint32(user), Gid: uint32(user)}}
	out, _ := c.CombinedOutput() // refused in many ways
	return string(out)
}

// listening returns the ports of 127.0.0.1 that somebody listens on.
func listening(t *testing.T) map[int]bool {
	t.Helper()
	text, err := os.ReadFile("/proc/net/tcp")
	if err != nil {
		t.Fatal(err)
	}
	all := map[int]bool{}
	for line := range strings.Lines(string(text)) {
		columns := strings.Fields(line)
		port, local := strings.CutPrefix(columns[1], "0100007F:")
		if number, err := strconv.ParseInt(port, 16, 32); local && err == nil && columns[3] == "0A" {
			all[int(number)] = true
		}
	}
	return all
}
