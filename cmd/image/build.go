package image

import (
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

func newBuild(a commands) *cobra.Command {
	from, tag := "", ""
	c := &cobra.Command{
		Use: "build IMAGE", Short: "Build a curated image from its Dockerfile with docker build", Args: oneImage,
		Long: "Build an image that AWS does not publish, such as standard:7.0, from a clone of\n" +
			project.Repository + ",\nand tag it with the name that projects use. This takes about an hour and 20 GB.",
		Example: "  git clone " + project.Repository + "\n  buildlocal image build standard:7.0",
		RunE:    func(c *cobra.Command, names []string) error { return a.buildImage(c.Context(), names[0], from, tag) },
	}
	c.Flags().
		StringVar(&from, "from", "", "use the clone in `DIR` (default: aws-codebuild-docker-images in the current, "+
			"parent or home directory)")
	c.Flags().StringVar(&tag, "tag", "", "tag the image `NAME` instead")
	return c
}

func (a commands) buildImage(ctx context.Context, name, from, tag string) error {
	asked := name
	name = project.Curated(name)
	dirs := project.DockerfileDirs(name)
	if len(dirs) == 0 {
		return cli.Usagef("%s is not a curated image with a Dockerfile; expected a name such as standard:7.0", asked)
	}
	dir, err := a.dockerfileOf(name, from, dirs)
	if err != nil {
		return err
	}
	program, err := exec.LookPath("docker")
	if err != nil {
		return fmt.Errorf("docker command not found\nInstall it, or build %s on a machine that has it", dir)
	}
	if tag == "" {
		tag = name
	}
	fmt.Fprintf(a.Stderr, "docker build -t %s %s\n", tag, dir)
	build := exec.CommandContext(ctx, program, "build", "-t", tag, dir)
	build.Stdout, build.Stderr = a.Raw.Out, a.Raw.Err
	build.Cancel = func() error { return build.Process.Signal(os.Interrupt) }
	if err := build.Run(); err != nil {
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		return fmt.Errorf("build %s: docker build: %w", tag, err)
	}
	_, err = fmt.Fprintf(a.Stdout, "%s is here\n", tag)
	return err
}

// cloneName is the default directory name of a clone of the Dockerfile repository.
const cloneName = "aws-codebuild-docker-images"

// dockerfileOf returns the directory of an image's Dockerfile in a clone. AWS has moved
// them between versions of the repository, so several are tried.
func (a commands) dockerfileOf(name, from string, dirs []string) (string, error) {
	clones := []string{from}
	if from == "" {
		clones = []string{cloneName, filepath.Join("..", cloneName), filepath.Join(a.Home, cloneName)}
	}
	found := ""
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
