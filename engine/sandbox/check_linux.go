package sandbox

import (
	"context"
	"errors"
	"fmt"

	"github.com/buildlocal/buildlocal/engine"
)

// Check creates a sandbox as a test and reports what it can do. temp is an empty directory
// for it. In Images mode the sandbox has no image. The error is a *engine.Fault.
func (e *Engine) Check(ctx context.Context, temp string) (Report, error) {
	r := Report{Users: e.id.users.string(e.id.kind)}
	s := engine.Spec{
		Name: "check", Mounts: engine.Mounts{Temp: temp},
		// Limits that are below those of any host, so that they are applied and a failure is
		// reported.
		Resources: engine.Resources{Limits: engine.Limits{CPUs: 0.5, Memory: 1 << 30}},
		Hooks: engine.Hooks{
			OnWarning: func(format string, args ...any) { r.Notes = append(r.Notes, fmt.Sprintf(format, args...)) },
		},
	}
	if e.options.Mode == Images && e.id.kind == idsSingle {
		r.Notes = append(
			r.Notes,
			"For more users inside, install uidmap, and let root give you numbers: usermod --add-subuids 100000-165535 "+
				"--add-subgids 100000-165535 USER.",
		)
	}
	c := &Container{id: e.id, base: temp + "/sandbox", warnf: s.Hooks.Warnf, calls: map[int]*call{}}
	var err error
	// The error is reported as Start would report it.
	if c.server, err = e.process(s.Name); err != nil {
		return r, e.diagnose(err)
	}
	err = c.setupRootfs(ctx, s, e)
	return r, errors.Join(err, c.Close(context.WithoutCancel(ctx)))
}

// string describes the users of a sandbox.
func (b block) string(kind string) string {
	switch kind {
	case idsRoot:
		return "as root"
	case idsRange:
		return fmt.Sprintf("as a plain user, with root and %d more users inside", b.size)
	}
	return "as a plain user, with root alone inside: chown, su and run-as to others fail"
}
