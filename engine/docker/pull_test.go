package docker_test

import (
	"bytes"
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/buildlocal/buildlocal/engine"
	"github.com/buildlocal/buildlocal/engine/docker"
)

// pulls returns a spec that may pull images.
func pulls(t *testing.T, names ...string) engine.Spec {
	t.Helper()
	spec := newSpec(t)
	spec.Image.Pull, spec.Image.Names = engine.PullMissing, names
	return spec
}

// version starts a container and returns the version its image says.
func version(t *testing.T, e *docker.Engine, spec engine.Spec) string {
	t.Helper()
	c, err := e.Start(t.Context(), spec)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close(context.Background())
	return strings.TrimSpace(sh(t, c, "echo $VERSION"))
}

func TestPull_MissingAndAlways(t *testing.T) {
	t.Parallel()
	e, r := connect(t), newRegistry(t)
	ref := r.ref(t, e, "dir/app:1")
	layer := rootfs(t, e, nil)
	r.push(t, "dir/app:1", "one", runtime.GOARCH, layer)
	spec := pulls(t, ref)

	spec.Image.Pull = engine.PullNever
	wantFault(t, refused(t, e, spec), engine.NoImage, ref, "--pull is never")
	if len(r.asked) != 0 {
		t.Errorf("PullNever asked the registry for %v", r.asked)
	}

	var mu sync.Mutex
	seen := map[string]bool{}
	spec.Image.Pull, spec.Hooks.OnProgress = engine.PullMissing, func(p engine.Progress) {
		mu.Lock()
		defer mu.Unlock()
		seen[p.Status] = true
		if p.Image != ref {
			t.Errorf("progress of image %q, want %q", p.Image, ref)
		}
		if p.Current > 0 && (p.Layer == "" || p.Total < p.Current) {
			t.Errorf("progress %+v, want a layer and a total", p)
		}
	}
	if got := version(t, e, spec); got != "one" {
		t.Errorf("pulled version %q", got)
	}
	for _, status := range []string{"Downloading", "Extracting", "Pull complete"} {
		if !seen[status] {
			t.Errorf("no progress %q among %v", status, seen)
		}
	}

	r.push(t, "dir/app:1", "two", runtime.GOARCH, layer)
	clear(seen)
	before := r.countBlobs()
	if got := version(t, e, spec); got != "one" || len(seen) != 0 || r.countBlobs() != before {
		t.Errorf("PullMissing of an image that is here: version %q, progress %v", got, seen)
	}
	spec.Image.Pull = engine.PullAlways
	if got := version(t, e, spec); got != "two" {
		t.Errorf("PullAlways: version %q, want the new one", got)
	}
	spec.Image.Pull = engine.PullNever
	if got := version(t, e, spec); got != "two" {
		t.Errorf("PullNever: version %q, want what is here", got)
	}
}

func TestPull_FirstSpellingWins(t *testing.T) {
	t.Parallel()
	e, r := connect(t), newRegistry(t)
	missing, there := r.ref(t, e, "missing:1"), r.ref(t, e, "there:1")
	r.push(t, "there:1", "there", runtime.GOARCH, rootfs(t, e, nil))
	if got := version(t, e, pulls(t, missing, there)); got != "there" {
		t.Errorf("version %q", got)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if !strings.Contains(strings.Join(r.asked, "\n"), "missing/manifests/1") {
		t.Errorf("the first spelling was not tried: %v", r.asked)
	}
}

func TestPull_FaultHasHint(t *testing.T) {
	t.Parallel()
	e := connect(t)
	busy := func(w http.ResponseWriter, _ *http.Request) bool {
		refuse(w, http.StatusTooManyRequests, "TOOMANYREQUESTS", "you have reached your pull rate limit")
		return true
	}
	expired := func(w http.ResponseWriter, _ *http.Request) bool {
		refuse(w, http.StatusForbidden, "DENIED", "Your authorization token has expired. Reauthenticate and try again.")
		return true
	}
	broken := func(w http.ResponseWriter, q *http.Request) bool {
		if q.URL.Path == "/v2/" {
			return false
		}
		http.Error(w, "out of order", http.StatusInternalServerError)
		return true
	}
	for _, c := range []struct {
		name string
		tag  string
		set  func(r *registry)
		kind engine.Kind
		says string
	}{
		{"AnUnknownTag", "app:other", nil, engine.NoImage, "app:other"},
		{"AnUnknownName", "other:1", nil, engine.NoImage, "other:1"},
		{"NoCredentials", "app:1", func(r *registry) { r.user, r.word = "me", "secret" }, engine.NoRegistry, "docker login"},
		{"AnExpiredLogin", "app:1", func(r *registry) { r.before = expired }, engine.NoRegistry, "docker login"},
		{"TooManyRequests", "app:1", func(r *registry) { r.before = busy }, engine.NoRegistry, "wait, or run docker login"},
		{"ABrokenRegistry", "app:1", func(r *registry) { r.before = broken }, engine.NoRegistry, "500"},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := newRegistry(t)
			r.push(t, "app:1", "1", runtime.GOARCH, []byte("no layer is asked for"))
			if c.set != nil {
				c.set(r)
			}
			wantFault(t, refused(t, e, pulls(t, r.ref(t, e, c.tag))), c.kind, "pull "+r.address+"/"+c.tag, c.says)
		})
	}
}

