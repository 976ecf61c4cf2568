package images_test

import (
	"archive/tar"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/registry"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/layout"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
	"golang.org/x/sys/unix"

	"github.com/buildlocal/buildlocal/engine"
	"github.com/buildlocal/buildlocal/engine/images"
	"github.com/buildlocal/buildlocal/internal/untar"
)

const platform = "linux/amd64"

// store returns a store in dir.
func store(dir string, change ...func(*images.Options)) *images.Store {
	o := images.Options{
		Dir: dir, Platform: platform, Now: time.Now,
		Unpack: func(_ context.Context, dir string, from io.Reader) error {
			return untar.Unpack(dir, from, untar.Unpacking{Opaque: "user.overlay.opaque"})
		},
		Remove: func(_ context.Context, dir string) error { return os.RemoveAll(dir) },
	}
	for _, c := range change {
		c(&o)
	}
	return images.New(o)
}

// layer creates a layer with a file of the given size that does not compress.
func layer(t *testing.T, file string, size int) v1.Layer {
	t.Helper()
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	text := make([]byte, size)
	source := rand.NewChaCha8([32]byte([]byte(fmt.Sprintf("%-32s", file))))
	_, _ = source.Read(text)
	if err := errors.Join(w.WriteHeader(&tar.Header{Name: file, Typeflag: tar.TypeReg, Mode: 0o644,
		Size: int64(size)})); err != nil {
		t.Fatal(err)
	}
	_, _ = w.Write(text)
	w.Close()
	l, err := tarball.LayerFromOpener(
		func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(b.Bytes())), nil },
	)
	if err != nil {
		t.Fatal(err)
	}
	return l
}

// image creates an image of layers for an architecture.
func image(t *testing.T, arch string, layers ...v1.Layer) v1.Image {
	t.Helper()
	i, err := mutate.AppendLayers(empty.Image, layers...)
	if err != nil {
		t.Fatal(err)
	}
	config, err := i.ConfigFile()
	if err != nil {
		t.Fatal(err)
	}
	config = config.DeepCopy()
	config.OS, config.Architecture = "linux", arch
	config.Config.Env, config.Config.Entrypoint = []string{"PATH=/here", "A=b"}, []string{"/entry"}
	if i, err = mutate.ConfigFile(i, config); err != nil {
		t.Fatal(err)
	}
	return i
}

// server is a registry that can be made to misbehave.
type server struct {
	*httptest.Server
	mu     sync.Mutex
	asked  []string                                                 // GET requests of blobs, with their ranges
	before func(w http.ResponseWriter, r *http.Request) (done bool) // may be nil
}

func serve(t *testing.T) *server {
	t.Helper()
	inner := registry.New(registry.Logger(log.New(io.Discard, "", 0)))
	s := &server{}
	s.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.mu.Lock()
		before := s.before
		if r.Method == http.MethodGet && strings.Contains(r.URL.Path, "/blobs/") {
			s.asked = append(s.asked, r.URL.Path+" "+r.Header.Get("Range"))
		}
		s.mu.Unlock()
		if before == nil || !before(w, r) {
			inner.ServeHTTP(w, r)
		}
	}))
	t.Cleanup(s.Close)
	return s
}

// push adds an image and returns its name.
func (s *server) push(t *testing.T, tag string, i v1.Image) string {
	t.Helper()
	full := strings.TrimPrefix(s.URL, "http://") + "/" + tag
	ref, err := name.ParseReference(full)
	if err == nil {
		err = remote.Write(ref, i)
	}
	if err != nil {
		t.Fatal(err)
	}
	s.mu.Lock()
	s.asked = nil
	s.mu.Unlock()
	return full
}

func (s *server) misbehave(f func(w http.ResponseWriter, r *http.Request) bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.before = f
}

// files lists the content of an image's layers, lowest first.
func files(t *testing.T, i *images.Image) []string {
	t.Helper()
	var all []string
	for _, dir := range i.Layers {
		entries, err := os.ReadDir(dir)
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range entries {
			all = append(all, e.Name())
		}
	}
	return all
}

// inside lists a directory of the store.
func inside(t *testing.T, dir ...string) []string {
	t.Helper()
	entries, err := os.ReadDir(filepath.Join(dir...))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		t.Fatal(err)
	}
	var all []string
	for _, e := range entries {
		all = append(all, e.Name())
	}
	return all
}

