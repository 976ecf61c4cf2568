// Package gate is a Docker engine's API as one build may use it: on the engine of this
// machine, but only for what the build itself makes.
//
// What is made is labelled, so that it can be found and removed. Lists have the build's
// own only; what is somebody else's is "no such container". Paths of the build are turned
// into what they are for the engine. What is refused is refused in words.
package gate

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httputil"
	"regexp"
	"strings"
	"sync"
)

// Gate serves the API to one build.
type Gate struct {
	Dial   func(ctx context.Context) (net.Conn, error) // connects to the engine
	Labels map[string]string                           // put on all that is made
	Label  string                                      // NAME=VALUE: one of them, which tells the build's own from all else

	Container string // ID of the build's container, whose network is the host's for what it starts
	// Privileged lets containers have more rights than usual, as the build itself has.
	Privileged bool
	// KeepImages leaves images that are built without labels.
	KeepImages bool
	// Paths returns where paths of the build are at the engine, in their order. Missing
	// directories are made where missing is true for them. The errors say why one has no
	// such place.
	Paths func(ctx context.Context, all []Path) ([]string, error)
	// Started is told when a container was started, by its name, before the build is;
	// nil for nobody.
	Started func(ctx context.Context, id string)

	once  sync.Once
	proxy *httputil.ReverseProxy
	api   *http.Client
	own   sync.Map // IDs and names that are known to be the build's, by kind
}

// Path is one that a container asks for: absolute, and whether it is made where missing.
type Path struct {
	Name string
	Make bool
}

// Serve serves connections until the listener is closed.
func (g *Gate) Serve(l net.Listener) error {
	g.begin()
	server := &http.Server{Handler: g}
	return server.Serve(l)
}

// engineURL is any address: Dial knows the engine's.
const engineURL = "http://engine"

func (g *Gate) begin() {
	g.once.Do(func() {
		transport := &http.Transport{
			DialContext:        func(ctx context.Context, _, _ string) (net.Conn, error) { return g.Dial(ctx) },
			DisableCompression: true,
		}
		g.api = &http.Client{Transport: transport}
		g.proxy = &httputil.ReverseProxy{
			Transport: transport, FlushInterval: -1,
			Rewrite: func(r *httputil.ProxyRequest) {
				r.Out.URL.Scheme, r.Out.URL.Host, r.Out.Host = "http", "engine", "engine"
			},
			ModifyResponse: g.started,
			ErrorHandler: func(w http.ResponseWriter, _ *http.Request, err error) {
				answer(w, http.StatusBadGateway, "the engine does not answer: "+err.Error())
			},
		}
	})
}

// refusal is an answer of our own.
type refusal struct {
	status int
	text   string
}

// Error returns the words.
func (r *refusal) Error() string { return r.text }

// refuse returns a refusal of what a build may not do, which says so.
func refuse(format string, args ...any) error {
	return &refusal{http.StatusForbidden, "buildlocal: " + fmt.Sprintf(format, args...)}
}

// missing is what the engine says of what is not there.
func missing(kind, name string) error {
	return &refusal{http.StatusNotFound, fmt.Sprintf("No such %s: %s (with --docker socket a build sees its own only)", kind, name)}
}

func answer(w http.ResponseWriter, status int, text string) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(map[string]string{"message": text})
}

// version begins the path of a request.
var version = regexp.MustCompile(`^/v\d+\.\d+`)

// ServeHTTP carries out one request.
func (g *Gate) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	g.begin()
	path := version.ReplaceAllString(r.URL.Path, "")
	err := g.check(r, path)
	if err == nil {
		g.proxy.ServeHTTP(w, r)
		return
	}
	status := http.StatusBadGateway
	if refused, ours := err.(*refusal); ours {
		status = refused.status
	}
	answer(w, status, err.Error())
}

// started tells of a container that was started, before the answer is given.
func (g *Gate) started(answer *http.Response) error {
	path := version.ReplaceAllString(answer.Request.URL.Path, "")
	id, verb, _ := strings.Cut(strings.TrimPrefix(path, "/containers/"), "/")
	if g.Started != nil && answer.Request.Method == http.MethodPost && (verb == "start" || verb == "restart") && answer.StatusCode == http.StatusNoContent {
		g.Started(answer.Request.Context(), id)
	}
	return nil
}

// rule says what is done with requests. The first whose method and pattern fit counts.
type rule struct {
	method  string // any of them where empty
	pattern *regexp.Regexp
	do      func(g *Gate, r *http.Request, name string) error
}

func pattern(text string) *regexp.Regexp { return regexp.MustCompile(`^` + text + `$`) }

