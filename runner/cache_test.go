package runner_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/buildlocal/buildlocal/cache"
	"github.com/buildlocal/buildlocal/engine/enginetest"
	"github.com/buildlocal/buildlocal/project"
	"github.com/buildlocal/buildlocal/runner"
)

const withCache = `version: 0.2
env: {variables: {V: "1"}, parameter-store: {SECRET: /s}}
phases: {build: {commands: [b]}}
cache:
  paths: ['deps/**/*', '$OTHER/x', '~/.npm']
`

const sourceDir = "/codebuild/output/src123456789/src"

// cacheRun runs a build with a cache and returns its notes about the cache.
type cacheRun struct {
	key, action string
	fallback    string
	s3          bool
	fails       string // a command that fails
	store       func(warnf func(string, ...any)) (cache.Store, error)
	shell       map[string]string // output of a command that contains the key
	files       map[string]string
}

func (c cacheRun) run(t *testing.T) (notes []string, fake *enginetest.Fake) {
	t.Helper()
	text := withCache
	for name, value := range map[string]string{"key": c.key, "action": c.action} {
		if value != "" {
			text += fmt.Sprintf("  %s: '%s'\n", name, value)
		}
	}
	if c.fallback != "" {
		text += fmt.Sprintf("  fallback-keys: ['%s']\n", c.fallback)
	}
	fake = &enginetest.Fake{Files: c.files}
	fake.Do = func(command string, output io.Writer) int {
		for part, text := range c.shell {
			if strings.Contains(command, part) {
				_, _ = io.WriteString(output, text)
				return map[bool]int{true: 1}[text == "broken"]
			}
		}
		return map[bool]int{true: 1}[command == c.fails]
	}
	plan := planOf(t, text, func(in *runner.Inputs) {
		in.Overrides = []runner.Override{{Origin: "-e", Variables: []project.Variable{{Name: "SECRET", Value: "s3cret"}}}}
	})
	_, lines, err := play(t, t.Context(), fake, plan, func(r *runner.Runner) {
		r.OpenCache, r.CacheScope, r.NativeArch, r.CacheInS3 = c.store, "app", "amd64", c.s3
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, line := range lines {
		if note, found := strings.CutPrefix(line, "cache: "); found {
			notes = append(notes, note)
		}
	}
	return notes, fake
}

// localStore returns a function that opens a store in a new directory.
func localStore(t *testing.T) func(func(string, ...any)) (cache.Store, error) {
	dir, now := t.TempDir(), began
	clock := func() time.Time { now = now.Add(time.Second); return now }
	return func(warnf func(string, ...any)) (cache.Store, error) {
		return cache.NewLocal(cache.Options{Dir: dir, Now: clock, Warnf: warnf}), nil
	}
}

var (
	cachedFiles = map[string]string{sourceDir + "/deps/a": "1", sourceDir + "/deps/b/c": "22", sourceDir + "/other": "3"}
	shellOutput = map[string]string{"$OTHER/x": "/opt/x", "$HOME/.npm": "/root/.npm", "uname": "x86_64\n"}
)

func TestCache_SaveAndRestore(t *testing.T) {
	t.Parallel()
	for _, s3 := range []bool{false, true} {
		store := localStore(t)
		base := cacheRun{store: store, s3: s3, shell: shellOutput, files: cachedFiles}
		first, second, restoring, other, fallback := base, base, base, base, base
		second.key, first.key, restoring.key = "k-1", "k-1", "k-1"
		restoring.action, other.action, other.key = "save", "restore", "k-9"
		fallback.key, fallback.fallback = "k-2", "k-"
		for i, test := range []struct {
			run  cacheRun
			want []string
		}{
			{first, []string{"a miss; no cache found with key k-1", "saved 2 files, 3B"}},
			{second, []string{"restored 2 files, 3B, saved "}},
			{restoring, []string{"not saved: a cache with this key already exists"}},
			{other, []string{"a miss; no cache found with key k-9"}},
			{fallback, []string{"restored 2 files, 3B of fallback key k-1", "saved 2 files"}},
			{base, []string{"a miss; no cache found", "saved 2 files"}},
			{base, []string{"restored 2 files", "saved 2 files"}},
		} {
			notes, fake := test.run.run(t)
			if len(notes) != len(test.want) {
				t.Fatalf("%d: got %q, want %q", i, notes, test.want)
			}
			for n, want := range test.want {
				if !strings.HasPrefix(notes[n], want) {
					t.Errorf("%d: got %q, want %q", i, notes[n], want)
				}
			}
			hit := strings.HasPrefix(notes[0], "restored ")
			name := strings.TrimPrefix(sourceDir, "/") + "/deps/b/c"
			if copied := slices.Contains(fake.Copied["/"], name); copied != hit {
				t.Errorf("%d: %s copied: %v, in %q", i, name, copied, fake.Copied["/"])
			}
		}
	}
}

// stoppedStore stops the build while it saves.
type stoppedStore struct {
	cache.Store
	stop func()
}

func (s stoppedStore) Find(context.Context, cache.Name) (*cache.Entry, error) {
	return nil, cache.ErrNotFound
}
func (s stoppedStore) Close() error { return nil }

func (s stoppedStore) Save(ctx context.Context, _ cache.SaveRequest, files io.Reader) (*cache.Entry, error) {
	s.stop()
	_, err := io.Copy(io.Discard, files)
	return nil, errors.Join(err, context.Cause(ctx))
}

func TestCache_StoppedWhileSaving(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancelCause(t.Context())
	store := stoppedStore{stop: func() { cancel(runner.ErrStopped) }}
	plan := planOf(t, "version: 0.2\nphases: {build: {commands: [a]}}\ncache: {paths: [deps]}\n")
	fake := &enginetest.Fake{Files: cachedFiles}
	record, lines, err := play(t, ctx, fake, plan, func(r *runner.Runner) {
		r.OpenCache = func(func(string, ...any)) (cache.Store, error) { return store, nil }
		r.NativeArch = "amd64"
	})
	if err != nil || record.Status != runner.Stopped || fake.Closed != 1 {
		t.Errorf("%s, %v, closed %d times: %s", record.Status, err, fake.Closed, lines)
	}
}

// brokenStore fails in one of its methods.
type brokenStore struct {
	find, open, save error
	cut              bool // the stream of an entry ends too early
}

func (s brokenStore) Find(context.Context, cache.Name) (*cache.Entry, error) {
	return &cache.Entry{Key: "k", Packed: true}, s.find
}

func (s brokenStore) Open(context.Context, *cache.Entry) (io.ReadCloser, error) {
	if s.cut {
		return io.NopCloser(strings.NewReader("no tar stream")), nil
	}
	return io.NopCloser(strings.NewReader("")), s.open
}

func (s brokenStore) Save(_ context.Context, _ cache.SaveRequest, files io.Reader) (*cache.Entry, error) {
	_, err := io.Copy(io.Discard, files)
	return nil, errors.Join(err, s.save)
}

func (s brokenStore) Close() error { return errors.New("close failed") }

func TestCache_ErrorsDoNotFail(t *testing.T) {
	t.Parallel()
	broken := errors.New("broken")
	open := func(s brokenStore) func(func(string, ...any)) (cache.Store, error) {
		return func(func(string, ...any)) (cache.Store, error) { return s, nil }
	}
	closed := "close failed"
	for name, test := range map[string]struct {
		run  cacheRun
		want []string
	}{
		"no store": {cacheRun{store: func(func(string, ...any)) (cache.Store, error) { return nil, broken }},
			[]string{"none: broken"}},
		"find": {cacheRun{store: open(brokenStore{find: broken, save: broken})},
			[]string{"not restored: broken", "not saved, previous cache kept: broken", closed}},
		"open": {cacheRun{store: open(brokenStore{open: broken, save: broken})},
			[]string{"not restored: broken", "not saved, previous cache kept: broken", closed}},
		"cut": {cacheRun{store: open(brokenStore{cut: true, save: broken})},
			[]string{"not restored: unexpected EOF", "not saved, previous cache kept: broken", closed}},
		"failed build": {cacheRun{store: open(brokenStore{find: cache.ErrNotFound}), fails: "b"},
			[]string{"a miss; no cache found", closed}},
		"secret key": {cacheRun{key: "$SECRET", store: open(brokenStore{})},
			[]string{"cache not used: its key $SECRET contains a secret", closed}},
		"empty key": {cacheRun{key: "$(true)", store: open(brokenStore{})},
			[]string{"cache not used: its key $(true) is empty", closed}},
		"key fails": {cacheRun{key: "$(bad)", store: open(brokenStore{})},
			[]string{"cache not used: its key $(bad) cannot be computed; broken", closed}},
	} {
		test.run.files = cachedFiles
		test.run.shell = map[string]string{"$SECRET": "key-s3cret", "$(bad)": "broken", "uname": "aarch64"}
		notes, _ := test.run.run(t)
		if !slices.Equal(notes, test.want) {
			t.Errorf("%s:\n got %q\nwant %q", name, notes, test.want)
		}
	}
}
