package docker_test

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/docker/docker/api/types/container"
	"github.com/docker/docker/api/types/filters"
	"github.com/docker/docker/api/types/image"

	"github.com/buildlocal/buildlocal/engine/docker"
)

// The media types of a registry.
const (
	manifestType = "application/vnd.docker.distribution.manifest.v2+json"
	listType     = "application/vnd.docker.distribution.manifest.list.v2+json"
	configType   = "application/vnd.docker.container.image.v1+json"
	layerType    = "application/vnd.docker.image.rootfs.diff.tar.gzip"
)

// registry is a registry in this process, with the part of the distribution protocol that a
// pull needs. Engines take one on 127.0.0.0/8 without TLS.
type registry struct {
	address string
	user    string // empty lets everybody in
	word    string // the user's password
	// before answers in the registry's place when it returns true.
	before func(w http.ResponseWriter, r *http.Request) bool

	mu    sync.Mutex
	holds map[string]content // by path below /v2/
	asked []string           // paths of GET requests
}

type content struct {
	kind  string
	bytes []byte
}

// newRegistry starts a registry. It is set up before the first pull.
func newRegistry(t *testing.T) *registry {
	t.Helper()
	r := &registry{holds: map[string]content{}}
	server := httptest.NewServer(r)
	t.Cleanup(server.Close)
	t.Cleanup(server.CloseClientConnections)
	r.address = strings.TrimPrefix(server.URL, "http://")
	return r
}

func (r *registry) ServeHTTP(w http.ResponseWriter, q *http.Request) {
	name := strings.TrimPrefix(q.URL.Path, "/v2/")
	r.mu.Lock()
	if q.Method == http.MethodGet {
		r.asked = append(r.asked, name)
	}
	c, has := r.holds[name]
	r.mu.Unlock()
	w.Header().Set("Docker-Distribution-Api-Version", "registry/2.0")
	user, word, _ := q.BasicAuth()
	switch {
	case user != r.user || word != r.word:
		w.Header().Set("WWW-Authenticate", `Basic realm="test"`)
		refuse(w, http.StatusUnauthorized, "UNAUTHORIZED", "authentication required")
	case r.before != nil && r.before(w, q):
	case name == "":
		w.WriteHeader(http.StatusOK)
	case !has && strings.Contains(name, "/manifests/"):
		refuse(w, http.StatusNotFound, "MANIFEST_UNKNOWN", "manifest unknown")
	case !has:
		refuse(w, http.StatusNotFound, "BLOB_UNKNOWN", "blob unknown to registry")
	default:
		w.Header().Set("Content-Type", c.kind)
		w.Header().Set("Docker-Content-Digest", digest(c.bytes))
		w.Header().Set("Content-Length", fmt.Sprint(len(c.bytes)))
		_, _ = w.Write(c.bytes)
	}
}

// refuse answers with an error as the protocol has it.
func refuse(w http.ResponseWriter, status int, code, message string) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	fmt.Fprintf(w, `{"errors":[{"code":%q,"message":%q}]}`, code, message)
}

// countBlobs returns how often a blob was asked for.
func (r *registry) countBlobs() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return strings.Count(strings.Join(r.asked, "\n"), "/blobs/")
}

// pushed is an image in a registry.
type pushed struct {
	manifest, config, layer string // digests
	size                    int    // of the manifest
}

// push puts an image under a name and tag: a layer, and the variable VERSION;
// with no version, an image that has no configuration.
func (r *registry) push(t *testing.T, name, version, arch string, layer []byte) pushed {
	t.Helper()
	packed := pack(t, layer)
	about := map[string]any{
		"os": "linux", "architecture": arch,
		"rootfs": map[string]any{"type": "layers", "diff_ids": []string{digest(layer)}},
	}
	if version != "" {
		about["config"] = map[string]any{"Env": []string{"PATH=/bin", "VERSION=" + version}}
	}
	config := marshal(t, about)
	manifest := marshal(t, map[string]any{
		"schemaVersion": 2, "mediaType": manifestType,
		"config": map[string]any{"mediaType": configType, "size": len(config), "digest": digest(config)},
		"layers": []any{map[string]any{"mediaType": layerType, "size": len(packed), "digest": digest(packed)}},
	})
	repository, tag, _ := strings.Cut(name, ":")
	p := pushed{manifest: digest(manifest), config: digest(config), layer: digest(packed), size: len(manifest)}
	r.hold(repository+"/blobs/"+p.layer, content{"application/octet-stream", packed})
	r.hold(repository+"/blobs/"+p.config, content{"application/octet-stream", config})
	r.hold(repository+"/manifests/"+tag, content{manifestType, manifest})
	r.hold(repository+"/manifests/"+p.manifest, content{manifestType, manifest})
	return p
}