func TestPull_RegistryDown(t *testing.T) {
	t.Parallel()
	e := connect(t)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	l.Close()
	wantFault(
		t,
		refused(t, e, pulls(t, l.Addr().String()+"/app:1")),
		engine.NoRegistry,
		l.Addr().String(),
		"connection refused",
	)
}

func TestPull_InvalidName(t *testing.T) {
	t.Parallel()
	e := connect(t)
	wantFault(t, refused(t, e, pulls(t, "No Image")), engine.NoImage, "No Image", "invalid reference format")
}

func TestPull_TruncatedLayer(t *testing.T) {
	t.Parallel()
	e, r := connect(t), newRegistry(t)
	ref := r.ref(t, e, "short:1")
	p := r.push(t, "short:1", "1", runtime.GOARCH, rootfs(t, e, nil))
	r.hold("short/blobs/"+p.layer, content{"application/octet-stream", r.holds["short/blobs/"+p.layer].bytes[:5000]})
	wantFault(t, refused(t, e, pulls(t, ref)), engine.NoRegistry, "pull "+ref)
}

// TestPull_RetriesLayer breaks a download off; the engine waits
// five seconds and asks for the rest.
func TestPull_RetriesLayer(t *testing.T) {
	t.Parallel()
	e, r := connect(t), newRegistry(t)
	ref := r.ref(t, e, "cut:1")
	p := r.push(t, "cut:1", "whole", runtime.GOARCH, rootfs(t, e, nil))
	blob := r.holds["cut/blobs/"+p.layer].bytes
	once := false
	r.before = func(w http.ResponseWriter, q *http.Request) bool {
		if !strings.HasSuffix(q.URL.Path, p.layer) {
			return false
		}
		if once {
			http.ServeContent(w, q, "", time.Time{}, bytes.NewReader(blob))
			return true
		}
		once = true
		w.Header().Set("Content-Length", fmt.Sprint(len(blob)))
		_, _ = w.Write(blob[:len(blob)/2])
		panic(http.ErrAbortHandler)
	}
	spec := pulls(t, ref)
	waits := false
	spec.Hooks.OnProgress = func(p engine.Progress) { waits = waits || strings.HasPrefix(p.Status, "Retrying in") }
	if got := version(t, e, spec); got != "whole" {
		t.Errorf("version %q", got)
	}
	if !waits {
		t.Error("nobody was told that the download is tried again")
	}
}

func TestPull_PlatformNotInList(t *testing.T) {
	t.Parallel()
	e, r := connect(t), newRegistry(t)
	p := r.push(t, "list:1", "1", other(), []byte("no layer is asked for"))
	r.pushList(t, "list:1", map[string]pushed{other(): p})
	wantFault(
		t,
		refused(t, e, pulls(t, r.ref(t, e, "list:1"))),
		engine.WrongArch,
		"list:1",
		"linux/"+runtime.GOARCH,
		"--platform",
	)
}

