package local

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/buildlocal/buildlocal/builds"
	"github.com/buildlocal/buildlocal/console"
	"github.com/buildlocal/buildlocal/page"
	"github.com/buildlocal/buildlocal/runner"
)

// testHost returns a host with its temporary files in dir.
func testHost(dir string) *Host {
	return &Host{
		TempDir: dir, UID: os.Getuid(), PID: os.Getpid(), Now: time.Now, LookupEnv: os.LookupEnv,
		Warnf: func(string, ...any) {}, MFA: func() func() (string, error) { return nil },
	}
}

// recorder is a sink that keeps the events.
type recorder struct{ events []runner.Event }

func (r *recorder) Notify(e runner.Event) { r.events = append(r.events, e) }
func (r *recorder) Err() error            { return nil }

// writeSource writes a source with one buildspec and returns its directory.
func writeSource(t *testing.T, buildspec string) string {
	t.Helper()
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "buildspec.yml"), []byte(buildspec), 0o644); err != nil {
		t.Fatal(err)
	}
	return dir
}

// prepare loads and prepares a request.
func prepare(t *testing.T, h *Host, r *Request) (*Session, error) {
	t.Helper()
	r.Normalize()
	if errs := r.Validate(h.UID); len(errs) > 0 {
		return nil, joinErrors(errs)
	}
	in, err := h.Load(t.Context(), r)
	if in != nil {
		t.Cleanup(in.Close)
	}
	if err != nil {
		return nil, err
	}
	return h.Prepare(t.Context(), in, nil)
}

func TestSession_RunsWithoutCommandLine(t *testing.T) {
	t.Parallel()
	h := testHost(t.TempDir())
	r := New(writeSource(t, "version: 0.2\nphases: {build: {commands: [echo from $GREETING]}}\n"))
	r.Engine.Kind = EngineHost
	r.Variables.Set = []string{"GREETING=caller"}
	s, err := prepare(t, h, r)
	if err != nil {
		t.Fatal(err)
	}
	if s.Plan.Identity.Number != 1 || s.Plan.Place != HostFiles || s.Plan.Engine != "host" {
		t.Errorf("the plan has number %d, place %q, engine %q", s.Plan.Identity.Number, s.Plan.Place, s.Plan.Engine)
	}
	sink := &recorder{}
	result := s.Run(t.Context(), sink)
	if err := s.Close(); err != nil {
		t.Error(err)
	}
	if result.Fault != nil {
		if os.Getenv("BUILDLOCAL_REQUIRE_ENGINE") == "" {
			t.Skip(result.Fault)
		}
		t.Fatal(result.Fault)
	}
	log, err := os.ReadFile(filepath.Join(s.Dir.Path, builds.LogName))
	if err != nil || !strings.Contains(string(log), "from caller") {
		t.Errorf("log %q, %v", log, err)
	}
	if result.Record.Status != runner.Succeeded || result.Output != nil || len(sink.events) == 0 {
		t.Errorf("got %s, %v, %d events", result.Record.Status, result.Output, len(sink.events))
	}
}

func TestPrepare_ErrorLeavesNothing(t *testing.T) {
	t.Parallel()
	source := writeSource(t, "version: 0.2\nphases: {build: {commands: [true]}}\n")
	for name, change := range map[string]func(r *Request){
		"no engine":       func(r *Request) { r.Engine.Kind = EngineDocker },
		"artifacts":       func(r *Request) { r.Output.Artifacts = []string{"elsewhere"} },
		"exported":        func(r *Request) { r.Variables.Exported = filepath.Join(source, "buildspec.yml") },
		"cache directory": func(r *Request) { r.Cache.Place = source },
	} {
		h := testHost(t.TempDir())
		h.LookupEnv = func(name string) (string, bool) {
			value, found := map[string]string{"DOCKER_HOST": "tcp://127.0.0.1:1"}[name]
			return value, found
		}
		r := New(source)
		r.Engine.Kind = EngineHost
		change(r)
		if _, err := prepare(t, h, r); err == nil {
			t.Errorf("%s: no error", name)
		}
		if _, err := os.Stat(filepath.Join(source, OutputName)); err == nil {
			t.Errorf("%s: the output directory exists", name)
		}
	}
}

func TestPrepare_DryRunNamesEngine(t *testing.T) {
	t.Parallel()
	for kind, host := range map[EngineKind]string{EngineHost: "", EngineSandbox: "", EngineDocker: "tcp://127.0.0.1:1"} {
		h := testHost(t.TempDir())
		h.LookupEnv = func(name string) (string, bool) { return host, host != "" && name == "DOCKER_HOST" }
		r := New(writeSource(t, "version: 0.2\nphases: {build: {commands: [true]}}\n"))
		r.Engine.Kind, r.DryRun = kind, true
		s, err := prepare(t, h, r)
		if err != nil {
			t.Errorf("%s: %v", kind, err)
			continue
		}
		if !strings.HasPrefix(s.Plan.Engine, string(kind)) || s.Dir != nil {
			t.Errorf("%s: the plan has engine %q, directory %v", kind, s.Plan.Engine, s.Dir)
		}
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	}
}

// TestLeave_UnwritablePageIsWarning puts a directory in the place of the page.
func TestLeave_UnwritablePageIsWarning(t *testing.T) {
	t.Parallel()
	store, err := builds.Open(builds.Options{Dir: filepath.Join(t.TempDir(), "out")})
	if err != nil {
		t.Fatal(err)
	}
	dir, err := store.Create(1, newUUID(), "run-1")
	if err != nil {
		t.Fatal(err)
	}
	if err := os.MkdirAll(filepath.Join(dir.Path, console.PageName, "in the way"), 0o755); err != nil {
		t.Fatal(err)
	}
	var warnings []string
	h := testHost(t.TempDir())
	h.Warnf = func(format string, args ...any) { warnings = append(warnings, fmt.Sprintf(format, args...)) }
	s := &Session{inputs: &Inputs{host: h, Request: New(t.TempDir()), Builds: store}, Dir: dir}
	s.earlier = func() []page.Summary { return nil }
	if err := s.leave(&runner.Record{Status: runner.Succeeded}); err != nil {
		t.Errorf("a page that cannot be written fails the build: %v", err)
	}
	if len(warnings) != 1 || !strings.HasPrefix(warnings[0], "warning: write the page: ") {
		t.Errorf("got %q, want one warning", warnings)
	}
	if _, err := os.Stat(filepath.Join(dir.Path, builds.RecordName)); err != nil {
		t.Errorf("the record is missing: %v", err)
	}
}
