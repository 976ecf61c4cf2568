package clitest

import (
	"bytes"
	"flag"
	"fmt"
	"io"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/rivo/uniseg"
	"golang.org/x/sys/unix"

	"github.com/buildlocal/buildlocal/cmd/cli"
)

// now is the time of a terminal's App.
var now = time.Date(2026, 7, 4, 15, 9, 39, 0, time.UTC)

// update is the flag of go test that rewrites golden files.
var update = flag.Bool("update", false, "rewrite the golden files")

// Terminal opens a terminal of the kernel with a number of columns. It returns the terminal, and a
// function that closes it and returns everything that was written to it.
func Terminal(t *testing.T, columns int) (tty *os.File, printed func() string) {
	t.Helper()
	host, err := os.OpenFile("/dev/ptmx", os.O_RDWR, 0)
	if err != nil {
		t.Skip("no terminals here:", err)
	}
	fd := int(host.Fd())
	number, err := unix.IoctlGetInt(fd, unix.TIOCGPTN)
	if err == nil {
		err = unix.IoctlSetPointerInt(fd, unix.TIOCSPTLCK, 0)
	}
	if err == nil {
		tty, err = os.OpenFile(fmt.Sprintf("/dev/pts/%d", number), os.O_RDWR|unix.O_NOCTTY, 0)
	}
	if err == nil {
		err = unix.IoctlSetWinsize(int(tty.Fd()), unix.TIOCSWINSZ, &unix.Winsize{Row: 50, Col: uint16(columns)})
	}
	if err != nil {
		t.Fatal(err)
	}
	text := make(chan string, 1)
	go func() {
		var b bytes.Buffer
		_, _ = io.Copy(&b, host) // ends with an error when the last terminal is closed
		text <- strings.ReplaceAll(b.String(), "\r\n", "\n")
	}()
	return tty, func() string {
		defer host.Close()
		tty.Close()
		return <-text
	}
}

// App returns an App whose streams are a terminal, and whose user has a home directory and no colors.
func App(t *testing.T, tty *os.File) *cli.App {
	t.Helper()
	a := &cli.App{Stdout: tty, Stderr: tty}
	variables := map[string]string{"TERM": "xterm", "LC_ALL": "C.UTF-8", "NO_COLOR": "1"}
	a.LookupEnv = func(name string) (string, bool) { value, set := variables[name]; return value, set }
	a.Home, a.TempDir = "/home/me", "/tmp"
	a.Now = func() time.Time { return now }
	a.Open(t.Context())
	return a
}

// Screens compares the output of a function on terminals of 80 and 160 columns with the files
// NAME-80.txt and NAME-160.txt of testdata/console, and makes sure that no line is wider.
func Screens(t *testing.T, name string, do func(a *cli.App) error) {
	t.Helper()
	for _, columns := range []int{80, 160} {
		tty, printed := Terminal(t, columns)
		err := do(App(t, tty))
		got := printed()
		if err != nil {
			t.Error(err)
		}
		for line := range strings.Lines(got) {
			if w := uniseg.StringWidth(strings.TrimSuffix(line, "\n")); w > columns {
				t.Errorf("%s: a line has %d of %d columns: %s", name, w, columns, line)
			}
		}
		golden(t, fmt.Sprintf("../../testdata/console/%s-%d.txt", name, columns), got)
	}
}

// golden compares text with a file.
func golden(t *testing.T, file, got string) {
	t.Helper()
	if *update {
		if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if got != string(want) {
		t.Errorf("%s: got\n%s\nwant\n%s", file, got, want)
	}
}
