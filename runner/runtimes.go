package runner

import (
	"context"
	"errors"
	"io/fs"
	"strings"

	"github.com/buildlocal/buildlocal/engine"
	"github.com/buildlocal/buildlocal/runner/shell"
	"github.com/buildlocal/buildlocal/runtimes"
)

// selectRuntimes installs the runtimes of runtime-versions.
func (b *build) selectRuntimes(ctx context.Context) result {
	if len(b.plan.Runtimes) == 0 {
		b.rec.say(runtimes.NoneSelected)
		return result{}
	}
	b.pause(ctx, Stop{Reason: BeforeRuntimes, At: PlaceRuntimes})
	table, err := readRuntimes(ctx, b.container)
	if errors.Is(err, fs.ErrNotExist) {
		b.rec.say(runtimes.NotSupported)
		return result{}
	}
	if err != nil {
		return b.shellLost(ctx, err)
	}
	var wishes []runtimes.Wish
	for _, v := range b.plan.Runtimes {
		version, err := b.shells.expand(ctx, v.Value)
		if errors.Is(err, errExpand) {
			at := b.plan.explainExpand(err, runtimePath+v.Name, false)
			return result{status: Failed, context: Context{YAMLError, err.Error()}, problem: problemOf(at)}
		}
		if err != nil {
			return b.shellLost(ctx, err)
		}
		wishes = append(wishes, runtimes.Wish{Name: v.Name, Version: version})
	}
	choices, err := table.Choose(wishes, b.rec.say)
	if err != nil {
		problem, hints := b.plan.explainRuntime(err)
		return result{status: Failed, context: Context{YAMLError, err.Error()}, problem: problem, hints: hints}
	}
	b.rec.about("runtimes", "%s", describeRuntimes(wishes, choices))
	return b.installRuntimes(ctx, choices)
}

// describeRuntimes returns the selected versions, such as "nodejs 20, python latest → 3.12".
func describeRuntimes(wishes []runtimes.Wish, choices []runtimes.Choice) string {
	asked := map[string]string{}
	for _, w := range wishes {
		asked[w.Name] = w.Version
	}
	var parts []string
	for _, c := range choices {
		text := c.Name + " " + c.Version
		if version, found := asked[c.Name]; found && version != c.Version {
			text = c.Name + " " + version + " → " + c.Version
		}
		parts = append(parts, text)
	}
	return strings.Join(parts, ", ")
}

// installRuntimes runs the image's commands. The phase fails with the first that fails.
func (b *build) installRuntimes(ctx context.Context, choices []runtimes.Choice) result {
	for _, choice := range choices {
		if choice.Env != "" {
			if err := b.shells.root().Set(shell.Export("VERSION", choice.Env)); err != nil {
				return b.shellLost(ctx, err)
			}
		}
		for _, text := range choice.Commands {
			if res := b.command(ctx, call{session: b.shells.root(), text: text, at: ImagePlace, attempt: 1}); res.status != "" {
				return res
			}
		}
		if choice.Env != "" {
			if err := b.shells.root().Set(b.restoreVersion()); err != nil {
				return b.shellLost(ctx, err)
			}
		}
	}
	return result{}
}

// restoreVersion returns the line that restores the build's own VERSION, a name that the
// image's commands use.
func (b *build) restoreVersion() string {
	if value, set := b.values["VERSION"]; set {
		return shell.Export("VERSION", value.Reveal())
	}
	return "unset VERSION"
}

// readRuntimes reads the image's table of runtimes. The error wraps fs.ErrNotExist if the
// image has none.
func readRuntimes(ctx context.Context, c engine.Container) (runtimes.Table, error) {
	text, err := readFile(ctx, c, runtimes.Path)
	if err != nil {
		return nil, err
	}
	return runtimes.Read(text)
}
