package cmd

import (
	"context"
	"errors"
	"fmt"
	"os"
	"runtime"
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
	works := map[string]bool{}
	for _, f := range all {
		works[f.engine] = f.err == nil
		fmt.Fprintln(a.Stdout, f)
	}
	fmt.Fprintf(a.Stdout, "%-8s      %s\n", "auto", automatic(works))
	if !works["docker"] && !works["sandbox"] && !works["host"] {
		return errFailed{exitFault}
	}
	return nil
}

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

// String returns a line, and one more for each note.
func (f finding) String() string {
	verdict, text := "yes", f.about
	notes := f.notes
	if f.err != nil {
		verdict = "no"
		first, rest, _ := strings.Cut(f.err.Error(), "\n")
		text = first
		if rest != "" {
			notes = append(strings.Split(rest, "\n"), notes...)
		}
	}
	line := fmt.Sprintf("%-8s %-4s %s", f.engine, verdict, text)
	for _, n := range notes {
		line += "\n              " + n
	}
	return line
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
