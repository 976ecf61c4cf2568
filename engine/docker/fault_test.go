package docker_test

import (
	"archive/tar"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/buildlocal/buildlocal/engine"
	"github.com/buildlocal/buildlocal/engine/docker"
)

const noSpace = "mkdir /var/lib/docker/overlay2/abc: no space left on device"

// full is an engine whose disk is full when it is asked for one thing.
func full(at string) fake {
	f := fake{
		"GET /images/" + busybox + "/json": says(http.StatusOK, `{"Os":"linux","Config":{}}`),
		"POST /containers/create":          says(http.StatusCreated, `{"Id":"abc"}`),
		"DELETE /containers/abc":           says(http.StatusNoContent, ""),
	}
	f[at] = says(http.StatusInternalServerError, `{"message":"`+noSpace+`"}`)
	return f
}

func TestFault_DiskFull(t *testing.T) {
	t.Parallel()
	for _, at := range []string{"POST /containers/create", "POST /images/create"} {
		e := connectTo(t, docker.Options{Host: serve(t, full(at)), ConfigDir: t.TempDir()})
		spec := newSpec(t)
		if at == "POST /images/create" {
			spec.Image.Pull = engine.PullAlways
		}
		_, err := e.Start(t.Context(), spec)
		wantFault(t, err, engine.DiskFull, noSpace, "docker system df")
	}
	line := `{"status":"Extracting","id":"abc"}` + "\n" + `{"errorDetail":{"message":"x"},"error":"failed to ` +
		`register layer: ` + noSpace + `"}` + "\n"
	e := connectTo(
		t,
		docker.Options{Host: serve(t, fake{"POST /images/create": says(http.StatusOK, line)}), ConfigDir: t.TempDir()},
	)
	spec := newSpec(t)
	spec.Image.Pull = engine.PullMissing
	_, err := e.Start(t.Context(), spec)
	wantFault(t, err, engine.DiskFull, noSpace, "pull ", "docker system df")
}

func TestFault_EngineStops(t *testing.T) {
	t.Parallel()
	dies := func(w http.ResponseWriter, _ *http.Request) {
		fmt.Fprintln(w, `{"status":"Downloading"}`)
		_ = http.NewResponseController(w).Flush()
		panic(http.ErrAbortHandler)
	}
	for _, f := range []fake{
		{"GET /images/" + busybox + "/json": func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }},
		{"POST /images/create": dies},
	} {
		host := serve(t, f)
		e := connectTo(t, docker.Options{Host: host, ConfigDir: t.TempDir()})
		spec := newSpec(t)
		spec.Image.Pull = engine.PullMissing
		_, err := e.Start(t.Context(), spec)
		wantFault(t, err, engine.NoEngine, host)
	}
}

func TestStart_Cancel(t *testing.T) {
	t.Parallel()
	why := errors.New("enough")
	ctx, cancel := context.WithCancelCause(t.Context())
	f := fake{"GET /images/" + busybox + "/json": func(_ http.ResponseWriter, r *http.Request) {
		cancel(why)
		<-r.Context().Done()
	}}
	_, err := connectTo(t, docker.Options{Host: serve(t, f)}).Start(ctx, newSpec(t))
	var fault *engine.Fault
	if !errors.Is(err, why) || errors.As(err, &fault) {
		t.Errorf("got %v, want the cause and no fault", err)
	}
}

func TestStart_RemovesLateContainer(t *testing.T) {
	t.Parallel()
	why, removed := errors.New("enough"), false
	ctx, cancel := context.WithCancelCause(t.Context())
	f := full("")
	f["POST /containers/create"] = func(w http.ResponseWriter, r *http.Request) {
		cancel(why)
		says(http.StatusCreated, `{"Id":"abc"}`)(w, r)
	}
	f["DELETE /containers/abc"] = func(w http.ResponseWriter, _ *http.Request) {
		removed = true
		w.WriteHeader(http.StatusNoContent)
	}
	_, err := connectTo(t, docker.Options{Host: serve(t, f)}).Start(ctx, newSpec(t))
	if !errors.Is(err, why) || !removed {
		t.Errorf("got %v, want the cause; the container was removed: %t", err, removed)
	}
}

