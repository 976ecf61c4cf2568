package apiproxy

import (
	"net/http"
	"strings"
)

// bodyKind is the kind of body that requests of a route have.
type bodyKind int

const (
	noBody bodyKind = iota
	jsonBody
	tarBody // an archive, which is streamed
)

// route is an operation of the API that a build may use. Operations without a route are
// refused.
type route struct {
	method  string
	pattern string // {id} is one segment, {name...} one or more
	query   string // names of parameters; those with * may be repeated
	body    bodyKind
	upgrade string // protocol to which the connection may be upgraded
	do      func(g *Proxy, c *call) error
}

// routes are all operations that a build may use. More specific patterns come first. A route that
// the engine gains in a later version is refused until it is added here. A test compares the list
// with the routes in the engine's source, so that none is overlooked.
var routes = []route{
	{method: "GET", pattern: "/_ping", do: forward},
	{method: "HEAD", pattern: "/_ping", do: forward},
	{method: "GET", pattern: "/version", do: forward},
	{method: "GET", pattern: "/info", do: forward},
	// The credentials of a login stay with the client, which sends them along with each pull and push.
	{method: "POST", pattern: "/auth", body: jsonBody, do: (*Proxy).login},
	// Lists, prunes and events get the label as a filter, so that the engine itself leaves out objects
	// of others.
	{method: "GET", pattern: "/events", query: "since until filters", do: ownOnly},
	{method: "GET", pattern: "/distribution/{name...}/json", do: forward},

	{method: "GET", pattern: "/containers/json", query: "all size since before limit filters", do: ownOnly},
	{method: "POST", pattern: "/containers/prune", query: "filters", do: ownOnly},
	{method: "POST", pattern: "/containers/create", query: "name platform", body: jsonBody, do: (*Proxy).createContainer},
	{method: "GET", pattern: "/containers/{id}/json", query: "size", do: isOwn},
	{method: "GET", pattern: "/containers/{id}/top", query: "ps_args", do: isOwn},
	{method: "GET", pattern: "/containers/{id}/logs", query: "stdout stderr follow timestamps since until tail details",
		do: isOwn},
	{method: "GET", pattern: "/containers/{id}/changes", do: isOwn},
	{method: "GET", pattern: "/containers/{id}/export", do: isOwn},
	{method: "GET", pattern: "/containers/{id}/stats", query: "stream one-shot", do: isOwn},
	{method: "GET", pattern: "/containers/{id}/archive", query: "path", do: isOwn},
	{method: "HEAD", pattern: "/containers/{id}/archive", query: "path", do: isOwn},
	{method: "PUT", pattern: "/containers/{id}/archive", query: "path noOverwriteDirNonDir copyUIDGID",
		body: tarBody, do: isOwn},
	{method: "POST", pattern: "/containers/{id}/start", query: "detachKeys", do: isOwn},
	{method: "POST", pattern: "/containers/{id}/stop", query: "t signal", do: isOwn},
	{method: "POST", pattern: "/containers/{id}/restart", query: "t signal", do: isOwn},
	{method: "POST", pattern: "/containers/{id}/kill", query: "signal", do: isOwn},
	{method: "POST", pattern: "/containers/{id}/pause", do: isOwn},
	{method: "POST", pattern: "/containers/{id}/unpause", do: isOwn},
	{method: "POST", pattern: "/containers/{id}/wait", query: "condition", do: isOwn},
	{method: "POST", pattern: "/containers/{id}/resize", query: "h w", do: isOwn},
	{method: "POST", pattern: "/containers/{id}/rename", query: "name", do: isOwn},
	{method: "POST", pattern: "/containers/{id}/attach", query: "stdin stdout stderr logs stream detachKeys",
		upgrade: "tcp", do: isOwn},
	{method: "POST", pattern: "/containers/{id}/update", body: jsonBody, do: (*Proxy).updateContainer},
	{method: "POST", pattern: "/containers/{id}/exec", body: jsonBody, do: (*Proxy).createExec},
	{method: "DELETE", pattern: "/containers/{id}", query: "force v", do: (*Proxy).removeContainer},
	{method: "GET", pattern: "/exec/{id}/json", do: (*Proxy).ownExec},
	{method: "POST", pattern: "/exec/{id}/start", body: jsonBody, upgrade: "tcp", do: (*Proxy).startExec},
	{method: "POST", pattern: "/exec/{id}/resize", query: "h w", do: (*Proxy).ownExec},
	// The parameters of commit are those of the CLI; an image that is made this way is labelled by a
	// change.
	{method: "POST", pattern: "/commit", query: "container repo tag comment author pause changes*",
		body: jsonBody, do: (*Proxy).commit},

	{method: "GET", pattern: "/networks", query: "filters", do: ownOnly},
	{method: "POST", pattern: "/networks/prune", query: "filters", do: ownOnly},
	{method: "POST", pattern: "/networks/create", body: jsonBody, do: (*Proxy).createNetwork},
	{method: "GET", pattern: "/networks/{id}", do: (*Proxy).inspectNetwork},
	{method: "POST", pattern: "/networks/{id}/connect", body: jsonBody, do: (*Proxy).connect},
	{method: "POST", pattern: "/networks/{id}/disconnect", body: jsonBody, do: (*Proxy).disconnect},
	{method: "DELETE", pattern: "/networks/{id}", do: isOwn},

	{method: "GET", pattern: "/volumes", query: "filters", do: ownOnly},
	{method: "POST", pattern: "/volumes/prune", query: "filters", do: ownOnly},
	{method: "POST", pattern: "/volumes/create", body: jsonBody, do: (*Proxy).createVolume},
	{method: "GET", pattern: "/volumes/{id}", do: isOwn},
	{method: "DELETE", pattern: "/volumes/{id}", query: "force", do: isOwn},

	// BuildKit sets up a session in the other direction: the engine asks the client for files and
	// secrets. The client can only give what the build has.
	{method: "POST", pattern: "/session", upgrade: "h2c", do: (*Proxy).buildKit},
	{method: "POST", pattern: "/grpc", upgrade: "h2c", do: (*Proxy).buildKit},
	{method: "POST", pattern: "/build", query: buildParameters, body: tarBody, do: (*Proxy).build},
	// Images are visible to the build, since it may use them; see the package comment.
	{method: "GET", pattern: "/images/json", query: "all filter filters digests shared-size manifests", do: forward},
	{method: "GET", pattern: "/images/search", query: "term limit filters", do: forward},
	{method: "GET", pattern: "/images/get", query: "names* platform", do: forward},
	{method: "GET", pattern: "/images/{name...}/get", query: "platform", do: forward},
	{method: "GET", pattern: "/images/{name...}/history", query: "platform", do: forward},
	{method: "GET", pattern: "/images/{name...}/json", query: "manifests platform", do: forward},
	{method: "POST", pattern: "/images/load", query: "platform", body: tarBody, do: (*Proxy).load},
	{method: "POST", pattern: "/images/create",
		query: "fromImage fromSrc repo tag message platform changes*", body: tarBody, do: (*Proxy).createImage},
	{method: "POST", pattern: "/images/prune", query: "filters", do: ownOnly},
	{method: "POST", pattern: "/images/{name...}/push", query: "tag platform", do: forward},
	{method: "POST", pattern: "/images/{name...}/tag", query: "repo tag", do: (*Proxy).tag},
	{method: "DELETE", pattern: "/images/{name...}", query: "force noprune platforms*", do: (*Proxy).removeImage},
	{method: "POST", pattern: "/build/prune", do: func(*Proxy, *call) error {
		return refuse("the build cache is shared by all users of the engine; a build with --docker socket cannot prune it")
	}},

	// Clients that list these get the response of an engine that does not have any.
	{method: "GET", pattern: "/plugins/{name...}", do: absent},
	{method: "GET", pattern: "/services/{name...}", do: absent},
	{method: "GET", pattern: "/tasks/{name...}", do: absent},
	{method: "GET", pattern: "/nodes/{name...}", do: absent},
	{method: "GET", pattern: "/secrets/{name...}", do: absent},
	{method: "GET", pattern: "/configs/{name...}", do: absent},
}