// rules are all that a build may ask for; the rest is refused.
var rules = []rule{
	{"GET", pattern(`/(?:_ping|version|info|auth|system/df|distribution/.*)`), pass},
	{"HEAD", pattern(`/_ping`), pass},
	{"POST", pattern(`/(?:auth|session|grpc)`), pass},
	{"GET", pattern(`/events`), ownOnly},

	{"GET", pattern(`/containers/json`), ownOnly},
	{"POST", pattern(`/containers/prune`), ownOnly},
	{"POST", pattern(`/containers/create`), (*Gate).createContainer},
	{"POST", pattern(`/containers/([^/]+)/exec`), (*Gate).createExec},
	{"", pattern(`/containers/([^/]+)(?:/.*)?`), isOwn("container")},
	{"", pattern(`/exec/([^/]+)/.*`), (*Gate).ownExec},
	{"POST", pattern(`/commit`), (*Gate).commit},

	{"GET", pattern(`/networks`), ownOnly},
	{"POST", pattern(`/networks/prune`), ownOnly},
	{"POST", pattern(`/networks/create`), labelled},
	{"GET", pattern(`/networks/([^/]+)`), pass},
	{"POST", pattern(`/networks/([^/]+)/(?:connect|disconnect)`), (*Gate).connect},
	{"DELETE", pattern(`/networks/([^/]+)`), isOwn("network")},

	{"GET", pattern(`/volumes`), ownOnly},
	{"POST", pattern(`/volumes/prune`), ownOnly},
	{"POST", pattern(`/volumes/create`), (*Gate).createVolume},
	{"", pattern(`/volumes/([^/]+)`), isOwn("volume")},

	{"POST", pattern(`/build`), (*Gate).build},
	{"POST", pattern(`/images/create`), (*Gate).bring},
	{"POST", pattern(`/images/prune`), ownOnly},
	{"DELETE", pattern(`/images/(.+)`), (*Gate).removeImage},
	{"POST", pattern(`/images/(.+)/tag`), (*Gate).tag},
	{"", pattern(`/images/.*`), pass},
	{"POST", pattern(`/build/prune`), func(*Gate, *http.Request, string) error {
		return refuse("the build cache is the engine's, of all who use it; with --docker socket a build may not prune it")
	}},
}

func (g *Gate) check(r *http.Request, path string) error {
	for _, rule := range rules {
		found := rule.pattern.FindStringSubmatch(path)
		if found == nil || rule.method != "" && rule.method != r.Method {
			continue
		}
		name := ""
		if len(found) > 1 {
			name = found[1]
		}
		return rule.do(g, r, name)
	}
	return refuse("%s %s is not open to a build with --docker socket: the engine is this machine's. In privileged mode a build has its own", r.Method, path)
}

func pass(*Gate, *http.Request, string) error { return nil }

// ownOnly narrows a list to what the build made.
func ownOnly(g *Gate, r *http.Request, _ string) error {
	query := r.URL.Query()
	filters := map[string]any{}
	if text := query.Get("filters"); text != "" {
		if err := json.Unmarshal([]byte(text), &filters); err != nil {
			return &refusal{http.StatusBadRequest, "invalid filter: " + err.Error()}
		}
	}
	switch labels := filters["label"].(type) {
	case []any: // as older clients write it
		filters["label"] = append(labels, g.Label)
	case map[string]any:
		labels[g.Label] = true
	default:
		filters["label"] = map[string]any{g.Label: true}
	}
	text, err := json.Marshal(filters)
	if err != nil {
		return err
	}
	query.Set("filters", string(text))
	r.URL.RawQuery = query.Encode()
	return nil
}

// object is a JSON object of the API, of which we know a part.
type object map[string]any

// in returns an object that is a value of this one; it is made where it is missing.
func (o object) in(name string) object {
	inner, _ := o[name].(map[string]any)
	if inner == nil {
		inner = map[string]any{}
		o[name] = inner
	}
	return inner
}

// text returns a value that is text.
func (o object) text(name string) string {
	text, _ := o[name].(string)
	return text
}

// bodyLimit is how long a request in JSON may be, in bytes.
const bodyLimit = 8 << 20

// change lets a request's body be changed.
func change(r *http.Request, do func(object) error) error {
	text, err := io.ReadAll(io.LimitReader(r.Body, bodyLimit))
	if err != nil {
		return err
	}
	o := object{}
	if len(bytes.TrimSpace(text)) > 0 {
		decoder := json.NewDecoder(bytes.NewReader(text))
		decoder.UseNumber()
		if err := decoder.Decode(&o); err != nil {
			return &refusal{http.StatusBadRequest, "the request is no JSON object: " + err.Error()}
		}
	}
	if err := do(o); err != nil {
		return err
	}
	if text, err = json.Marshal(o); err != nil {
		return err
	}
	r.Body, r.ContentLength = io.NopCloser(bytes.NewReader(text)), int64(len(text))
	r.Header.Set("Content-Type", "application/json")
	r.Header.Del("Content-Length")
	return nil
}

// labelled puts the labels on what is made.
func labelled(g *Gate, r *http.Request, _ string) error {
	return change(r, func(o object) error { g.label(o); return nil })
}

func (g *Gate) label(o object) {
	labels := o.in("Labels")
	for name, value := range g.Labels {
		labels[name] = value
	}
}