func isFault(err error, kind engine.Kind) bool {
	var f *engine.Fault
	return errors.As(err, &f) && f.Kind == kind && f.Hint != ""
}

func TestPull_SharesLayers(t *testing.T) {
	t.Parallel()
	s, dir := serve(t), t.TempDir()
	base, one, two := layer(t, "base", 1000), layer(t, "one", 1000), layer(t, "two", 1000)
	st := store(dir)
	for tag, i := range map[string]v1.Image{"first:1": image(t, "amd64", base, one),
		"second:1": image(t, "amd64", base, two)} {
		got, err := st.Need(t.Context(), engine.Spec{Image: engine.ImageRef{Names: []string{s.push(t, tag, i)}}})
		if err != nil {
			t.Fatal(err)
		}
		defer got.Close()
		if diff := cmp.Diff([]string{"PATH=/here", "A=b"}, got.Env); diff != "" || len(got.Entrypoint) != 1 {
			t.Errorf("%s%v", diff, got.Entrypoint)
		}
		if f := files(t, got); len(f) != 2 || f[0] != "base" {
			t.Errorf("layers have %v", f)
		}
	}
	if n := len(inside(t, dir, "layers")); n != 3 {
		t.Errorf("%d layers, want 3: the base is shared", n)
	}
	if left := append(inside(t, dir, "temp"), inside(t, dir, "partial")...); left != nil {
		t.Errorf("left: %v", left)
	}
	s.Close() // no request is needed
	if _, err := st.Need(t.Context(), engine.Spec{Image: engine.ImageRef{Names: []string{strings.TrimPrefix(s.URL,
		"http://") + "/first:1"}}}); err != nil {
		t.Error(err)
	}
}

func TestPull_ResumesPartialLayer(t *testing.T) {
	t.Parallel()
	for _, ranges := range []bool{true, false} {
		t.Run(fmt.Sprintf("the registry knows ranges %v", ranges), func(t *testing.T) {
			t.Parallel()
			s, dir := serve(t), t.TempDir()
			const size = 4 << 20
			big := layer(t, "big", size)
			full := s.push(t, "cut:1", image(t, "amd64", big))
			digest, _ := big.Digest()
			ctx, cancel := context.WithCancel(t.Context())
			s.misbehave(func(w http.ResponseWriter, r *http.Request) bool {
				if !strings.HasSuffix(r.URL.Path, digest.String()) {
					return false
				}
				text := compressed(t, big)
				w.Header().Set("Content-Length", fmt.Sprint(len(text)))
				_, _ = w.Write(text[:size/2])
				w.(http.Flusher).Flush()
				<-r.Context().Done()
				return true
			})
			st := store(dir)
			cut := func(p engine.Progress) {
				if p.Status == "Downloading" && p.Current > 0 {
					cancel()
				}
			}
			if _, err := st.Pull(ctx, full, cut); !errors.Is(err, context.Canceled) {
				t.Fatalf("got %v", err)
			}
			if n := inside(t, dir, "layers"); n != nil || inside(t, dir, "names") != nil || inside(t, dir, "images") != nil {
				t.Errorf("half an image can be seen: %v", n)
			}
			s.misbehave(func(w http.ResponseWriter, r *http.Request) bool {
				if strings.HasSuffix(r.URL.Path, digest.String()) && ranges {
					http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(compressed(t, big)))
					return true
				}
				return false
			})
			s.mu.Lock()
			s.asked = nil
			s.mu.Unlock()
			got, err := st.Pull(t.Context(), full, nil)
			if err != nil {
				t.Fatal(err)
			}
			defer got.Close()
			info, err := os.Stat(filepath.Join(got.Layers[0], "big"))
			if err != nil || info.Size() != size {
				t.Errorf("%v, %v", info, err)
			}
			s.mu.Lock()
			defer s.mu.Unlock()
			if asked := strings.Join(s.asked, "\n"); !strings.Contains(asked, digest.String()+" bytes=") {
				t.Errorf("asked for %s", asked)
			}
		})
	}
}

func compressed(t *testing.T, l v1.Layer) []byte {
	t.Helper()
	r, err := l.Compressed()
	if err != nil {
		t.Error(err)
		return nil
	}
	defer r.Close()
	text, err := io.ReadAll(r)
	if err != nil {
		t.Error(err)
	}
	return text
}

