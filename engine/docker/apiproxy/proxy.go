// Package apiproxy proxies the Docker API for a single build. The build can see and change
// only objects that it has created itself; existing images can be used.
//
// Everything is decided by allow-lists: of routes, their parameters, and the fields of
// their JSON bodies. All else is refused with a message. A request is never passed on as it
// came. A new one is created from the checked parts, with full IDs instead of names, so
// that the engine acts on the object that was checked. Objects that the build creates are
// labelled, so that they can be found and removed, and paths of the build are translated to
// those of the engine's host.
//
// The package needs none of the engine's types. A test compares its routes with those in
// the engine's source.
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

// Proxy serves the API to one build. All fields must be set before Serve.
type Proxy struct {
	Dial   func(ctx context.Context) (net.Conn, error) // connects to the engine
	Labels map[string]string                           // put on everything that is created
	Label  string                                      // NAME=VALUE of the label that identifies objects of the build

	Container string // ID of the build's container, whose network replaces the host's
	// Privileged allows containers to have the rights that a privileged build itself has.
	Privileged bool
	// KeepImages omits the labels of images, so that they are kept.
	KeepImages bool
	// Paths translates paths of the build to those of the engine's host, in the same order.
	// Missing directories are created if Make is set. The error says why a path cannot be
	// translated.
	Paths func(ctx context.Context, all []Path) ([]string, error)
	// Tags are the IDs of images that the engine had before the build, by name.
	Tags map[string]string
	// Unreachable are link-local addresses that no container may reach.
	Unreachable []string
	// Started is called with the ID of a container after it was started, before the build gets
	// the response; Ended after a request to stop it. Either may be nil.
	Started, Ended func(ctx context.Context, id string)
	// Note is called at most once, with a warning about docker build. It may be nil.
	Note func(text string)

	// The build has full control of the client side of every connection, so nothing that it sends is
	// trusted: not its headers, not the order of its requests, not that it reads the responses.
	once   sync.Once
	server *http.Server
	proxy  *httputil.ReverseProxy
	api    *http.Client
	// Ownership is cached because clients inspect the same container many times a second. Labels
	// cannot be changed after creation, so an entry stays true.
	own      sync.Map  // IDs that are known to belong to the build, by kind
	noteOnce sync.Once // calls Note

	mu sync.Mutex
	// closed and pending are changed under one lock, so that no request begins after Close has begun
	// to wait.
	closed  bool
	pending sync.WaitGroup // requests that may create something
	names   names
	made    ids
}

// Path is a path that a container mounts: absolute, and created if it is missing and Make
// is set. The engine creates the missing source of --volume but not that of --mount, which is what
// Make distinguishes.
type Path struct {
	Name string
	Make bool
}

// Serve serves connections until Close.
func (g *Proxy) Serve(l net.Listener) error {
	g.begin()
	return g.server.Serve(l)
}

// closeTimeout bounds how long Close waits for requests that create something. Creating an object
// takes milliseconds; a longer request hangs.
const closeTimeout = 5 * time.Second

// Close closes all connections. It waits briefly for requests that create something;
// afterwards nothing more is created. Pulls and builds in progress are cut off.
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

// creatingRoutes are the routes that create labelled objects without delay. Pulls and builds are
// not among them: they can take minutes, and the objects that they leave are found in another way
// (see Made and Named).
var creatingRoutes = []string{"/containers/create", "/networks/create", "/volumes/create", "/commit"}

// enter begins a request; done ends it. After Close, it returns an error.
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

// engineURL has an arbitrary host, because Dial ignores it.
const engineURL = "http://engine"

