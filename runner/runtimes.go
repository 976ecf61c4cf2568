package runner

import (
	"context"
	"errors"
	"io/fs"

	"github.com/buildlocal/buildlocal/runner/shell"
	"github.com/buildlocal/buildlocal/runtimes"
)

// selectRuntimes carries out runtime-versions.
func (b *build) selectRuntimes(ctx context.Context) result {
	if len(b.plan.Runtimes) == 0 {
		b.say(runtimes.NoneSelected)
		return result{}
	}
	table, err := b.readRuntimes(ctx)
	if errors.Is(err, fs.ErrNotExist) {
		b.say(runtimes.NotSupported)
		return result{}
	}
	if err != nil {
		return b.broken(ctx, err)
	}
	var wishes []runtimes.Wish
	for _, v := range b.plan.Runtimes {
		version, err := b.expand(ctx, v.Value)
		if errors.Is(err, errExpand) {
			return result{status: Failed, context: Context{YAMLError, err.Error()}}
		}
		if err != nil {
			return b.broken(ctx, err)
		}
		wishes = append(wishes, runtimes.Wish{Name: v.Name, Version: version})
	}
	choices, err := table.Choose(wishes, b.say)
	if err != nil {
		return result{status: Failed, context: Context{YAMLError, err.Error()}}
	}
	return b.installRuntimes(ctx, choices)
}

// installRuntimes runs the image's commands; one that fails fails the phase.
func (b *build) installRuntimes(ctx context.Context, choices []runtimes.Choice) result {
	for _, choice := range choices {
		if choice.Env != "" {
			if err := b.sessions[""].Set(shell.Export("VERSION", choice.Env)); err != nil {
				return b.broken(ctx, err)
			}
		}
		for _, text := range choice.Commands {
			if res := b.command(ctx, call{session: b.sessions[""], text: text, attempt: 1}); res.status != "" {
				return res
			}
		}
		if choice.Env != "" {
			if err := b.sessions[""].Set(b.versionAgain()); err != nil {
				return b.broken(ctx, err)
			}
		}
	}
	return result{}
}

// versionAgain is the line that gives VERSION the value the build had for it: a
// template uses that name.
func (b *build) versionAgain() string {
	for i, v := range b.plan.Variables {
		if v.Name == "VERSION" {
			return shell.Export(v.Name, b.values[i])
		}
	}
	return "unset VERSION"
}

func (b *build) readRuntimes(ctx context.Context) (runtimes.Table, error) {
	text, err := readFile(ctx, b.container, runtimes.Path)
	if err != nil {
		return nil, err
	}
	return runtimes.Read(text)
}