func TestPull_ReconnectsMidLayer(t *testing.T) {
	t.Parallel()
	s := serve(t)
	big := layer(t, "big", 1<<20)
	full := s.push(t, "broken:1", image(t, "amd64", big))
	digest, _ := big.Digest()
	times := 0
	s.misbehave(func(w http.ResponseWriter, r *http.Request) bool {
		if !strings.HasSuffix(r.URL.Path, digest.String()) {
			return false
		}
		if times++; times > 5 {
			return false
		}
		text := compressed(t, big)
		from := 0
		_, _ = fmt.Sscanf(r.Header.Get("Range"), "bytes=%d-", &from)
		w.Header().Set("Content-Length", fmt.Sprint(len(text)-from))
		if from > 0 {
			w.Header().Set("Content-Range", fmt.Sprintf("bytes %d-%d/%d", from, len(text)-1, len(text)))
			w.WriteHeader(http.StatusPartialContent)
		}
		_, _ = w.Write(text[from:min(len(text), from+100_000)])
		panic(http.ErrAbortHandler)
	})
	got, err := store(t.TempDir()).Pull(t.Context(), full, nil)
	if err != nil {
		t.Fatal(err)
	}
	got.Close()
}

func TestPull_DigestMismatch(t *testing.T) {
	t.Parallel()
	good, evil := layer(t, "good", 5000), layer(t, "evil", 5000)
	digest, _ := good.Digest()
	size, _ := good.Size()
	t.Run("a download", func(t *testing.T) {
		t.Parallel()
		s, dir := serve(t), t.TempDir()
		full := s.push(t, "evil:1", image(t, "amd64", good))
		s.misbehave(func(w http.ResponseWriter, r *http.Request) bool {
			if !strings.HasSuffix(r.URL.Path, digest.String()) {
				return false
			}
			_, _ = w.Write(compressed(t, evil)[:size])
			return true
		})
		if _, err := store(dir).Pull(t.Context(), full, nil); !isFault(err, engine.Refused) {
			t.Errorf("got %v", err)
		}
		if got := inside(t, dir, "layers"); got != nil {
			t.Errorf("kept: %v", got)
		}
	})
	t.Run("a layer that says it is another", func(t *testing.T) {
		t.Parallel()
		s, dir := serve(t), t.TempDir()
		id, _ := good.DiffID()
		liar := image(t, "amd64", lying{evil, id})
		if _, err := store(dir).Pull(t.Context(), s.push(t, "liar:1", liar), nil); !isFault(err, engine.Refused) {
			t.Errorf("got %v", err)
		}
		if got := inside(t, dir, "layers"); got != nil {
			t.Errorf("kept: %v", got)
		}
	})
}

// lying is a layer with the digest of another one.
type lying struct {
	v1.Layer
	id v1.Hash
}

func (l lying) DiffID() (v1.Hash, error) { return l.id, nil }

// TestPull_CancelWhileUnpacking ends a pull when its layer is partly unpacked: a store has
// complete layers only.
func TestPull_CancelWhileUnpacking(t *testing.T) {
	t.Parallel()
	image, err := mutate.AppendLayers(empty.Image, layer(t, "large", 40<<20))
	if err != nil {
		t.Fatal(err)
	}
	archive, ref := filepath.Join(t.TempDir(), "image.tar"), name.MustParseReference("test/image")
	if err := tarball.WriteToFile(archive, ref, image); err != nil {
		t.Fatal(err)
	}
	dir, began := t.TempDir(), make(chan struct{})
	ctx, cancel := context.WithCancel(t.Context())
	s := store(dir, func(o *images.Options) {
		o.Unpack = func(_ context.Context, dir string, from io.Reader) error {
			if _, err := io.ReadFull(from, make([]byte, 1)); err != nil {
				return err
			}
			cancel()
			close(began)
			_, err := io.Copy(io.Discard, from)
			return err
		}
	})
	if _, err := s.Pull(ctx, "tar:"+archive, nil); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
	<-began
	for _, sub := range []string{"layers", "temp", "images", "names"} {
		if entries, err := os.ReadDir(filepath.Join(dir, sub)); len(entries) > 0 {
			t.Errorf("%s has %v, %v", sub, entries, err)
		}
	}
}