func TestFault_ShellOfOtherArch(t *testing.T) {
	t.Parallel()
	e := connect(t)
	// The head of a program for a machine that does not exist.
	program := "\x7fELF\x02\x01\x01" + strings.Repeat(
		"\x00",
		9,
	) + "\x02\x00\xef\xbe\x01\x00\x00\x00" + strings.Repeat(
		"\x00",
		100,
	)
	img := newImage(t, e, rootfs(t, e, map[string]string{"bin/sh": program}), "ENV PATH=/bin", `ENTRYPOINT ["/bin/sh"]`)
	spec := newSpec(t)
	spec.Image.Names = []string{img}
	wantFault(t, refused(t, e, spec), engine.WrongArch, "exec format error", "--platform")
	spec.Resources.Privileged = true
	wantFault(t, refused(t, e, spec), engine.WrongArch, "exec format error", "--platform")

	spec = newSpec(t)
	spec.Image.Names = []string{img}
	ended := make(chan error, 2)
	spec.Main = &engine.Process{Args: []string{"sh", "-c", "echo never"}}
	spec.Hooks.OnExit = func(_ int, err error) { ended <- err }
	c := start(t, e, spec)
	select {
	case err := <-ended:
		wantFault(t, err, engine.WrongArch, "exec format error", "--platform")
	case <-time.After(soon):
		t.Fatal("Main did not end")
	}
	if err := c.Close(t.Context()); err != nil || len(ended) != 0 {
		t.Errorf("close: %v; Ended was called %d times more", err, len(ended))
	}
}

func TestFault_CommandPrintsFormatError(t *testing.T) {
	t.Parallel()
	e := connect(t)
	spec := newSpec(t)
	var errs bytes.Buffer
	ended := make(chan error, 1)
	spec.Main = &engine.Process{
		Args:   []string{"sh", "-c", "echo exec x: exec format error >&2; echo more >&2; exit 1"},
		Stderr: &errs,
	}
	spec.Hooks.OnExit = func(exit int, err error) {
		if exit != 1 {
			t.Errorf("exit status %d", exit)
		}
		ended <- err
	}
	start(t, e, spec)
	if err := <-ended; err != nil || errs.String() != "exec x: exec format error\nmore\n" {
		t.Errorf("got %v, stderr %q", err, errs.String())
	}
}

func TestFault_NoShell(t *testing.T) {
	t.Parallel()
	e := connect(t)
	spec := newSpec(t)
	spec.Image.Names = []string{"buildlocal-test/no-sh:latest"}
	wantFault(t, refused(t, e, spec), engine.NoShell, "no-sh", "has no sh")
	spec.Main = &engine.Process{Args: []string{"sh", "-c", "echo"}}
	wantFault(t, refused(t, e, spec), engine.NoShell, "no-sh", "has no sh")
	spec.Resources.Privileged = true
	wantFault(t, refused(t, e, spec), engine.NoShell, "no-sh", "has no sh")
}

func TestStart_PrivilegedWithoutConfig(t *testing.T) {
	t.Parallel()
	e, r := connect(t), newRegistry(t)
	r.push(t, "bare:1", "", runtime.GOARCH, rootfs(t, e, nil))
	spec := pulls(t, r.ref(t, e, "bare:1"))
	spec.Resources.Privileged = true
	if got := sh(t, start(t, e, spec), "echo ran"); got != "ran\n" {
		t.Errorf("got %q", got)
	}
}

func TestMain_KilledFromOutside(t *testing.T) {
	t.Parallel()
	e := connect(t)
	type end struct {
		exit int
		err  error
	}
	for _, kill := range []func(id string) error{
		func(id string) error { return daemon(t, e).ContainerKill(context.Background(), id, "KILL") },
		func(id string) error {
			return e.Remove(context.Background(), engine.Resource{Kind: "container", ID: id})
		},
	} {
		spec := newSpec(t)
		ended := make(chan end, 2)
		var out bytes.Buffer
		spec.Main = &engine.Process{Args: []string{"sh", "-c", "echo before; sleep 1000"}, Stdout: &out}
		spec.Hooks.OnExit = func(exit int, err error) { ended <- end{exit, err} }
		c := start(t, e, spec)
		sh(t, c, "true")
		if err := kill(c.ID()); err != nil {
			t.Fatal(err)
		}
		select {
		case got := <-ended:
			if got.exit != 137 && got.err == nil {
				t.Errorf("Main ended with %d and no error", got.exit)
			}
		case <-time.After(soon):
			t.Fatal("Main did not end")
		}
		if err := c.Close(t.Context()); err != nil || len(ended) != 0 {
			t.Errorf("close: %v; Ended was called %d times more", err, len(ended))
		}
		if out.String() != "before\n" {
			t.Errorf("stdout %q", out.String())
		}
		if _, err := c.Exec(t.Context(), engine.Process{Args: []string{"true"}}); err == nil {
			t.Error("a process ran in a dead container")
		}
	}
}

// brokenReader is a source of files that fails.
type brokenReader struct{ err error }

func (b brokenReader) Read([]byte) (int, error) { return 0, b.err }