func TestPull_OtherPlatformOnly(t *testing.T) {
	t.Parallel()
	e, r := connect(t), newRegistry(t)
	ref := r.ref(t, e, "single:1")
	r.push(t, "single:1", "1", runtime.GOARCH, rootfs(t, e, nil))
	spec := pulls(t, ref)
	spec.Image.Platform = "linux/" + other()
	wantFault(t, refused(t, e, spec), engine.WrongArch, "linux/"+other(), "linux/"+runtime.GOARCH)
	spec.Image.Pull = engine.PullNever
	wantFault(t, refused(t, e, spec), engine.WrongArch, "linux/"+other(), "linux/"+runtime.GOARCH)
}

func TestPull_SelectsPlatform(t *testing.T) {
	t.Parallel()
	e, r := connect(t), newRegistry(t)
	layer := rootfs(t, e, nil)
	images := map[string]pushed{
		other():        r.push(t, "both:1", "far", other(), layer),
		runtime.GOARCH: r.push(t, "both:1", "near", runtime.GOARCH, layer),
	}
	r.pushList(t, "both:1", images)
	spec := pulls(t, r.ref(t, e, "both:1"))
	var found engine.Image
	spec.Hooks.OnImage = func(i engine.Image) { found = i }
	if got := version(t, e, spec); got != "near" || found.Emulated {
		t.Errorf("version %q, %+v", got, found)
	}
	spec.Image.Platform = "linux/" + other() // its files are this machine's, so that it runs
	if program, known := docker.Emulator(other()); known && program == "" {
		wantFault(t, refused(t, e, spec), engine.WrongArch, "no emulator", "--platform linux/"+runtime.GOARCH)
		return
	}
	if got := version(t, e, spec); got != "far" || !found.Emulated || found.Platform != spec.Image.Platform {
		t.Errorf("platform %s: version %q, %+v", spec.Image.Platform, got, found)
	}
}

// An engine with the images of containerd keeps those of all platforms under one name, and
// shows the machine's own where it is not asked for another.
func TestPull_SeveralLocalPlatforms(t *testing.T) {
	t.Parallel()
	const shown = `{"Id":"sha256:1","RepoDigests":["a@sha256:1"],"Os":"linux","Architecture":"amd64"}`
	full := says(http.StatusInternalServerError, `{"message":"no space left on device"}`)
	gone := says(http.StatusNotFound, `{"message":"No such image"}`)
	for name, c := range map[string]struct {
		version string // of the API
		here    bool   // the image for s390x is
		create  http.HandlerFunc
		pulled  bool
		want    engine.Kind
	}{
		"AskedForAndHere":       {"1.49", true, full, false, engine.DiskFull},
		"AskedForAndNotHere":    {"1.49", false, full, true, engine.WrongArch},
		"NotAskedForAndHere":    {"1.45", true, full, true, engine.DiskFull},
		"NotAskedForAndNotHere": {"1.45", false, gone, true, engine.WrongArch},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			pulled := false
			answers := fake{
				"GET /images/" + busybox + "/json": func(w http.ResponseWriter, r *http.Request) {
					switch asked := r.URL.Query().Get("platform"); {
					case asked == "":
						_, _ = io.WriteString(w, shown)
					case c.here && strings.Contains(asked, "s390x"):
						_, _ = io.WriteString(w, strings.Replace(shown, "amd64", "s390x", 1))
					default:
						gone(w, r)
					}
				},
				"POST /images/create":     func(http.ResponseWriter, *http.Request) { pulled = true },
				"POST /containers/create": c.create,
			}
			ping := func(w http.ResponseWriter, _ *http.Request) { w.Header().Set("Api-Version", c.version) }
			e := connectTo(t, docker.Options{Host: serve(t, mostly{answers, map[string]http.HandlerFunc{"/_ping": ping}})})
			spec := newSpec(t)
			spec.Image.Pull, spec.Image.Platform = engine.PullMissing, "linux/s390x"
			_, err := e.Start(t.Context(), spec)
			wantFault(t, err, c.want)
			if pulled != c.pulled {
				t.Errorf("pulled: %v", pulled)
			}
		})
	}
}

