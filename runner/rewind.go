package runner

import (
	"context"
	"fmt"
)

// rewind replaces the container by one with the files of a snapshot, whose variables and directory the
// next command has. Processes of the build end. After an error the build has no container to go on in,
// which the next command reports.
func (b *build) rewind(ctx context.Context, to *Restoration) {
	if err := b.replaceContainer(ctx, to); err != nil && ctx.Err() == nil {
		b.rec.note("The snapshot cannot be restored: %v.", err)
	}
}

func (b *build) replaceContainer(ctx context.Context, to *Restoration) error {
	b.live.container.Store(nil) // first: processes that end now have ended with the container
	b.steps = nil               // it was a process of that container
	b.observer.end()
	b.observer = observer{}
	b.meter.end()
	b.exitShell(ctx)
	if err := b.container.Close(ctx); err != nil {
		return err
	}
	b.restoration, b.rewound = to, true
	if err := b.start(ctx, b.plan.directories(), to.mount()); err != nil {
		return err
	}
	for _, step := range []func(context.Context) result{b.beginRoot, b.beginUsers, b.restoreSnapshot} {
		if res := step(ctx); res.status != "" {
			return fmt.Errorf("%s", res.context.Message)
		}
	}
	return nil
}

// mount returns the files of a cache that the snapshot had, or nil.
func (r *Restoration) mount() *cacheMount {
	if r == nil || len(r.State.Overlays)+len(r.State.Trees) == 0 {
		return nil
	}
	return &cacheMount{overlays: r.State.Overlays, trees: r.State.Trees}
}
