package cmd_test

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httputil"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/buildlocal/buildlocal/engine/docker"
)

// TestScripts_Running runs testdata/script/running. Commands such as ps, stop and prune work on
// all builds of an engine, so each script has a window that shows only its own.
func TestScripts_Running(t *testing.T) {
	t.Parallel()
	windowScripts(t, "../testdata/script/running", "unix")
}

// TestScripts_RemoteEngine runs testdata/script/elsewhere. For the program the engine is on
// another machine, because it is reached by TCP.
func TestScripts_RemoteEngine(t *testing.T) {
	t.Parallel()
	windowScripts(t, "../testdata/script/elsewhere", "tcp")
}

func windowScripts(t *testing.T, dir, network string) {
	t.Helper()
	needEngine(t)
	engine, err := docker.Connect(docker.Options{Host: os.Getenv("DOCKER_HOST"), Home: os.Getenv("HOME")})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { engine.Close() })
	testscript.Run(t, testscript.Params{
		Dir: dir,
		Setup: func(env *testscript.Env) error {
			w := &window{engine: engine, dir: env.Getenv("WORK")}
			host, err := w.open(network)
			if err != nil {
				return err
			}
			env.Defer(func() { w.close(t) })
			env.Setenv("DOCKER_HOST", host)
			env.Setenv("WHOLE_ENGINE", os.Getenv("DOCKER_HOST"))
			env.Setenv("BUILDLOCAL_IMAGE", "buildlocal-test/base")
			env.Setenv("BUILDLOCAL_PULL", "never")
			env.Setenv("GORACE", "atexit_sleep_ms=0") // else every run sleeps a second
			env.Setenv("GIT_CONFIG_GLOBAL", os.DevNull)
			return nil
		},
	})
}

// window is a proxy of an engine that lists only the containers and volumes of sources below
// dir.
type window struct {
	engine *docker.Engine
	dir    string
	server *http.Server
}

// open starts to listen and returns the address for DOCKER_HOST.
func (w *window) open(network string) (string, error) {
	address := "127.0.0.1:0"
	if network == "unix" {
		address = filepath.Join(w.dir, ".engine.sock")
	}
	listener, err := net.Listen(network, address)
	if err != nil {
		return "", err
	}
	through, to, _ := strings.Cut(w.engine.Host(), "://")
	w.server = &http.Server{Handler: &httputil.ReverseProxy{
		Rewrite: func(r *httputil.ProxyRequest) { r.Out.URL.Scheme, r.Out.URL.Host = "http", "docker" },
		Transport: &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return (&net.Dialer{}).DialContext(ctx, through, to)
		}},
		FlushInterval: -1, ModifyResponse: w.narrow, ErrorLog: log.New(io.Discard, "", 0),
	}}
	go w.server.Serve(listener)
	return network + "://" + listener.Addr().String(), nil
}

// close stops listening and removes the resources that the script left at the engine.
func (w *window) close(t *testing.T) {
	w.server.Close()
	left, err := w.engine.List(context.Background(), sourceLabel)
	if err != nil {
		t.Error(err)
	}
	for _, l := range left {
		if !w.sees(l.Labels) {
			continue
		}
		if err := w.engine.Remove(context.Background(), l); err != nil {
			t.Error(err)
		}
	}
}

// sourceLabel is the label of every resource of a build.
const sourceLabel = "dev.buildlocal.source"

func (w *window) sees(labels map[string]string) bool {
	return strings.HasPrefix(labels[sourceLabel]+"/", w.dir+"/")
}

// narrow removes resources of other windows from a list.
func (w *window) narrow(r *http.Response) error {
	isVolumes := strings.HasSuffix(r.Request.URL.Path, "/volumes")
	if r.StatusCode != http.StatusOK || !isVolumes && !strings.HasSuffix(r.Request.URL.Path, "/containers/json") {
		return nil
	}
	text, err := io.ReadAll(r.Body)
	if err != nil {
		return err
	}
	volumes := struct{ Volumes []json.RawMessage }{}
	list := &volumes.Volumes
	if isVolumes {
		err = json.Unmarshal(text, &volumes)
	} else {
		err = json.Unmarshal(text, list)
	}
	if err != nil {
		return err
	}
	*list = w.shown(*list)
	if isVolumes {
		text, err = json.Marshal(volumes)
	} else {
		text, err = json.Marshal(*list)
	}
	r.Body = io.NopCloser(bytes.NewReader(text))
	r.ContentLength = int64(len(text))
	r.Header.Set("Content-Length", strconv.Itoa(len(text)))
	return err
}

func (w *window) shown(all []json.RawMessage) []json.RawMessage {
	some := []json.RawMessage{}
	for _, text := range all {
		var thing struct{ Labels map[string]string }
		if json.Unmarshal(text, &thing) == nil && w.sees(thing.Labels) {
			some = append(some, text)
		}
	}
	return some
}
