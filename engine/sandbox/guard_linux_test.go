package sandbox_test

import (
	"bytes"
	"fmt"
	"net"
	"strings"
	"sync"
	"testing"

	"github.com/buildlocal/buildlocal/engine"
	"github.com/buildlocal/buildlocal/engine/sandbox"
)

func TestTheMachinesMetadataIsOutOfReach(t *testing.T) {
	e := engineOf(t, sandbox.Host)
	t.Run("for the first process", func(t *testing.T) {
		var out bytes.Buffer
		ended := make(chan struct{})
		main := &engine.Process{Args: []string{"bash", "-c", "(exec 3<>/dev/tcp/169.254.169.254/80)"}, Stderr: &out}
		c, err := e.Start(t.Context(), engine.Spec{Name: "guard", Mounts: engine.Mounts{Temp: t.TempDir()}, Main: main, Hooks: engine.Hooks{OnExit: func(int, error) { close(ended) }}})
		need(t, err)
		<-ended
		if err := c.Close(t.Context()); err != nil || !strings.Contains(out.String(), "No route to host") {
			t.Errorf("%v: %s", err, out.String())
		}
	})
	var mu sync.Mutex
	said := ""
	c, err := e.Start(t.Context(), engine.Spec{Name: "guard", Mounts: engine.Mounts{Temp: t.TempDir()}, Hooks: engine.Hooks{OnWarning: func(format string, args ...any) {
		mu.Lock()
		defer mu.Unlock()
		said += fmt.Sprintf(format, args...) + "\n"
	}}})
	need(t, err)
	defer c.Close(t.Context())
	for _, address := range []string{"169.254.169.254/80", "169.254.170.2/80", "fd00:ec2::254/80", "::ffff:169.254.169.254/80", "169.254.169.254/80"} {
		if out := connect(t, c, address); !strings.Contains(out, "No route to host") {
			t.Errorf("%s: %s", address, out)
		}
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	if out := connect(t, c, strings.Replace(l.Addr().String(), ":", "/", 1)); out != "" {
		t.Errorf("another address: %s", out)
	}
	mu.Lock()
	defer mu.Unlock()
	if strings.Count(said, "169.254.169.254 was blocked") != 1 || strings.Count(said, "\n") != 3 {
		t.Errorf("said: %s", said)
	}
}

// connect connects from inside, as address/port, and returns what is complained.
func connect(t *testing.T, c engine.Container, address string) string {
	t.Helper()
	var out bytes.Buffer
	_, err := c.Exec(t.Context(), engine.Process{Args: []string{"bash", "-c", "exec 3<>/dev/tcp/" + address}, Stdout: &out, Stderr: &out})
	if err != nil {
		t.Fatal(err)
	}
	return out.String()
}
