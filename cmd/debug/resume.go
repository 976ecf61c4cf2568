package debug

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/buildlocal/buildlocal/cmd/cli"
	"github.com/buildlocal/buildlocal/cmd/reach"
	"github.com/buildlocal/buildlocal/control"
	"github.com/buildlocal/buildlocal/internal/human"
	"github.com/buildlocal/buildlocal/local"
)

// ResumeOptions are the flags and arguments of resume.
type ResumeOptions struct {
	Build  string
	Answer string // see control.Services.Resume
}

// NewResume returns the command resume.
func NewResume(a *cli.App, runF cli.RunF[ResumeOptions]) *cobra.Command {
	o := &ResumeOptions{}
	c := &cobra.Command{
		Use: "resume [BUILD]", Short: "End the stop of a build",
		Long: "End the stop of a build, as codebuild-resume does in it: a failure remains a failure, and\n" +
			"a breakpoint is passed. A flag gives another answer.\n\n" + reach.Help,
		Example: "  buildlocal resume\n  buildlocal resume 12 --retry",
	}
	answers := []struct{ name, help string }{
		{control.AnswerRetry, "run the failed command again"},
		{control.AnswerSkip, "go on without running the command"},
		{control.AnswerIgnore, "treat the failure as a success"},
		{control.AnswerAbort, "stop the build"},
	}
	chosen := make([]bool, len(answers))
	c.Flags().SortFlags = false
	for i, answer := range answers {
		c.Flags().BoolVar(&chosen[i], answer.name, false, answer.help)
	}
	c.RunE = func(c *cobra.Command, args []string) (err error) {
		if o.Build, err = reach.Name("resume", args); err != nil {
			return err
		}
		var given []string
		o.Answer = control.AnswerContinue
		for i, answer := range answers {
			if chosen[i] {
				o.Answer, given = answer.name, append(given, "--"+answer.name)
			}
		}
		if len(given) > 1 {
			return cli.Usagef("%s cannot be combined", human.Series(given))
		}
		return runF.Or(a, resume)(c.Context(), o)
	}
	return c
}

// resume ends the stop of a build.
func resume(ctx context.Context, a *cli.App, o *ResumeOptions) error {
	return reach.With(ctx, a, o.Build, func(b *local.Reached) error {
		if err := b.Resume(ctx, o.Answer); err != nil {
			return reach.Interrupted(ctx, err)
		}
		_, err := fmt.Fprintf(a.Stdout, "build %s resumed: %s\n", b.Build, o.Answer)
		return err
	})
}
