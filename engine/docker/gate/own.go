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
	return change(r, func(o object) error {
		if o["Privileged"] == true && !g.Privileged {
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
	return change(r, func(o object) error {
		if name := o.text("Container"); !g.itself(name) {
			return g.mustOwn(r.Context(), "container", name)
		}
		o["Container"] = g.Container
		return nil
	})
}

// commit makes an image of a container.
func (g *Gate) commit(r *http.Request, _ string) error {
	if err := g.mustOwn(r.Context(), "container", r.URL.Query().Get("container")); err != nil {
		return err
	}
	g.labelByChange(r)
	return nil
}

// labelByChange labels an image that is not built from a Dockerfile.
func (g *Gate) labelByChange(r *http.Request) {
	if g.KeepImages {
		return
	}
	query := r.URL.Query()
	for name, value := range g.Labels {
		query.Add("changes", fmt.Sprintf("LABEL %q=%q", name, value))
	}
	r.URL.RawQuery = query.Encode()
}

// bring labels what is imported; what is pulled is as it is.
func (g *Gate) bring(r *http.Request, _ string) error {
	if r.URL.Query().Get("fromSrc") != "" {
		g.labelByChange(r)
	}
	return nil
}

// build labels what is built.
func (g *Gate) build(r *http.Request, _ string) error {
	query := r.URL.Query()
	labels := map[string]string{}
	if text := query.Get("labels"); text != "" {
		if err := json.Unmarshal([]byte(text), &labels); err != nil {
			return &refusal{http.StatusBadRequest, "labels: " + err.Error()}
		}
	}
	for name, value := range g.Labels {
		if !g.KeepImages {
			labels[name] = value
		}
	}
	text, err := json.Marshal(labels)
	if err != nil {
		return err
	}
	query.Set("labels", string(text))
	switch mode := query.Get("networkmode"); {
	case mode == "host":
		query.Set("networkmode", "container:"+g.Container)
	case strings.HasPrefix(mode, "container:"):
		name := strings.TrimPrefix(mode, "container:")
		if err := g.mustOwn(r.Context(), "container", name); err != nil && !g.itself(name) {
			return err
		}
	}
	r.URL.RawQuery = query.Encode()
	return nil
}

// tag notes a name that the build gave: it may take it away again.
func (g *Gate) tag(r *http.Request, _ string) error {
	query := r.URL.Query()
	if repo := query.Get("repo"); repo != "" {
		name := repo + ":" + firstText(query.Get("tag"), "latest")
		var is described
		found, err := g.get(r.Context(), "/images/"+name+"/json", &is)
		if err != nil {
			return err
		}
		if own, err := g.owns(r.Context(), "image", name); found && !own && err == nil {
			return refuse("the name %s is that of an image of this machine; with --docker socket a build may not take it", name)
		}
		g.own.Store("image/"+name, true)
	}
	return nil
}

// removeImage lets the build remove what it made or named.
func (g *Gate) removeImage(r *http.Request, name string) error {
	full := name
	if !strings.Contains(name[strings.LastIndexByte(name, '/')+1:], ":") {
		full += ":latest"
	}
	if _, named := g.own.LoadAndDelete("image/" + full); named {
		return nil
	}
	own, err := g.owns(r.Context(), "image", name)
	if err == nil && !own {
		return refuse("the image %s is this machine's; with --docker socket a build removes only what it made", name)
	}
	return err
}

func firstText(all ...string) string {
	for _, text := range all {
		if text != "" {
			return text
		}
	}
	return ""
}
