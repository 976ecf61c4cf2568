// Package image has the command image: list, pull, inspect, build, slim and remove images.
//
// Images are at the Docker engine or in the store of the sandbox engine, which keeps them
// unpacked by layer. Most subcommands use both places, Docker first as in a build, and
// --engine restricts them to one. Three use a single place: prune removes from the sandbox
// store only, because docker image prune exists; build and slim need Docker.
package image

import (
	"context"
	"runtime"
	"time"

	"github.com/spf13/cobra"

	"github.com/buildlocal/buildlocal/cmd/cli"
)

// Options are the flags and arguments of image and its subcommands, except slim.
type Options struct {
	Engine    string        // auto, docker or sandbox
	Format    string        // ls and inspect: text or json
	Full      bool          // ls: print whole IDs and digests
	Names     []string      // of images, as the user typed them
	UnusedFor time.Duration // prune: the age of the last use; 0 removes all
	From      string        // build: the clone with the Dockerfiles; "" to search for it
	Tag       string        // build: the name of the result; "" for that of the image
}

// NewCmd returns the command image.
func NewCmd(a *cli.App, runF cli.RunF[Options]) *cobra.Command {
	o := &Options{}
	// Without a subcommand, image lists.
	do := func(work func(context.Context, *cli.App, *Options) error) func(*cobra.Command, []string) error {
		return func(c *cobra.Command, names []string) error {
			o.Names = names
			return runF.Or(a, work)(c.Context(), o)
		}
	}
	c := &cobra.Command{
		Use: "image", Aliases: []string{"images"}, Short: "List, pull, inspect, build and remove images",
		Long: "List images that builds can run in: those of the Docker engine, and those that the\n" +
			"sandbox engine keeps, unpacked by layer, in the user's cache directory.",
		Example: "  buildlocal image\n  buildlocal image pull node:22\n  buildlocal image prune",
		Args:    cli.NoArgs, RunE: do(list),
	}
	c.PersistentFlags().StringVar(&o.Engine, "engine", "auto", "use only images of `ENGINE`: auto, docker or sandbox")
	// Cobra runs this before every subcommand, so that none of them has to check.
	c.PersistentPreRunE = func(*cobra.Command, []string) error { return o.check() }
	// inspect and ls have a format; pull and rm print the names of images, one a line.
	ls := &cobra.Command{
		Use: "ls", Aliases: []string{"list"}, Short: "List images", Args: cli.NoArgs, RunE: do(list),
		Example: "  buildlocal image ls\n  buildlocal image ls --full --engine docker",
	}
	ls.Flags().BoolVar(&o.Full, "full", false, "print full IDs and digests")
	inspect := &cobra.Command{
		Use: "inspect IMAGE", Short: "Show the properties and runtimes of an image", Args: oneImage, RunE: do(inspect),
		Example: "  buildlocal image inspect node:22\n  buildlocal image inspect standard:7.0 --format json",
	}
	for _, c := range []*cobra.Command{c, ls, inspect} {
		cli.AddFormat(c, &o.Format)
	}
	c.AddCommand(ls, inspect, &cobra.Command{
		Use: "pull IMAGE...", Short: "Pull images from a registry, an OCI layout or a tarball", Args: someImages,
		Example: "  buildlocal image pull node:22\n  buildlocal image pull " +
			"aws/codebuild/amazonlinux-x86_64-standard:5.0\n  buildlocal image pull tar:image.tar oci:layout:1.0",
		RunE: do(pull),
	}, &cobra.Command{
		Use: "rm IMAGE...", Short: "Remove images", Args: someImages, RunE: do(remove),
		Example: "  buildlocal image rm node:22\n  buildlocal image rm --engine sandbox node:20 node:22",
	}, newPrune(o, do(prune)), newBuild(o, do(build)), newSlim(a, o, nil))
	return c
}

// check checks the values that several subcommands share. A command without --format has
// an empty one.
func (o *Options) check() error {
	if err := cli.OneOf("engine", o.Engine, "auto", "docker", "sandbox"); err != nil {
		return err
	}
	if err := cli.CheckFormat(o.Format); err != nil {
		return err
	}
	if o.Engine == "sandbox" && runtime.GOOS != "linux" {
		return cli.Usagef("--engine: sandbox requires Linux; use docker")
	}
	return nil
}

// needsDocker refuses --engine sandbox for a command that could only ignore it.
func (o *Options) needsDocker(c *cobra.Command) error {
	if o.Engine == "sandbox" {
		return cli.Usagef("--engine: %s requires Docker", c.CommandPath())
	}
	return nil
}

// someImages requires one argument or more.
func someImages(c *cobra.Command, args []string) error {
	if len(args) == 0 {
		return cli.Usagef("%s requires the name of an image", c.CommandPath())
	}
	return nil
}

// oneImage requires exactly one argument. The number is in the message, because a missing
// quote often makes two of one.
func oneImage(c *cobra.Command, args []string) error {
	if len(args) != 1 {
		return cli.Usagef("%s requires the name of one image, got %d", c.CommandPath(), len(args))
	}
	return nil
}

// newPrune returns the command prune. The age is that of the last use by a build, not of
// the image: an old image that is used daily is worth its space.
func newPrune(o *Options, runE func(*cobra.Command, []string) error) *cobra.Command {
	o.UnusedFor = 30 * 24 * time.Hour
	all := false
	c := &cobra.Command{
		Use: "prune", Short: "Remove unused sandbox images", Args: cli.NoArgs,
		Example: "  buildlocal image prune\n  buildlocal image prune --unused-for 7d\n  buildlocal image prune --all",
		RunE: func(c *cobra.Command, args []string) error {
			switch {
			case o.Engine == "docker":
				return cli.Usagef("--engine: image prune removes images of the sandbox only; use docker image prune")
			case o.UnusedFor < 0:
				return cli.Usagef("--unused-for %v: must not be negative", o.UnusedFor)
			case all && c.Flags().Changed("unused-for"):
				return cli.Usagef("--unused-for and --all cannot be combined")
			case all:
				o.UnusedFor = 0
			}
			return runE(c, args)
		},
	}
	c.Flags().Var((*cli.Days)(&o.UnusedFor), "unused-for", "remove images not used for `TIME`, such as 7d or 48h")
	c.Flags().BoolVar(&all, "all", false, "remove all images that are not in use")
	return c
}