func TestPull_SendsLogin(t *testing.T) {
	t.Parallel()
	s := serve(t)
	full := s.push(t, "private/it:1", image(t, "amd64", layer(t, "x", 10)))
	s.misbehave(func(w http.ResponseWriter, r *http.Request) bool {
		user, password, given := r.BasicAuth()
		if given && user == "me" && password == "secret" {
			return false
		}
		w.Header().Set("WWW-Authenticate", `Basic realm="r"`)
		w.WriteHeader(http.StatusUnauthorized)
		return true
	})
	dir := t.TempDir()
	if _, err := store(dir).Pull(t.Context(), full, nil); !isFault(err, engine.NoImage) {
		t.Errorf("without: %v", err)
	}
	asked := ""
	got, err := store(dir, func(o *images.Options) {
		o.Login = func(registry string) (images.Login, error) {
			asked = registry
			return images.Login{Username: "me", Password: "secret"}, nil
		}
	}).Pull(t.Context(), full, nil)
	if err != nil || asked != strings.TrimPrefix(s.URL, "http://") {
		t.Fatalf("%v; asked for %s", err, asked)
	}
	got.Close()
}

func TestNeed_LocalImages(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	one, two := image(t, "amd64", layer(t, "one", 100)), image(t, "amd64", layer(t, "two", 100))
	foreign := image(t, "s390x", layer(t, "three", 100))
	l, err := layout.Write(filepath.Join(dir, "layout"), empty.Index)
	if err != nil {
		t.Fatal(err)
	}
	named := func(n string) layout.Option {
		return layout.WithAnnotations(map[string]string{"org.opencontainers.image.ref.name": n})
	}
	if err := errors.Join(l.AppendImage(one, named("1.0")), l.AppendImage(two, named("2.0"))); err != nil {
		t.Fatal(err)
	}
	single, err := layout.Write(filepath.Join(dir, "single"), empty.Index)
	if err == nil {
		err = errors.Join(
			single.AppendImage(one),
			single.AppendImage(foreign, layout.WithPlatform(v1.Platform{OS: "linux", Architecture: "s390x"})),
		)
	}
	if err != nil {
		t.Fatal(err)
	}
	tag := func(n string) name.Tag { t, _ := name.NewTag(n); return t }
	archive, both := filepath.Join(dir, "one.tar"), filepath.Join(dir, "a:b.tar")
	if err := errors.Join(tarball.WriteToFile(archive, tag("mine/one:3"), one),
		tarball.MultiWriteToFile(both, map[name.Tag]v1.Image{tag("mine/one:3"): one, tag("mine/two:3"): two}),
		tarball.WriteToFile(filepath.Join(dir, "foreign.tar"), tag("mine/foreign:3"), foreign)); err != nil {
		t.Fatal(err)
	}
	for image, want := range map[string]string{
		"oci:layout:1.0": "one", "oci:layout:2.0": "two", "oci:single": "one", "tar:one.tar": "one",
		"tar:a:b.tar:mine/two:3": "two",
		"oci:layout":             "2 images are in it", "oci:layout:3.0": `no image in it is called "3.0"; it ` +
			`has 1.0, 2.0`, "oci:nowhere": "no such file",
		"tar:a:b.tar": "2 images are in it", "tar:foreign.tar": "it is for linux/s390x", "tar:single": "is a directory",
		"oci:one.tar": "not a directory",
	} {
		kind, file, _ := strings.Cut(image, ":")
		st := store(filepath.Join(t.TempDir(), "store"))
		got, err := st.Need(
			t.Context(),
			engine.Spec{Image: engine.ImageRef{Names: []string{kind + ":" + filepath.Join(dir, file)}, Pull: engine.PullNever}},
		)
		if err != nil {
			var f *engine.Fault
			if !strings.Contains(err.Error(), want) || !errors.As(err, &f) || f.Hint == "" {
				t.Errorf("%s: %v, want %s and a way out", image, err, want)
			}
			continue
		}
		if f := files(t, got); len(f) != 1 || f[0] != want {
			t.Errorf("%s: it has %v, want %s", image, f, want)
		}
		got.Close()
	}
	st := store(filepath.Join(dir, "store"))
	got, err := st.Pull(t.Context(), "tar:"+archive, nil)
	if err != nil {
		t.Fatal(err)
	}
	got.Close()
	if got, err = st.Find("mine/one:3"); err != nil { // as docker load does
		t.Fatal(err)
	}
	got.Close()
}

