// Package gate is a Docker engine's API as one build may use it: on the engine of this
// machine, but only for what the build itself makes.
//
// What is made is labelled, so that it can be found and removed. Lists have the build's
// own only; what is somebody else's is "no such container". Paths of the build are turned
// into what they are for the engine. What is refused is refused in words.
package gate

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httputil"
	"regexp"
	"strings"
	"sync"
	"time"
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
	// Tags are the names of images that the engine had when the build began, with their IDs.
	Tags map[string]string
	// Unreachable are link-local addresses that no container is to reach.
	Unreachable []string
	// Started is told when a container was started, by its name, before the build is, and
	// Ended when it was told to end; nil for nobody.
	Started, Ended func(ctx context.Context, id string)

	once   sync.Once
	server *http.Server
	proxy  *httputil.ReverseProxy
	api    *http.Client
	own    sync.Map // IDs that are known to be the build's, by kind

	mu     sync.Mutex
	closed bool
	flying sync.WaitGroup // requests that may make something
	names  names
}

// Path is one that a container asks for: absolute, and whether it is made where missing.
type Path struct {
	Name string
	Make bool
}

// Serve serves connections until Close.
func (g *Gate) Serve(l net.Listener) error {
	g.begin()
	return g.server.Serve(l)
}

// closeWait is how long Close waits for what is being made.
const closeWait = 5 * time.Second

// Close ends all connections. What is being made is waited for, a little; after it
// nothing more is made. A pull or a build that still runs is cut off.
func (g *Gate) Close(ctx context.Context) {
	g.begin()
	g.mu.Lock()
	g.closed = true
	g.mu.Unlock()
	done := make(chan struct{})
	go func() { g.flying.Wait(); close(done) }()
	ctx, cancel := context.WithTimeout(ctx, closeWait)
	defer cancel()
	select {
	case <-done:
	case <-ctx.Done():
	}
	_ = g.server.Close()
}

// makes are the requests that make what is labelled, at once.
var makes = pattern(`/(?:(?:containers|networks|volumes)/create|commit)`)

// enter begins a request; done ends it. There is none after Close.
func (g *Gate) enter(r *http.Request, path string) (done func(), err error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	switch {
	case g.closed:
		return nil, refuse("the build has ended")
	case r.Method != http.MethodPost || !makes.MatchString(path):
		return func() {}, nil
	}
	g.flying.Add(1)
	return g.flying.Done, nil
}

// engineURL is any address: Dial knows the engine's.
const engineURL = "http://engine"

func (g *Gate) begin() {
	g.once.Do(func() {
		transport := &http.Transport{
			DialContext:        func(ctx context.Context, _, _ string) (net.Conn, error) { return g.Dial(ctx) },
			DisableCompression: true,
		}
		quiet := slog.NewLogLogger(slog.DiscardHandler, slog.LevelError)
		g.server = &http.Server{Handler: g, ErrorLog: quiet}
		g.api = &http.Client{Transport: transport}
		g.proxy = &httputil.ReverseProxy{
			Transport: transport, FlushInterval: -1, ErrorLog: quiet,
			Rewrite: func(r *httputil.ProxyRequest) {
				r.Out.URL.Scheme, r.Out.URL.Host, r.Out.Host = "http", "engine", "engine"
			},
			ModifyResponse: g.answered,
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
	done, err := g.enter(r, path)
	if err == nil {
		defer done()
		err = g.check(r, path)
	}
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

// answered tells of containers that were started or told to end, before the build hears
// of it, and notes names of images that were loaded.
func (g *Gate) answered(answer *http.Response) error {
	r := answer.Request
	path := version.ReplaceAllString(r.URL.Path, "")
	if path == "/images/load" {
		answer.Body = &loaded{ReadCloser: answer.Body, note: g.names.given}
	}
	if stream, both := answer.Body.(io.ReadWriteCloser); both && path == "/grpc" {
		answer.Body = &sniffer{ReadWriteCloser: stream, note: g.names.given}
	}
	id, verb, _ := strings.Cut(strings.TrimPrefix(path, "/containers/"), "/")
	if id == path || answer.StatusCode != http.StatusNoContent {
		return nil
	}
	switch begins := verb == "start" || verb == "restart"; {
	case begins && g.Started != nil:
		g.Started(r.Context(), id)
	case g.Ended != nil && (verb == "stop" || verb == "kill" || verb == "" && r.Method == http.MethodDelete):
		g.Ended(r.Context(), id)
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
	{"GET", pattern(`/(?:_ping|version|info|auth|distribution/.*)`), pass},
	{"HEAD", pattern(`/_ping`), pass},
	// A client speaks to BuildKit in a language of its own: images that come of that have no
	// labels, but names are seen (sniffer).
	{"POST", pattern(`/(?:auth|session|grpc)`), pass},
	{"GET", pattern(`/events`), ownOnly},

	{"GET", pattern(`/containers/json`), ownOnly},
	{"POST", pattern(`/containers/prune`), ownOnly},
	{"POST", pattern(`/containers/create`), (*Gate).createContainer},
	{"POST", pattern(`/containers/([^/]+)/exec`), (*Gate).createExec},
	{"DELETE", pattern(`/containers/([^/]+)`), (*Gate).removeContainer},
	{"", pattern(`/containers/([^/]+)(?:/.*)?`), isOwn("container")},
	{"", pattern(`/exec/([^/]+)/.*`), (*Gate).ownExec},
	{"POST", pattern(`/commit`), (*Gate).commit},

	{"GET", pattern(`/networks`), ownOnly},
	{"POST", pattern(`/networks/prune`), ownOnly},
	{"POST", pattern(`/networks/create`), (*Gate).createNetwork},
	{"GET", pattern(`/networks/(?:bridge|host|none)`), pass},
	{"GET", pattern(`/networks/([^/]+)`), isOwn("network")},
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
	{"POST", pattern(`/images/load`), (*Gate).load},
	{"", pattern(`/images/.*`), pass},
	{"GET", pattern(`/(plugins|services|tasks|nodes|secrets|configs)/.*`), func(_ *Gate, _ *http.Request, kind string) error {
		return &refusal{http.StatusNotFound, "there are no " + kind + " for a build with --docker socket"}
	}},
	{"POST", pattern(`/build/prune`), func(*Gate, *http.Request, string) error {
		return refuse("the build cache is the engine's, of all who use it; with --docker socket a build may not prune it")
	}},
}

func (g *Gate) check(r *http.Request, path string) error {
	// The engine takes parameters from such a body too, and before those that are checked.
	if kind := r.Header.Get("Content-Type"); strings.Contains(kind, "form") {
		return &refusal{http.StatusUnsupportedMediaType, "buildlocal: a body of the type " + kind + " is not open to a build with --docker socket"}
	}
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

// label puts the labels on what is made.
func (g *Gate) label(o object) {
	labels := o.in("Labels")
	for name, value := range g.Labels {
		labels[name] = value
	}
}
