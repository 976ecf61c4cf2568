package cli

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"runtime"
)

// Pager starts the program of PAGER, if the standard output is a terminal. It returns the
// writer for its input, and a function that waits for its end. Without a pager they are the
// standard output, and a function that does nothing.
func (a *App) Pager(ctx context.Context) (io.Writer, func() error) {
	nothing := func() error { return nil }
	pager := a.Env("PAGER")
	if !a.IsTerminal() || pager == "" || pager == "cat" {
		return a.Raw.Out, nothing
	}
	c := exec.CommandContext(ctx, "sh", "-c", pager)
	c.Stdout, c.Stderr, c.Env = a.Raw.Out, a.Raw.Err, os.Environ()
	// As git does: less shows colors, and leaves a text that fits the screen on it.
	for name, value := range map[string]string{"LESS": "FRX", "LV": "-c"} {
		if a.Env(name) == "" {
			c.Env = append(c.Env, name+"="+value)
		}
	}
	in, err := c.StdinPipe()
	if err != nil || c.Start() != nil {
		return a.Raw.Out, nothing
	}
	return in, func() error {
		_ = in.Close() // the user may have left the pager
		if err := c.Wait(); err != nil {
			return fmt.Errorf("PAGER %s: %w", pager, err)
		}
		return nil
	}
}

// OpenFile opens a file with the program that the system has for it. It reports whether there
// is one.
func (a *App) OpenFile(ctx context.Context, name string) bool {
	var command []string
	switch {
	case runtime.GOOS == "darwin":
		command = []string{"open"}
	case runtime.GOOS == "windows":
		command = []string{"rundll32", "url.dll,FileProtocolHandler"}
	case a.Env("DISPLAY") != "" || a.Env("WAYLAND_DISPLAY") != "" || a.Env("BROWSER") != "":
		command = []string{"xdg-open"}
	default:
		return false
	}
	return exec.CommandContext(ctx, command[0], append(command[1:], name)...).Run() == nil
}