func TestPull_Cancel(t *testing.T) {
	t.Parallel()
	e, r := connect(t), newRegistry(t)
	ref := r.ref(t, e, "slow:1")
	p := r.push(t, "slow:1", "1", runtime.GOARCH, rootfs(t, e, nil))
	blob := r.holds["slow/blobs/"+p.layer].bytes
	why := errors.New("enough")
	ctx, cancel := context.WithCancelCause(t.Context())
	left := make(chan bool, 1)
	r.before = func(w http.ResponseWriter, q *http.Request) bool {
		if !strings.HasSuffix(q.URL.Path, p.layer) {
			return false
		}
		w.Header().Set("Content-Length", fmt.Sprint(len(blob)))
		_, _ = w.Write(blob[:len(blob)/2])
		cancel(why)
		// Docker 20.10 hangs up with the next byte it gets.
		for i := len(blob) / 2; i < len(blob) && q.Context().Err() == nil; i++ {
			_, _ = w.Write(blob[i : i+1])
			_ = http.NewResponseController(w).Flush()
			time.Sleep(10 * time.Millisecond)
		}
		left <- true
		return true
	}
	spec := pulls(t, ref, r.address+"/other:1")
	began := time.Now()
	_, err := e.Start(ctx, spec)
	if !errors.Is(err, why) {
		t.Errorf("got %v, want the cause", err)
	}
	if took := time.Since(began); took > soon {
		t.Errorf("it took %s", took)
	}
	nothingLeft(t, e, spec)
	select {
	case <-left:
	case <-time.After(soon):
		t.Error("the engine goes on pulling")
	}
}

// withConfig returns the machine's engine with another docker configuration.
func withConfig(t *testing.T, config string) *docker.Engine {
	t.Helper()
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "config.json"), []byte(config), 0o600); err != nil {
		t.Fatal(err)
	}
	return connectTo(t, docker.Options{Host: connect(t).Host(), ConfigDir: dir})
}

func TestPull_ConfigCredentials(t *testing.T) {
	t.Parallel()
	e, r := connect(t), newRegistry(t)
	r.user, r.word = "me", "se:cret"
	r.push(t, "private:1", "mine", runtime.GOARCH, rootfs(t, e, nil))
	ref := r.ref(t, e, "private:1")
	config := `{"auths":{%q:{"auth":%q}}}`
	wrong := withConfig(t, fmt.Sprintf(config, r.address, base64.StdEncoding.EncodeToString([]byte("me:wrong"))))
	wantFault(t, refused(t, wrong, pulls(t, ref)), engine.NoRegistry, ref, "docker login")
	right := withConfig(t, fmt.Sprintf(config, r.address, base64.StdEncoding.EncodeToString([]byte("me:se:cret"))))
	if got := version(t, right, pulls(t, ref)); got != "mine" {
		t.Errorf("version %q", got)
	}
}

// program puts a shell script first in PATH.
func program(t *testing.T, name, script string) {
	t.Helper()
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, name), []byte("#!/bin/sh\n"+script+"\n"), 0o700); err != nil {
		t.Fatal(err)
	}
	t.Setenv("PATH", dir+string(os.PathListSeparator)+os.Getenv("PATH"))
}

func TestPull_CredentialHelper(t *testing.T) {
	e, r := connect(t), newRegistry(t)
	r.user, r.word = "me", "secret"
	r.push(t, "private:1", "helped", runtime.GOARCH, rootfs(t, e, nil))
	ref := r.ref(t, e, "private:1")
	program(t, "docker-credential-buildlocaltest", `read -r server
[ "$1 $server" = "get `+r.address+`" ] && echo '{"ServerURL":"'"$server"'","Username":"me","Secret":"secret"}'`)
	for _, config := range []string{
		`{"credsStore":"buildlocaltest"}`,
		fmt.Sprintf(`{"credHelpers":{%q:"buildlocaltest"}}`, r.address),
	} {
		helped := withConfig(t, config)
		spec := pulls(t, ref)
		spec.Image.Pull = engine.PullAlways
		if got := version(t, helped, spec); got != "helped" {
			t.Errorf("%s: version %q", config, got)
		}
	}
	none := withConfig(t, `{"credsStore":"buildlocalnone"}`)
	spec := pulls(t, ref)
	spec.Image.Pull = engine.PullAlways
	wantFault(t, refused(t, none, spec), engine.NoImage, "docker-credential-buildlocalnone", "credential helper")
}