func (g *Proxy) begin() {
	g.once.Do(func() {
		// Compression would hide the responses from answered. There is one connection pool for all
		// requests of the build, and a hijacked connection leaves it.
		transport := &http.Transport{
			DialContext:        func(ctx context.Context, _, _ string) (net.Conn, error) { return g.Dial(ctx) },
			DisableCompression: true,
		}
		// The log of net/http would go to the standard error of this program, with text that the build
		// chose.
		quiet := slog.NewLogLogger(slog.DiscardHandler, slog.LevelError)
		g.server = &http.Server{Handler: g, ErrorLog: quiet, ReadHeaderTimeout: headerTimeout}
		// A redirect would be a request that nothing has checked. The engine sends none for the paths
		// that are used here.
		g.api = &http.Client{Transport: transport, CheckRedirect: func(*http.Request, []*http.Request) error {
			return http.ErrUseLastResponse
		}}
		g.proxy = &httputil.ReverseProxy{
			// Streams such as logs and attach must arrive without delay, hence the immediate flush.
			Transport: transport, FlushInterval: -1, ErrorLog: quiet,
			Rewrite:        func(*httputil.ProxyRequest) {}, // outgoing has created the request
			ModifyResponse: g.answered,
			ErrorHandler: func(w http.ResponseWriter, _ *http.Request, err error) {
				var refused *refusal // the body was refused while it was being sent
				if errors.As(err, &refused) {
					writeJSON(w, refused.status, refused.text)
					return
				}
				writeJSON(w, http.StatusBadGateway, "the engine does not answer: "+err.Error())
			},
		}
	})
}

// headerTimeout bounds how long a client may take to send the header of a request. Bodies have no
// such limit, because a build context may take long.
const headerTimeout = time.Minute

// refusal is an error response of the proxy itself. Clients print the message after "Error response
// from daemon:", so each begins with the name of this program to show who refused.
type refusal struct {
	status int
	text   string
}

// Error returns the message.
func (r *refusal) Error() string { return r.text }

// refuseWith returns a refusal with a status.
func refuseWith(status int, format string, args ...any) error {
	return &refusal{status, "buildlocal: " + fmt.Sprintf(format, args...)}
}

// refuse returns the error for a forbidden request.
func refuse(format string, args ...any) error {
	return refuseWith(http.StatusForbidden, format, args...)
}

// notFound returns the engine's error for a missing object. An object of others is reported as
// missing rather than as forbidden, so that the build does not learn which names exist on the host,
// and clients such as docker compose create an object of their own.
func notFound(kind, name string) error {
	text := fmt.Sprintf("No such %s: %s (--docker socket shows a build only its own)", kind, name)
	return &refusal{http.StatusNotFound, text}
}

// writeJSON responds in the form of the engine, which clients parse.
func writeJSON(w http.ResponseWriter, status int, text string) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(map[string]string{"message": text})
}

// ServeHTTP handles one request.
func (g *Proxy) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	g.begin()
	err := g.serve(w, r)
	if err == nil {
		return
	}
	// An error that is not a refusal comes from the engine or the connection to it.
	status := http.StatusBadGateway
	var refused *refusal
	if errors.As(err, &refused) {
		status = refused.status
	}
	writeJSON(w, status, err.Error())
}

// serve handles a request, or returns why it is refused.
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
	// Few routes need a response that differs from that of the engine, and they build it themselves.
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

// callKey is the context key of the call.
type callKey struct{}

// answered inspects the engine's response before the build gets it: it reports started and
// stopped containers, and records created images.
func (g *Proxy) answered(answer *http.Response) error {
	// The request of the response is the outgoing one, whose context has the call.
	c, _ := answer.Request.Context().Value(callKey{}).(*call)
	// Clients negotiate the version with the header of /_ping, or with the body of /version if they
	// cannot read headers.
	if version := answer.Header.Get("Api-Version"); version != "" && newer(version) {
		answer.Header.Set("Api-Version", newestVersion)
	}
	switch c.route.pattern {
	case "/version":
		return limitVersion(answer)
	case "/images/load", "/images/create", "/build", "/commit":
		answer.Body = &imageReader{ReadCloser: answer.Body, pattern: c.route.pattern, name: g.names.given, id: g.made.add}
	// BuildKit answers on an upgraded connection, in both directions.
	case "/grpc":
		if stream, both := answer.Body.(readWriteCloser); both {
			answer.Body = &sniffer{readWriteCloser: stream, name: g.names.given, id: g.made.add}
		}
	}
	// 204 is the response to a container that was actually started or stopped. 304 means that it was
	// so already.
	if answer.StatusCode == http.StatusNoContent {
		g.report(c)
	}
	return nil
}

// report reports a container that was started or stopped.
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
