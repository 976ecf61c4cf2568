package apiproxy

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strings"
)

// get requests something from the engine itself. ok is false if it does not exist. The path must
// consist of checked parts only.
func (g *Proxy) get(ctx context.Context, path string, to any) (ok bool, err error) {
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

// described is the engine's description of a container, network, volume or image. Containers and
// images have their labels in Config, networks and volumes at the top, and lists of containers have
// them there too. Looking at both places is safe, because only the creator sets either.
type described struct {
	ID     string `json:"Id"`
	Name   string
	Labels map[string]string
	Config struct{ Labels map[string]string }
}

// inspect describes an object by name or ID.
func (g *Proxy) inspect(ctx context.Context, kind, name string) (is described, found bool, err error) {
	// A name with a slash would address another route. Names of images have slashes, which are escaped
	// below.
	if name == "" || !validPath("/"+name) || kind != "image" && strings.Contains(name, "/") {
		return described{}, false, nil
	}
	path := "/" + kind + "s/" + url.PathEscape(name)
	if kind == "container" || kind == "image" {
		path += "/json"
	}
	found, err = g.get(ctx, path, &is)
	if kind == "volume" {
		is.ID = is.Name // volumes have no IDs
	}
	// The ID goes into the path of later requests. An engine that returned something else would let
	// this package build a path that was never checked.
	if err == nil && found && (is.ID == "" || !validPath("/"+is.ID)) {
		return described{}, false, fmt.Errorf("inspect the %s %s: the engine returns the ID %q", kind, name, is.ID)
	}
	return is, found, err
}

// owned returns the full ID of an object if it belongs to the build, and else "". Requests
// to the engine must use that ID, because a name may refer to another object a moment
// later.
func (g *Proxy) owned(ctx context.Context, kind, name string) (id string, err error) {
	if _, known := g.own.Load(kind + "/" + name); known {
		return name, nil
	}
	is, found, err := g.inspect(ctx, kind, name)
	if err != nil || !found || !g.has(is) {
		return "", err
	}
	if is.ID == name && kind != "volume" { // the name of a volume may belong to another one later
		g.own.Store(kind+"/"+name, true)
	}
	return is.ID, nil
}

// has reports whether an object belongs to the build.
func (g *Proxy) has(is described) bool {
	label, value, _ := strings.Cut(g.Label, "=")
	// The container of the build has the label too, and must not be stopped or changed by the build
	// itself.
	return is.ID != g.Container && (is.Labels[label] == value || is.Config.Labels[label] == value)
}

// mustOwn is like owned, but returns an error for objects of others.
func (g *Proxy) mustOwn(ctx context.Context, kind, name string) (id string, err error) {
	id, err = g.owned(ctx, kind, name)
	if err == nil && id == "" {
		err = notFound(kind, name)
	}
	return id, err
}

// isOwn limits a request to objects of the build, and replaces names by full IDs.
func isOwn(g *Proxy, c *call) (err error) {
	c.name, err = g.mustOwn(c.Context(), c.route.kind(), c.name)
	return err
}

// container returns the full ID of a container that belongs to the build or that the build
// runs in.
func (g *Proxy) container(ctx context.Context, name string) (id string, err error) {
	if g.buildContainer(name) {
		return g.Container, nil
	}
	return g.mustOwn(ctx, "container", name)
}

// buildContainer reports whether a name refers to the build's container. The build knows
// the short ID as its host name. Prefixes that are shorter might match another container.
func (g *Proxy) buildContainer(name string) bool {
	const short = 12
	return len(name) >= short && strings.HasPrefix(g.Container, name)
}

// ownExec limits a request to processes in containers of the build.
func (g *Proxy) ownExec(c *call) error {
	// A process has no labels of its own; it belongs to the owner of its container.
	var is struct{ ID, ContainerID string }
	found, err := g.get(c.Context(), "/exec/"+url.PathEscape(c.name)+"/json", &is)
	if err != nil {
		return err
	}
	if !found {
		return notFound("exec instance", c.name)
	}
	if is.ID == "" || !validPath("/"+is.ID) || strings.Contains(is.ID, "/") {
		return fmt.Errorf("inspect the process %s: the engine returns the ID %q", c.name, is.ID)
	}
	c.name = is.ID
	_, err = g.mustOwn(c.Context(), "container", is.ContainerID)
	return err
}

// createExec limits a new process to containers of the build, and its rights to those of the build.
func (g *Proxy) createExec(c *call) error {
	if err := isOwn(g, c); err != nil {
		return err
	}
	return g.admit(c.body, "a process", execFields())
}

// startExec limits the start of a process. Some clients send further fields, which are dropped.
func (g *Proxy) startExec(c *call) error {
	if err := g.ownExec(c); err != nil {
		return err
	}
	return g.admit(c.body, "the start of a process", fieldList("ConsoleSize", "Detach", "Tty").
		without("id", "execId", "hijack", "stdin", "abortSignal"))
}

// ownOnly limits a list to objects of the build.
func ownOnly(g *Proxy, c *call) error {
	filters := map[string]map[string]bool{}
	if text := c.query.Get("filters"); text != "" {
		var err error
		if filters, err = readFilters(text); err != nil {
			return badRequest("invalid filter: %v", err)
		}
	}
	if filters["label"] == nil {
		filters["label"] = map[string]bool{}
	}
	// Several labels must all match, so the filter of the client can only narrow the result.
	filters["label"][g.Label] = true
	text, err := json.Marshal(filters)
	c.query.Set("filters", string(text))
	return err
}

// readFilters parses filters in the current and the older format.
func readFilters(text string) (map[string]map[string]bool, error) {
	filters := map[string]map[string]bool{}
	err := json.Unmarshal([]byte(text), &filters)
	if err == nil && filters != nil {
		return filters, nil
	}
	// Older clients send a list of values for each filter, and the engine accepts both forms.
	lists := map[string][]string{}
	if json.Unmarshal([]byte(text), &lists) != nil {
		return nil, err
	}
	filters = map[string]map[string]bool{}
	for name, values := range lists {
		filters[name] = map[string]bool{}
		for _, value := range values {
			filters[name][value] = true
		}
	}
	return filters, nil
}

// login lets a build log in to a registry.
func (g *Proxy) login(c *call) error {
	return g.admit(c.body, "a login", fieldList(
		"auth", "email", "identitytoken", "password", "registrytoken", "serveraddress", "username"))
}

// label adds the labels to a new object. A label of the same name in the request is overwritten:
// the build cannot pretend that an object is another build's.
func (g *Proxy) label(o object) {
	labels := o.child("Labels")
	for name, value := range g.Labels {
		labels[name] = value
	}
}