// Some have no effect without the classic builder, and are passed on so that the engine reports it.
const buildParameters = "t* extrahosts* remote q nocache cachefrom pull rm forcerm memory memswap cpushares " +
	"cpusetcpus cpusetmems cpuperiod cpuquota buildargs shmsize squash labels networkmode platform target " +
	"outputs version session buildid ulimits isolation dockerfile cgroupparent securityopt*"

// forward passes a request on without further checks.
func forward(*Proxy, *call) error { return nil }

// absent responds as an engine without the feature does: Swarm is not active, no plugins are
// installed.
func absent(_ *Proxy, c *call) error {
	kind, _, _ := strings.Cut(c.route.pattern[1:], "/")
	return &refusal{http.StatusNotFound, "there are no " + kind + " with --docker socket"}
}

// findRoute returns the route of a request, or nil, and the name in its path.
func findRoute(method, path string) (found *route, name string) {
	for _, r := range routes {
		if r.method != method {
			continue
		}
		if name, ok := r.match(path); ok {
			return &r, name
		}
	}
	return nil, ""
}

// match returns the part of a path that matches the placeholder of the pattern.
func (r *route) match(path string) (name string, ok bool) {
	before, after, named := r.split()
	if !named {
		return "", path == r.pattern
	}
	name, ok = strings.CutPrefix(path, before)
	if ok {
		name, ok = strings.CutSuffix(name, after)
	}
	return name, ok && name != "" && (strings.Contains(r.pattern, "...}") || !strings.Contains(name, "/"))
}

// path returns the path for a name.
func (r *route) path(name string) string {
	before, after, named := r.split()
	if !named {
		return r.pattern
	}
	return before + name + after
}

// split divides the pattern at its placeholder.
func (r *route) split() (before, after string, named bool) {
	before, rest, named := strings.Cut(r.pattern, "{")
	_, after, _ = strings.Cut(rest, "}")
	return before, after, named
}

// kind returns the kind of object that a route is about.
func (r *route) kind() string {
	for _, kind := range []string{"container", "network", "volume", "image"} {
		if strings.HasPrefix(r.pattern, "/"+kind+"s/") {
			return kind
		}
	}
	return ""
}
