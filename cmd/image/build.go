package image

import (
	"cmp"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"github.com/buildlocal/buildlocal/cmd/cli"
	"github.com/buildlocal/buildlocal/project"
)

// newBuild returns the command build. Only the Ubuntu images need it: AWS publishes those
// for Amazon Linux, and pull gets them.
func newBuild(o *Options, runE func(*cobra.Command, []string) error) *cobra.Command {
	c := &cobra.Command{
		Use: "build IMAGE", Short: "Build a curated image from its Dockerfile with docker build", Args: oneImage,
		Long: "Build an image that AWS does not publish, such as standard:7.0, from a clone of\n" +
			project.Repository + ",\nand tag it with the name that projects use. This takes about an hour and 20 GB.",
		Example: "  git clone " + project.Repository + "\n  buildlocal image build standard:7.0",
		RunE: func(c *cobra.Command, names []string) error {
			if err := o.needsDocker(c); err != nil {
				return err
			}
			return runE(c, names)
		},
	}
	c.Flags().StringVar(&o.From, "from", "",
		"use the clone in `DIR` (default: aws-codebuild-docker-images in the current, parent or home directory)")
	c.Flags().StringVar(&o.Tag, "tag", "", "tag the image `NAME` instead")
	return c
}

// build runs docker build. The command is used instead of the API, because it packs the
// directory, honours .dockerignore and knows BuildKit, and because users can repeat it.
func build(ctx context.Context, a *cli.App, o *Options) error {
	name := project.Curated(o.Names[0])
	dirs := project.DockerfileDirs(name)
	if len(dirs) == 0 { // any other image has a Dockerfile that its users know
		return cli.Usagef("%s is not a curated image with a Dockerfile; expected a name such as standard:7.0", o.Names[0])
	}
	dir, err := dockerfileOf(name, o.From, a.Home, dirs)
	if err != nil {
		return err
	}
	program, err := exec.LookPath("docker")
	if err != nil {
		return fmt.Errorf("docker command not found\nInstall it, or build %s on a machine that has it", dir)
	}
	// Projects name the image with this tag, so no build needs --images to find it.
	tag := cmp.Or(o.Tag, name)
	// The command is shown, so it can be repeated with other options.
	fmt.Fprintf(a.Stderr, "docker build -t %s %s\n", tag, dir)
	build := exec.CommandContext(ctx, program, "build", "-t", tag, dir)
	build.Stdout, build.Stderr = a.Raw.Out, a.Raw.Err
	// After an interrupt the client cancels the build in the daemon and restores the terminal.
	build.Cancel = func() error { return build.Process.Signal(os.Interrupt) }
	if err := build.Run(); err != nil {
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		return fmt.Errorf("build %s: docker build: %w", tag, err)
	}
	_, err = fmt.Fprintf(a.Stdout, "built %s\n", tag)
	return err
}

// cloneName is the default directory name of a clone of the Dockerfile repository.
const cloneName = "aws-codebuild-docker-images"

// dockerfileOf returns the directory of an image's Dockerfile in the clone from, or if that
// is "" in a clone in one of the usual places. AWS has moved the Dockerfiles between
// versions of the repository, so dirs has several directories, the newest first.
func dockerfileOf(name, from, home string, dirs []string) (string, error) {
	clones := []string{from}
	if from == "" {
		clones = []string{cloneName, filepath.Join("..", cloneName), filepath.Join(home, cloneName)}
	}
	found := "" // a clone without the image, which an old version may be
	for _, clone := range clones {
		if info, err := os.Stat(clone); err != nil || !info.IsDir() {
			continue
		}
		found = clone
		for _, dir := range dirs {
			full := filepath.Join(clone, filepath.FromSlash(dir))
			if _, err := os.Stat(filepath.Join(full, "Dockerfile")); err == nil {
				return full, nil
			}
		}
	}
	if found != "" {
		return "", cli.Usagef(
			"%s has no Dockerfile for it; looked in %s\nExpected a clone of %s, or a newer one",
			found,
			strings.Join(dirs, ", "),
			project.Repository,
		)
	}
	// Docker can also build from the repository without a clone. Its syntax for the directory
	// (URL#REF:DIR) is little known, so the hint has the whole command.
	return "", cli.Usagef(
		"no clone of the Dockerfiles in %s\nRun git clone %s, set another directory with --from, or let docker fetch it: "+
			"docker build -t %s '%s.git#:%s'",
		strings.Join(clones, ", "),
		project.Repository,
		name,
		project.Repository,
		dirs[0],
	)
}
