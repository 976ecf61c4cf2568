// Package gate serves a Docker engine's API to one build: the engine is this machine's, and
// the build sees and changes only what it made itself.
//
// It decides by lists of what is allowed: of routes, their parameters, and fields of their
// bodies. All else is refused with a message. A request is not passed on: another one is
// made of its checked parts, with full IDs in the place of names, so that the engine acts on
// the object that was checked. Objects that the build makes are labelled, so that they can
// be found and removed, and its paths are turned into those of the engine.
package apiproxy

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/http/httputil"
	"slices"
	"sync"
	"time"
)

// Gate serves the API to one build.
type Proxy struct {
	Dial   func(ctx context.Context) (net.Conn, error) // connects to the engine
	Labels map[string]string                           // put on all that is made
	Label  string                                      // NAME=VALUE: one of them, which tells the build's own from others

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
	// Note is told once what a build should know of docker build; nil for nobody.
	Note func(text string)

	once     sync.Once
	server   *http.Server
	proxy    *httputil.ReverseProxy
	api      *http.Client
	own      sync.Map  // IDs that are known to be the build's, by kind
	noteOnce sync.Once // Note was called

	mu      sync.Mutex
	closed  bool
	pending sync.WaitGroup // requests that may make something
	names   names
	made    ids
}

// Path is one that a container asks for: absolute, and whether it is made where missing.
type Path struct {
	Name string
	Make bool
}

// Serve serves connections until Close.
func (g *Proxy) Serve(l net.Listener) error {
	g.begin()
	return g.server.Serve(l)
}

// closeWait is how long Close waits for what is being made.
const closeTimeout = 5 * time.Second

// Close ends all connections. What is being made is waited for, a little; after it
// nothing more is made. A pull or a build that still runs is cut off.
func (g *Proxy) Close(ctx context.Context) {
	g.begin()
	g.mu.Lock()
	g.closed = true
	g.mu.Unlock()
	done := make(chan struct{})
	go func() { g.pending.Wait(); close(done) }()
	ctx, cancel := context.WithTimeout(ctx, closeTimeout)
	defer cancel()
	select {
	case <-done:
	case <-ctx.Done():
	}
	_ = g.server.Close()
}

// makes are the routes that make labelled objects, at once.
var creatingRoutes = []string{"/containers/create", "/networks/create", "/volumes/create", "/commit"}

// enter begins a request; done ends it. There is none after Close.
func (g *Proxy) enter(route *route) (done func(), err error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	switch {
	case g.closed:
		return nil, refuse("the build has ended")
	case !slices.Contains(creatingRoutes, route.pattern):
		return func() {}, nil
	}
	g.pending.Add(1)
	return g.pending.Done, nil
}

// engineURL is any address: Dial knows the engine's.
const engineURL = "http://engine"

func (g *Proxy) begin() {
	g.once.Do(func() {
		transport := &http.Transport{
			DialContext:        func(ctx context.Context, _, _ string) (net.Conn, error) { return g.Dial(ctx) },
			DisableCompression: true,
		}
		quiet := slog.NewLogLogger(slog.DiscardHandler, slog.LevelError)
		g.server = &http.Server{Handler: g, ErrorLog: quiet, ReadHeaderTimeout: headerTimeout}
		g.api = &http.Client{Transport: transport, CheckRedirect: func(*http.Request, []*http.Request) error {
			return http.ErrUseLastResponse
		}}
		g.proxy = &httputil.ReverseProxy{
			Transport: transport, FlushInterval: -1, ErrorLog: quiet,
			Rewrite:        func(*httputil.ProxyRequest) {}, // outgoing made it
			ModifyResponse: g.answered,
			ErrorHandler: func(w http.ResponseWriter, _ *http.Request, err error) {
				var refused *refusal // the body was refused while it was sent
				if errors.As(err, &refused) {
					writeJSON(w, refused.status, refused.text)
					return
				}
				writeJSON(w, http.StatusBadGateway, "the engine does not answer: "+err.Error())
			},
		}
	})
}

// headerWait is how long a client may take to send the head of a request.
const headerTimeout = time.Minute

// refusal is an answer of our own.
type refusal struct {
	status int
	text   string
}

// Error returns the message.
func (r *refusal) Error() string { return r.text }

func refuseWith(status int, format string, args ...any) error {
	return &refusal{status, "buildlocal: " + fmt.Sprintf(format, args...)}
}

// refuse returns a refusal of what a build may not do.
func refuse(format string, args ...any) error {
	return refuseWith(http.StatusForbidden, format, args...)
}

// missing is what the engine says of what is not there.
func notFound(kind, name string) error {
	text := fmt.Sprintf("No such %s: %s (with --docker socket a build sees its own only)", kind, name)
	return &refusal{http.StatusNotFound, text}
}

func writeJSON(w http.ResponseWriter, status int, text string) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(map[string]string{"message": text})
}

// ServeHTTP carries out one request.
func (g *Proxy) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	g.begin()
	err := g.serve(w, r)
	if err == nil {
		return
	}
	status := http.StatusBadGateway
	var refused *refusal
	if errors.As(err, &refused) {
		status = refused.status
	}
	writeJSON(w, status, err.Error())
}

// serve answers a request, or returns why it is refused.
func (g *Proxy) serve(w http.ResponseWriter, r *http.Request) error {
	c, err := parse(r)
	if err != nil {
		return err
	}
	done, err := g.enter(c.route)
	if err != nil {
		return err
	}
	defer done()
	if err := c.route.do(g, c); err != nil {
		return err
	}
	if c.handled != nil {
		c.handled.ServeHTTP(w, r)
		return nil
	}
	out, err := c.outgoing()
	if err != nil {
		return err
	}
	g.proxy.ServeHTTP(w, out.WithContext(context.WithValue(out.Context(), callKey{}, c)))
	return nil
}

// callKey is the key of a request's call in its context.
type callKey struct{}

// answered looks at the engine's answer before the build gets it: containers that started
// or ended are reported, and images that were made are recorded.
func (g *Proxy) answered(answer *http.Response) error {
	c, _ := answer.Request.Context().Value(callKey{}).(*call)
	if version := answer.Header.Get("Api-Version"); version != "" && newer(version) {
		answer.Header.Set("Api-Version", newestVersion)
	}
	switch c.route.pattern {
	case "/version":
		return limitVersion(answer)
	case "/images/load", "/images/create", "/build", "/commit":
		answer.Body = &imageReader{ReadCloser: answer.Body, pattern: c.route.pattern, name: g.names.given, id: g.made.add}
	case "/grpc":
		if stream, both := answer.Body.(readWriteCloser); both {
			answer.Body = &sniffer{readWriteCloser: stream, name: g.names.given, id: g.made.add}
		}
	}
	if answer.StatusCode == http.StatusNoContent {
		g.report(c)
	}
	return nil
}

// report tells of a container that was started or told to end.
func (g *Proxy) report(c *call) {
	switch c.route.pattern {
	case "/containers/{id}/start", "/containers/{id}/restart":
		if g.Started != nil {
			g.Started(c.Context(), c.name)
		}
	case "/containers/{id}/stop", "/containers/{id}/kill", "/containers/{id}":
		if g.Ended != nil {
			g.Ended(c.Context(), c.name)
		}
	}
}
