package runner

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/buildlocal/buildlocal/engine"
)

// Changes returns the files that the build has changed since its image and its source, sorted by path.
// The ones of this program are left out. The error wraps engine.ErrUnsupported if they are not known.
func (l *Live) Changes(ctx context.Context) ([]engine.Change, error) {
	c, err := l.environment()
	if err != nil {
		return nil, err
	}
	differ, able := c.(engine.Differ)
	if !able {
		return nil, fmt.Errorf("changed files: %w", engine.ErrUnsupported)
	}
	all, err := differ.Changes(ctx)
	all = slices.DeleteFunc(all, func(c engine.Change) bool { return isOwnFile(c.Path) })
	slices.SortFunc(all, func(a, b engine.Change) int { return cmp.Compare(a.Path, b.Path) })
	return all, err
}

// isOwnFile reports whether a file belongs to the environment of builds and not to what commands do.
func isOwnFile(path string) bool {
	if slices.Contains([]string{"/etc/hosts", "/etc/hostname", "/etc/resolv.conf"}, path) {
		return true
	}
	below, in := strings.CutPrefix(path, "/codebuild/")
	return in && !strings.HasPrefix(below, "output/src")
}

// Began returns when the last command and its phase began; zero without them.
func (l *Live) Began() (command, phase time.Time) {
	if l.build == nil {
		return
	}
	rec := l.build.rec
	rec.mu.Lock()
	defer rec.mu.Unlock()
	all := rec.record.Commands
	if len(all) == 0 {
		return
	}
	last := all[len(all)-1]
	for _, c := range all {
		if c.Phase == last.Phase {
			return last.Start, c.Start
		}
	}
	return
}

// VariableChanges returns the names of the variables that commands have set, changed or unset, sorted.
func (l *Live) VariableChanges(ctx context.Context) ([]string, error) {
	if l.build == nil {
		return nil, nil
	}
	state, err := l.State(ctx, nil)
	if err != nil {
		return nil, err
	}
	var out strings.Builder
	p := LiveProcess{NoEnv: true}
	p.Args, p.Stdout = []string{"sh", "-c", PrintState}, &out
	if _, err := l.Exec(ctx, p); err != nil {
		return nil, err
	}
	began := ParseState(out.String())
	values := map[string]string{}
	for _, v := range began.Variables {
		values[v.Name] = v.Value
	}
	ignored := ownOfShell
	for _, v := range l.build.plan.Variables {
		values[v.Name] = l.build.values[v.Name].Reveal()
		if v.Expand { // the value is a text of the shell, and the image's is a part of it
			ignored = append(ignored[:len(ignored):len(ignored)], v.Name)
		}
	}
	began.Variables = nil
	for name, value := range values {
		began.Variables = append(began.Variables, NameValue{name, value})
	}
	ignored = append(ignored[:len(ignored):len(ignored)], "CODEBUILD_BUILD_SUCCEEDING")
	_, names := StateChanges(began, state, ignored...)
	names = slices.DeleteFunc(names, isVolatile)
	slices.Sort(names)
	return names, nil
}
