package gate

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strings"
)

// get asks the engine itself; ok is false for what is not there.
func (g *Gate) get(ctx context.Context, path string, to any) (ok bool, err error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, engineURL+path, nil)
	if err != nil {
		return false, err
	}
	got, err := g.api.Do(request)
	if err != nil {
		return false, err
	}
	defer got.Body.Close()
	if got.StatusCode != http.StatusOK {
		return false, nil
	}
	return true, json.NewDecoder(got.Body).Decode(to)
}

// described is what the engine tells of a thing.
type described struct {
	ID     string `json:"Id"`
	Labels map[string]string
	Config struct{ Labels map[string]string }
}

// owns reports whether a thing is the build's own.
func (g *Gate) owns(ctx context.Context, kind, name string) (bool, error) {
	key := kind + "/" + name
	if _, known := g.own.Load(key); known {
		return true, nil
	}
	path := map[string]string{"container": "/containers/%s/json", "network": "/networks/%s", "volume": "/volumes/%s", "image": "/images/%s/json"}[kind]
	var is described
	found, err := g.get(ctx, fmt.Sprintf(path, url.PathEscape(name)), &is)
	if err != nil || !found {
		return false, err
	}
	label, value, _ := strings.Cut(g.Label, "=")
	for _, labels := range []map[string]string{is.Labels, is.Config.Labels} {
		if labels[label] == value && is.ID != g.Container {
			if is.ID == name { // a name may be another's later
				g.own.Store(key, true)
			}
			return true, nil
		}
	}
	return false, nil
}

// isOwn lets only what is the build's own be named.
func isOwn(kind string) func(*Gate, *http.Request, string) error {
	return func(g *Gate, r *http.Request, name string) error { return g.mustOwn(r.Context(), kind, name) }
}

func (g *Gate) mustOwn(ctx context.Context, kind, name string) error {
	own, err := g.owns(ctx, kind, name)
	if err == nil && !own {
		return missing(kind, name)
	}
	return err
}

// itself reports whether a name is that of the build's own container, which knows its
// short ID as its host name.
func (g *Gate) itself(name string) bool {
	const short = 12
	return len(name) >= short && strings.HasPrefix(g.Container, name)
}

// ownExec lets only processes in containers of the build be named.
func (g *Gate) ownExec(r *http.Request, id string) error {
	var is struct{ ContainerID string }
	found, err := g.get(r.Context(), "/exec/"+url.PathEscape(id)+"/json", &is)
	if err != nil {
		return err
	}
	if !found {
		return missing("exec instance", id)
	}
	return g.mustOwn(r.Context(), "container", is.ContainerID)
}

func (g *Gate) createExec(r *http.Request, name string) error {
	if err := g.mustOwn(r.Context(), "container", name); err != nil {
		return err
	}
	return change(r, []string{"Privileged"}, func(o object) error {
		if !empty(o["Privileged"]) && !g.Privileged {
			return refuse("exec --privileged needs a build in privileged mode, as in the service")
		}
		return nil
	})
}

// connect lets the build connect what is its own, and itself, to its own networks and
// to those that the engine has for all.
func (g *Gate) connect(r *http.Request, network string) error {
	if network != "bridge" {
		if err := g.mustOwn(r.Context(), "network", network); err != nil {
			return err
		}
	}
	return change(r, []string{"Container"}, func(o object) error {
		if name := o.text("Container"); !g.itself(name) {
			return g.mustOwn(r.Context(), "container", name)
		}
		o["Container"] = g.Container
		return nil
	})
}
