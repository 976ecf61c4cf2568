package docker_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/buildlocal/buildlocal/engine"
	"github.com/buildlocal/buildlocal/engine/docker"
)

func TestOfTwoStartsOfOneNameOneIsRefused(t *testing.T) {
	t.Parallel()
	e := connect(t)
	spec := newSpec(t)
	spec.Mounts.Trees = []engine.Tree{{Host: newTree(t, "tree", someFiles()), Path: "/src", Hide: []string{"gone"}}}
	defer nothingLeft(t, e, spec)
	var containers [2]engine.Container
	var errs [2]error
	var group sync.WaitGroup
	for i := range containers {
		group.Go(func() { containers[i], errs[i] = e.Start(t.Context(), spec) })
	}
	group.Wait()
	winner, loser := 0, 1
	if errs[0] != nil {
		winner, loser = 1, 0
	}
	if errs[winner] != nil || errs[loser] == nil {
		t.Fatalf("the starts ended with %v and %v", errs[0], errs[1])
	}
	c := containers[winner]
	defer c.Close(context.Background())
	if text := errs[loser].Error(); !strings.Contains(text, spec.Name) || !strings.Contains(text, "in use") || strings.Contains(text, "\n") {
		t.Errorf("the other start: %v", errs[loser])
	}
	if _, err := e.Start(t.Context(), spec); err == nil {
		t.Fatal("a third container has the name")
	}
	sh(t, c, "cd /src && test ! -e gone && mv dir gone && echo new >gone/file")
	stream, err := c.CopyOut(t.Context(), "/src/gone/file")
	if err != nil {
		t.Fatal(err)
	}
	stream.Close()
	left, err := e.List(t.Context(), spec.Name)
	if err != nil || len(left) < 3 {
		t.Errorf("the refused starts removed what is the other's: only %v is there, %v", left, err)
	}
	if err := c.Close(t.Context()); err != nil {
		t.Error(err)
	}
}

func TestCloseEndsAnExec(t *testing.T) {
	t.Parallel()
	e := connect(t)
	c := start(t, e, newSpec(t))
	r, w := io.Pipe()
	done := make(chan error, 1)
	go func() {
		exit, err := c.Exec(context.Background(), engine.Process{Args: []string{"sh", "-c", "echo up; sleep 1000"}, Stdout: w})
		if err == nil && exit == 0 {
			err = errors.New("exit status 0")
		} else {
			err = nil
		}
		done <- err
	}()
	if _, err := r.Read(make([]byte, 1)); err != nil {
		t.Fatal(err)
	}
	go io.Copy(io.Discard, r)
	if err := c.Close(t.Context()); err != nil {
		t.Error(err)
	}
	select {
	case err := <-done:
		if err != nil {
			t.Error(err)
		}
	case <-time.After(soon):
		t.Fatal("the process did not end")
	}
}

func TestCloseCanBeTriedAgain(t *testing.T) {
	t.Parallel()
	e := connect(t)
	spec := newSpec(t)
	spec.Mounts.Trees = []engine.Tree{{Host: t.TempDir(), Path: "/src"}}
	c := start(t, e, spec)
	why := errors.New("enough")
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(why)
	if err := c.Close(ctx); !errors.Is(err, why) {
		t.Errorf("with an ended ctx: %v, want the cause", err)
	}
	if err := c.Close(t.Context()); err != nil {
		t.Errorf("with another: %v", err)
	}
	nothingLeft(t, e, spec)

	c = start(t, e, newSpec(t))
	for _, limit := range []time.Duration{time.Microsecond, time.Millisecond, 20 * time.Millisecond} {
		ctx, cancel := context.WithTimeout(t.Context(), limit)
		_ = c.Close(ctx)
		cancel()
	}
	if err := c.Close(t.Context()); err != nil {
		t.Errorf("after some that were cut off: %v", err)
	}
}

func TestFiftyProcessesRunAtOnce(t *testing.T) {
	t.Parallel()
	c := start(t, connect(t), newSpec(t))
	var group sync.WaitGroup
	for i := range 50 {
		group.Go(func() {
			var out, errs bytes.Buffer
			p := engine.Process{Args: []string{"sh", "-c", "cat; echo $N >&2; exit $N"}, Env: []string{fmt.Sprint("N=", i)},
				Stdin: strings.NewReader(strings.Repeat(fmt.Sprint(i, " "), 10_000)), Stdout: &out, Stderr: &errs}
			exit, err := c.Exec(t.Context(), p)
			if err != nil || exit != i || out.String() != strings.Repeat(fmt.Sprint(i, " "), 10_000) || errs.String() != fmt.Sprintln(i) {
				t.Errorf("process %d: exit status %d, %v, %d bytes, stderr %q", i, exit, err, out.Len(), errs.String())
			}
		})
	}
	group.Wait()
}

func TestAProcessCutOffAtAnyMomentIsGone(t *testing.T) {
	t.Parallel()
	c := start(t, connect(t), newSpec(t))
	why := errors.New("enough")
	var group sync.WaitGroup
	for i := range 20 {
		group.Go(func() {
			ctx, cancel := context.WithCancelCause(t.Context())
			timer := time.AfterFunc(time.Duration(i)*time.Millisecond/2, func() { cancel(why) })
			defer timer.Stop()
			_, err := c.Exec(ctx, engine.Process{Args: []string{"sleep", "1000"}})
			if !errors.Is(err, why) {
				t.Errorf("got %v, want the cause", err)
			}
			var f *engine.Fault
			if errors.As(err, &f) {
				t.Errorf("got the fault %v", f)
			}
		})
	}
	group.Wait()
	if got := sh(t, c, `for p in /proc/[0-9]*; do tr '\0' ' ' <$p/cmdline; echo; done 2>/dev/null | grep -c '^sleep' || true`); got != "0\n" {
		t.Errorf("%s processes are left", strings.TrimSpace(got))
	}
}

func TestAProcessCutOffBeforeItsStartNeverRuns(t *testing.T) {
	t.Parallel()
	path := socket(t, connect(t))
	why := errors.New("enough")
	ctx, cancel := context.WithCancelCause(t.Context())
	proxy := &late{engine: speaks(path, "1.41"), socket: path, answered: func() { cancel(why) }, may: make(chan struct{}), ended: make(chan struct{})}
	c := start(t, connectTo(t, docker.Options{Host: serve(t, proxy)}), newSpec(t))
	if _, err := c.Exec(ctx, engine.Process{Args: []string{"sleep", "1000"}}); !errors.Is(err, why) {
		t.Errorf("got %v, want the cause", err)
	}
	close(proxy.may)
	select {
	case <-proxy.ended:
	case <-time.After(soon):
		t.Error("the process runs")
	}
}
