package cmd

import (
	"context"
	"errors"
	"fmt"
	"os"
	"runtime"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/buildlocal/buildlocal/console"
	"github.com/buildlocal/buildlocal/engine"
	"github.com/buildlocal/buildlocal/engine/sandbox"
)

func newDoctor(a *App) *cobra.Command {
	return &cobra.Command{
		Use: "doctor", Short: "Say which engines work here, and what keeps others from it", Args: noArgs,
		Long: "doctor tries each engine, and says what it can do here or why it cannot.\n\n" +
			"Exit codes: 0 when one of them works, 4 when none does.",
		RunE: func(c *cobra.Command, _ []string) error { return a.doctor(c.Context()) },
	}
}

// finding is what was found of one engine.
type finding struct {
	engine string
	about  string
	notes  []string
	err    error
}

func (a *App) doctor(ctx context.Context) error {
	all := []finding{a.examineDocker(ctx), a.examineSandbox(ctx, sandbox.Images), a.examineSandbox(ctx, sandbox.Host)}
	if err := context.Cause(ctx); err != nil {
		return err
	}
	works, told := map[string]bool{}, map[string]bool{}
	for _, f := range all {
		f.notes = slices.DeleteFunc(f.notes, func(n string) bool { return told[n] })
		for _, n := range f.notes {
			told[n] = true
		}
		works[f.engine] = f.err == nil
		fmt.Fprintln(a.Stdout, f)
	}
	fmt.Fprintln(a.Stdout, finding{engine: "auto", about: automatic(works)}.line())
	if !works["docker"] && !works["sandbox"] && !works["host"] {
		return errFailed{exitFault}
	}
	return nil
}

// line returns what has no verdict.
func (f finding) line() string { return fmt.Sprintf("%-8s      %s", f.engine, f.about) }

// automatic says what a build runs on where no engine is asked for.
func automatic(works map[string]bool) string {
	switch {
	case works["docker"]:
		return "docker; an image named as oci:DIR or tar:FILE in the sandbox"
	case works["sandbox"]:
		return "sandbox where an image is named, else host"
	case works["host"]:
		return "host, where no image is named"
	}
	return "none: no build can run here"
}

// String returns a line, and one more for each note, none wider than the help.
func (f finding) String() string {
	verdict, paragraphs := "yes", append([]string{f.about}, f.notes...)
	if f.err != nil {
		verdict = "no"
		paragraphs = append(strings.Split(f.err.Error(), "\n"), f.notes...)
	}
	head := fmt.Sprintf("%-8s %-4s ", f.engine, verdict)
	var b strings.Builder
	for _, p := range paragraphs {
		for _, line := range wrapped(p, helpWidth-len(head)) {
			b.WriteString(head + line + "\n")
			head = strings.Repeat(" ", len(head))
		}
	}
	return strings.TrimSuffix(b.String(), "\n")
}

// wrapped splits a text between words into lines of a width; a long word has its
// own.
func wrapped(text string, width int) []string {
	var lines []string
	line := ""
	for _, word := range strings.Fields(text) {
		if line != "" && len(line)+1+len(word) > width {
			lines = append(lines, line)
			line = ""
		}
		if line != "" {
			line += " "
		}
		line += word
	}
	return append(lines, line)
}

func (a *App) examineDocker(ctx context.Context) finding {
	f := finding{engine: "docker"}
	e, err := a.engine(ctx)
	if err != nil {
		f.err = err
		return f
	}
	defer e.Close()
	version, err := e.Version(ctx)
	f.about, f.err = fmt.Sprintf("%s, at %s", version, e.Host()), err
	return f
}

func (a *App) examineSandbox(ctx context.Context, shape sandbox.Shape) finding {
	f := finding{engine: string(shape)}
	dir, err := os.MkdirTemp(a.TempDir, "buildlocal-doctor-")
	if err != nil {
		f.err = err
		return f
	}
	defer os.RemoveAll(dir)
	e := a.sandboxEngine(shape)
	report, err := e.Check(ctx, dir)
	f.about, f.notes, f.err = report.Users, report.Notes, err
	var fault *engine.Fault
	if errors.As(err, &fault) {
		f.err = fault
	}
	if shape == sandbox.Images && err == nil {
		all, total, err := e.Images()
		f.about += fmt.Sprintf("; %d images, %s, in %s", len(all), console.Bytes(total), a.imageStore())
		f.err = err
	}
	if runtime.GOOS == "linux" && shape == sandbox.Host && err == nil {
		f.about += "; " + ownFiles
	}
	return f
}
