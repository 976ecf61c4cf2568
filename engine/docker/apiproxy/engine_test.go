package apiproxy_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/buildlocal/buildlocal/engine/docker/apiproxy"
)

// recorder is a fake engine. It has objects of the build, named mine, and of others, and
// records all other requests.
type recorder struct {
	address string

	mu       sync.Mutex
	received []received
}

// received is a request that reached the engine.
type received struct {
	method, path string
	query        map[string][]string
	header       http.Header
	body         string
}

// things are the objects of the engine by kind and ID, with name and owner.
var things = map[string]map[string]struct{ name, of string }{
	"containers": {self: {"self", "me"}, mine: {"mine", "me"}, others: {"others", "you"}},
	"networks":   {mine: {"mine", "me"}, others: {"others", "you"}, bridge: {"bridge", ""}},
	"volumes":    {"mine": {"mine", "me"}, "others": {"others", "you"}},
	"images":     {"sha256:" + mine: {"mine", "me"}, "sha256:" + others: {"others", "you"}, "sha256:" + self: {"new", ""}},
}

// bridge is the ID of the engine's default network.
const bridge = "b41d6eb41d6eb41d6eb4"

// lookup finds an object as the engine does: by ID, by name, or by a prefix of the ID.
func lookup(kind, asked string) any {
	all := things[kind]
	id := ""
	for known, thing := range all {
		if known == asked || thing.name == asked {
			id = known
		}
	}
	for known := range all {
		if short := strings.TrimPrefix(known, "sha256:"); id == "" && len(asked) > 3 && kind != "volumes" &&
			strings.HasPrefix(short, asked) {
			id = known
		}
	}
	if id == "" {
		return nil
	}
	thing := all[id]
	labels := map[string]string{"of": thing.of}
	return map[string]any{"Id": id, "Name": thing.name, "Labels": labels, "Config": map[string]any{"Labels": labels},
		"RepoTags": []string{
			thing.name + ":latest",
		}, "Containers": map[string]any{others: map[string]string{"Name": "others"}, mine: map[string]string{"Name": "mine"}}}
}

func (e *recorder) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	kind, asked, _ := strings.Cut(strings.TrimPrefix(r.URL.Path, "/"), "/")
	if asked, described := strings.CutSuffix(asked, "/json"); r.Method == http.MethodGet &&
		r.UserAgent() == "Go-http-client/1.1" {
		switch {
		case kind == "exec" && described && (asked == "mine" || asked == mine):
			_ = json.NewEncoder(w).Encode(map[string]any{"ID": mine, "ContainerID": mine})
		case kind == "exec" && described && asked == others:
			_ = json.NewEncoder(w).Encode(map[string]any{"ID": others, "ContainerID": others})
		case r.URL.Path == "/containers/json":
			_ = json.NewEncoder(w).Encode([]any{lookup("containers", mine)})
		case things[kind] != nil && lookup(kind, asked) != nil:
			_ = json.NewEncoder(w).Encode(lookup(kind, asked))
		default:
			http.NotFound(w, r)
		}
		return
	}
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return // the proxy has cut it off
	}
	query := r.URL.Query()
	e.mu.Lock()
	e.received = append(e.received, received{r.Method, r.URL.EscapedPath(), query, r.Header.Clone(), string(body)})
	e.mu.Unlock()
	fmt.Fprintf(w, "%s %s?%s %s", r.Method, r.URL.EscapedPath(), query.Encode(), body)
}

// take returns the recorded requests and clears them.
func (e *recorder) take() []received {
	e.mu.Lock()
	defer e.mu.Unlock()
	all := slices.Clone(e.received)
	e.received = nil
	return all
}

func newEngine(t testing.TB) (*apiproxy.Proxy, *recorder) {
	t.Helper()
	e := &recorder{}
	server := httptest.NewServer(e)
	t.Cleanup(server.Close)
	e.address = server.Listener.Addr().String()
	return &apiproxy.Proxy{
		Dial: func(ctx context.Context) (net.Conn, error) {
			var d net.Dialer
			return d.DialContext(ctx, "tcp", e.address)
		},
		Labels: map[string]string{"of": "me"}, Label: "of=me", Container: self,
		Tags: map[string]string{"others:latest": "sha256:" + others, "new:latest": "before"},
		Paths: func(_ context.Context, all []apiproxy.Path) ([]string, error) {
			var at []string
			for _, p := range all {
				if p.Name == "/nowhere" {
					return nil, errors.New("/nowhere is nowhere")
				}
				at = append(at, "/engine"+p.Name)
			}
			return at, nil
		},
	}, e
}