func TestFault_HasHint(t *testing.T) {
	t.Parallel()
	s := serve(t)
	host := strings.TrimPrefix(s.URL, "http://")
	there := s.push(t, "foreign:1", image(t, "s390x", layer(t, "x", 10)))
	for image, want := range map[string]engine.Kind{
		host + "/nothing:1": engine.NoImage, there: engine.WrongArch, "registry.invalid/some/it:1": engine.NoRegistry,
		"127.0.0.1:1/some/it:1": engine.NoRegistry, "NOT A NAME": engine.NoImage,
	} {
		if _, err := store(t.TempDir()).Need(t.Context(),
			engine.Spec{Image: engine.ImageRef{Names: []string{image}}}); !isFault(
			err,
			want,
		) {
			t.Errorf("%s: got %v, want %s", image, err, want)
		}
	}
	_, err := store(
		t.TempDir(),
	).Need(
		t.Context(),
		engine.Spec{Image: engine.ImageRef{Names: []string{there}, Pull: engine.PullNever}},
	)
	if !isFault(err, engine.NoImage) {
		t.Errorf("nothing may be pulled: %v", err)
	}
	full, err := store(t.TempDir(), func(o *images.Options) {
		o.Unpack = func(context.Context, string, io.Reader) error {
			return &fs.PathError{Op: "write", Path: "x", Err: unix.ENOSPC}
		}
	}).Pull(t.Context(), s.push(t, "big:1", image(t, "amd64", layer(t, "x", 10))), nil)
	if !isFault(err, engine.DiskFull) {
		t.Errorf("a full disk: %v, %v", full, err)
	}
}

func TestRemove_KeepsImagesInUse(t *testing.T) {
	t.Parallel()
	s, dir := serve(t), t.TempDir()
	base := layer(t, "base", 100)
	one, two := s.push(
		t,
		"one:1",
		image(t, "amd64", base, layer(t, "1", 100)),
	), s.push(
		t,
		"two:1",
		image(t, "amd64", base, layer(t, "2", 100)),
	)
	st := store(dir)
	used, err := st.Pull(t.Context(), one, nil)
	if err != nil {
		t.Fatal(err)
	}
	other, err := st.Pull(t.Context(), two, nil)
	if err != nil {
		t.Fatal(err)
	}
	other.Close()
	if err := st.Remove(t.Context(), one); !errors.Is(err, images.ErrInUse) {
		t.Errorf("in use: %v", err)
	}
	if err := st.Remove(t.Context(), two); err != nil {
		t.Error(err)
	}
	if f := files(t, used); len(f) != 2 { // the shared layer is kept
		t.Errorf("layers have %v", f)
	}
	if n := len(inside(t, dir, "layers")); n != 2 {
		t.Errorf("%d layers are left, want 2", n)
	}
	used.Close()
	all, total, err := st.List()
	if err != nil || len(all) != 1 || all[0].Size < 200 || total != all[0].Size {
		t.Errorf("%v of %d bytes, %v", all, total, err)
	}
	if err := st.Remove(t.Context(), one); err != nil {
		t.Error(err)
	}
	if err := st.Remove(t.Context(), one); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("once more: %v", err)
	}
	for _, d := range []string{"names", "images", "layers", "temp", "partial"} {
		if left := inside(t, dir, d); left != nil {
			t.Errorf("%s: %v", d, left)
		}
	}
}

func TestPull_ConcurrentPullsDownloadOnce(t *testing.T) {
	t.Parallel()
	s, dir := serve(t), t.TempDir()
	full := s.push(t, "same:1", image(t, "amd64", layer(t, "a", 1<<20), layer(t, "b", 1<<20)))
	if err := os.MkdirAll(filepath.Join(dir, "temp", "of-one-who-was-killed"), 0o755); err != nil {
		t.Fatal(err)
	}
	var group sync.WaitGroup
	for range 4 {
		group.Go(func() {
			got, err := store(dir).Pull(context.Background(), full, nil)
			if err != nil {
				t.Error(err)
				return
			}
			got.Close()
		})
	}
	group.Wait()
	if n := len(inside(t, dir, "layers")); n != 2 {
		t.Errorf("%d layers", n)
	}
	s.mu.Lock()
	asked := 0
	for _, a := range s.asked {
		if strings.Contains(a, "/blobs/") {
			asked++
		}
	}
	s.mu.Unlock()
	if most := 4 + 2; asked > most { // each pull requests the configuration
		t.Errorf("%d blobs were asked for, want %d at most", asked, most)
	}
	if err := store(dir).Remove(t.Context()); err != nil || inside(t, dir, "temp") != nil {
		t.Errorf("%v; left %v", err, inside(t, dir, "temp"))
	}
}