func TestCopyIn_ReaderErrorIsNotFault(t *testing.T) {
	t.Parallel()
	c := start(t, connect(t), newSpec(t))
	for _, why := range []error{&fs.PathError{Op: "open", Path: "secret", Err: fs.ErrPermission}, fs.ErrNotExist,
		errors.New("enough")} {
		err := c.CopyIn(t.Context(), "/in", brokenReader{why})
		var f *engine.Fault
		if !errors.Is(err, why) || errors.As(err, &f) || !strings.Contains(err.Error(), "copy into /in") {
			t.Errorf("got %v, want %v and no fault", err, why)
		}
	}
	if err := c.CopyIn(t.Context(), "/in", strings.NewReader(strings.Repeat("no archive ", 100))); !errors.Is(
		err,
		tar.ErrHeader,
	) {
		t.Errorf("no archive: got %v", err)
	}
}

// TestFault_TextsOfOtherEngines has messages of Podman, and of Docker with containerd's
// image store (observed, 4.3 and 26.1).
func TestFault_TextsOfOtherEngines(t *testing.T) {
	t.Parallel()
	engineItself := speaks(socket(t, connect(t)), "1.41")
	for text, want := range map[string]engine.Kind{
		`choosing an image from manifest list docker://a: no image found in manifest list for architecture amd64, ` +
			`variant \"\", OS linux`: engine.WrongArch,
		`runc create failed: unable to start container process: exec: \\\"sh\\\": executable file not found in $PATH\": ` +
			`OCI runtime attempted to invoke a command that was not found`: engine.NoShell,
		"crun: executable file `sh` not found in $PATH: No such file or directory: OCI runtime attempted to invoke a " +
			"command that was not found": engine.NoShell,
		"no match for platform in manifest: not found": engine.WrongArch,
		"pull access denied, repository does not exist or may require authorization: authorization failed: no basic auth " +
			"credentials": engine.NoRegistry,
		"unexpected status from HEAD request to https://quay.io/v2/a/manifests/1: 401 " +
			"Unauthorized": engine.NoRegistry,
		"unexpected status from HEAD request to https://quay.io/v2/a/manifests/1: " +
			"403 Forbidden": engine.NoRegistry,
		"unexpected status from HEAD request to https://quay.io/v2/a/manifests/1: 429 Too " +
			"Many Requests": engine.NoRegistry,
		"pinging container registry quay.io: too many requests " +
			"to registry": engine.NoRegistry,
		"pinging container registry quay.io: invalid status code from registry 403 " +
			"(Forbidden)": engine.NoRegistry,
	} {
		host := serve(
			t,
			mostly{
				engineItself,
				map[string]http.HandlerFunc{"/start": says(http.StatusInternalServerError, `{"message":"`+text+`"}`)},
			},
		)
		wantFault(t, refused(t, connectTo(t, docker.Options{Host: host}), newSpec(t)), want)
	}

	// It returns only with a start why it does not attach.
	host := serve(t, mostly{engineItself, map[string]http.HandlerFunc{
		"/attach": says(http.StatusConflict, `{"message":"preparing container for attach"}`),
		"/start":  says(http.StatusInternalServerError, `{"message":"no space left on device"}`),
	}})
	wantFault(t, refused(t, connectTo(t, docker.Options{Host: host}), newSpec(t)), engine.DiskFull)
}

func TestLimits_UnsupportedByEngine(t *testing.T) {
	t.Parallel()
	info := says(http.StatusOK, `{"NCPU":2,"MemTotal":8000000000,"MemoryLimit":false,"CpuCfsQuota":false}`)
	host := serve(t, mostly{speaks(socket(t, connect(t)), "1.41"), map[string]http.HandlerFunc{"/info": info}})
	e, spec, said := connectTo(t, docker.Options{Host: host}), newSpec(t), ""
	spec.Hooks.OnWarning = func(format string, args ...any) { said += fmt.Sprintf(format, args...) + "\n" }
	spec.Resources.Limits = engine.Limits{CPUs: 1, Memory: 64 << 20}
	c := start(t, e, spec)
	const want = "The build's memory is not limited to that of its compute type: the engine does not support it.\nThe " +
		"build's cpu is not limited to that of its compute type: the engine does not support it.\n"
	if said != want {
		t.Errorf("said %q, want %q", said, want)
	}
	got, err := daemon(t, connect(t)).ContainerInspect(t.Context(), c.ID())
	if err != nil || got.HostConfig.Memory != 0 || got.HostConfig.NanoCPUs != 0 {
		t.Errorf("it was asked for limits: %+v, %v", got.HostConfig, err)
	}
}