// pushList makes name a list of images, one for each architecture.
func (r *registry) pushList(t *testing.T, name string, images map[string]pushed) {
	t.Helper()
	var all []any
	for _, arch := range slices.Sorted(maps.Keys(images)) {
		all = append(
			all,
			map[string]any{"mediaType": manifestType, "digest": images[arch].manifest, "size": images[arch].size,
				"platform": map[string]string{"os": "linux", "architecture": arch}},
		)
	}
	list := marshal(t, map[string]any{"schemaVersion": 2, "mediaType": listType, "manifests": all})
	repository, tag, _ := strings.Cut(name, ":")
	r.hold(repository+"/manifests/"+tag, content{listType, list})
	r.hold(repository+"/manifests/"+digest(list), content{listType, list})
}

func (r *registry) hold(name string, c content) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.holds[name] = c
}

// ref returns the name of an image in the registry, and removes that image from
// the engine when the test ends.
func (r *registry) ref(t *testing.T, e *docker.Engine, name string) string {
	t.Helper()
	return forget(t, e, r.address+"/"+name)
}

// forget removes an image, and the earlier one of its name, from the engine when
// the test ends.
func forget(t *testing.T, e *docker.Engine, name string) string {
	t.Helper()
	api := daemon(t, e)
	repository, _, _ := strings.Cut(name[strings.LastIndex(name, "/"):], ":")
	repository = name[:strings.LastIndex(name, "/")] + repository
	t.Cleanup(func() {
		named := image.ListOptions{Filters: filters.NewArgs(filters.Arg("reference", repository))}
		images, err := api.ImageList(context.Background(), named)
		for _, i := range images {
			_, failed := api.ImageRemove(context.Background(), i.ID, image.RemoveOptions{Force: true, PruneChildren: true})
			err = errors.Join(err, failed)
		}
		if err != nil {
			t.Errorf("remove image %s: %v", name, err)
		}
	})
	return name
}

// rootfs returns the files of busybox with others on top, as a layer that no
// other image has: engines fetch the same layer only once.
func rootfs(t *testing.T, e *docker.Engine, more map[string]string) []byte {
	t.Helper()
	more = maps.Clone(more)
	if more == nil {
		more = map[string]string{}
	}
	more["unique"] = rand.Text()
	api := daemon(t, e)
	made, err := api.ContainerCreate(
		t.Context(),
		&container.Config{Image: busybox, Cmd: []string{"true"}},
		nil,
		nil,
		nil,
		"",
	)
	if err != nil {
		t.Fatal(err)
	}
	defer api.ContainerRemove(context.Background(), made.ID, container.RemoveOptions{Force: true})
	export, err := api.ContainerExport(t.Context(), made.ID)
	if err != nil {
		t.Fatal(err)
	}
	defer export.Close()
	var layer bytes.Buffer
	w := tar.NewWriter(&layer)
	copyTar(t, w, tar.NewReader(export), func(name string) bool { _, replaced := more[name]; return !replaced })
	addFiles(t, w, more)
	return layer.Bytes()
}

func copyTar(t *testing.T, to *tar.Writer, from *tar.Reader, wanted func(name string) bool) {
	t.Helper()
	for {
		h, err := from.Next()
		if err == io.EOF {
			return
		}
		if err != nil {
			t.Fatal(err)
		}
		if !wanted(h.Name) {
			continue
		}
		if err := to.WriteHeader(h); err != nil {
			t.Fatal(err)
		}
		if _, err := io.Copy(to, from); err != nil {
			t.Fatal(err)
		}
	}
}

// addFiles writes the last files of an archive. All may be run.
func addFiles(t *testing.T, w *tar.Writer, files map[string]string) {
	t.Helper()
	for _, name := range slices.Sorted(maps.Keys(files)) {
		err := w.WriteHeader(&tar.Header{Name: name, Typeflag: tar.TypeReg, Mode: 0o755, Size: int64(len(files[name]))})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := io.WriteString(w, files[name]); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
}

// newImage makes an image of the engine from files and lines of a Dockerfile.
func newImage(t *testing.T, e *docker.Engine, files []byte, changes ...string) string {
	t.Helper()
	name := forget(t, e, "buildlocal-docker/"+strings.ToLower(rand.Text())+":1")
	options := image.ImportOptions{Changes: changes}
	stream, err := daemon(
		t,
		e,
	).ImageImport(
		t.Context(),
		image.ImportSource{Source: bytes.NewReader(files), SourceName: "-"},
		name,
		options,
	)
	if err != nil {
		t.Fatal(err)
	}
	defer stream.Close()
	if answer, err := io.ReadAll(stream); err != nil || bytes.Contains(answer, []byte("error")) {
		t.Fatalf("import: %s, %v", answer, err)
	}
	return name
}

// other returns an architecture that this machine's is not.
func other() string {
	return map[bool]string{true: "arm64", false: "amd64"}[runtime.GOARCH == "amd64"]
}

func digest(data []byte) string { return fmt.Sprintf("sha256:%x", sha256.Sum256(data)) }

func pack(t *testing.T, data []byte) []byte {
	t.Helper()
	var b bytes.Buffer
	w, _ := gzip.NewWriterLevel(&b, gzip.BestSpeed)
	if _, err := w.Write(data); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func marshal(t *testing.T, v any) []byte {
	t.Helper()
	data, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return data
}
