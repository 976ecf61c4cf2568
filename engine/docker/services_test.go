package docker_test

import (
	"bytes"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/buildlocal/buildlocal/engine"
	"github.com/buildlocal/buildlocal/engine/docker"
)

// refuses is an engine that makes no container that asks for something.
type refuses struct {
	engine http.Handler
	what   []string
}

func (r refuses) ServeHTTP(w http.ResponseWriter, request *http.Request) {
	if strings.HasSuffix(request.URL.Path, "/containers/create") {
		body, _ := io.ReadAll(request.Body)
		if slices.ContainsFunc(r.what, func(what string) bool { return bytes.Contains(body, []byte(what)) }) {
			w.Header().Set("Content-Type", "application/json")
			w.WriteHeader(http.StatusBadRequest)
			_, _ = io.WriteString(w, `{"message":"no such thing here"}`)
			return
		}
		request.Body = io.NopCloser(bytes.NewReader(body))
	}
	r.engine.ServeHTTP(w, request)
}

// drops is an engine that passes over something it is asked for in silence.
type drops struct {
	engine http.Handler
	what   *regexp.Regexp
}

func (d drops) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if strings.HasSuffix(r.URL.Path, "/containers/create") {
		body, _ := io.ReadAll(r.Body)
		body = d.what.ReplaceAll(body, nil)
		r.Body, r.ContentLength = io.NopCloser(bytes.NewReader(body)), int64(len(body))
		r.Header.Del("Content-Length")
	}
	d.engine.ServeHTTP(w, r)
}

// These match parts of a request.
var (
	linkLocal = regexp.MustCompile(`"LinkLocalIPs":\[[^]]*\],?`)
	netAdmin  = regexp.MustCompile(`,"(CAP_)?NET_ADMIN"|"(CAP_)?NET_ADMIN",`)
)

func self(string) (string, error) { return os.Executable() }

// served is a service of the build's credentials; at is where else it is.
func served(at *string) []engine.Service {
	return []engine.Service{{
		Address: "169.254.170.2:80", OnFallback: func(address string) { *at = address },
		Serve: func(l net.Listener) error {
			return http.Serve(
				l,
				http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "served") }),
			)
		},
	}}
}

// An engine gives no link-local addresses, and says so or does not: they are taken in
// the container's network.
func TestService_RelayTakesAddresses(t *testing.T) {
	t.Parallel()
	engineItself := speaks(socket(t, connect(t)), "1.41")
	for name, handler := range map[string]http.Handler{
		"Refused":    refuses{engineItself, []string{"LinkLocalIPs"}},
		"PassedOver": drops{engineItself, linkLocal},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			e := connectTo(t, docker.Options{Host: serve(t, handler), Relay: self})
			spec, at := newSpec(t), ""
			spec.Hooks.OnWarning = func(format string, args ...any) {
				if !strings.Contains(format, "Creating the image") { // the first test on a machine
					t.Errorf("said: "+format, args...)
				}
			}
			for _, spec.Network.Services = range [][]engine.Service{nil, served(&at)} {
				c := start(t, e, spec)
				if out := sh(t, c, "wget -qO- http://169.254.169.254/ 2>&1 || echo refused"); !strings.Contains(
					out,
					"onnection refused",
				) {
					t.Errorf("the machine's metadata: %q", out)
				}
				out := sh(t, c, "wget -qO- http://169.254.170.2/ 2>&1 || :")
				if (out == "served") != (len(spec.Network.Services) > 0) {
					t.Errorf("%d services: got %q", len(spec.Network.Services), out)
				}
				if at != "" {
					t.Errorf("the service is at %s", at)
				}
				if err := c.Close(t.Context()); err != nil {
					t.Error(err)
				}
			}
		})
	}
}

func TestService_FallbackAddress(t *testing.T) {
	t.Parallel()
	engineItself := speaks(socket(t, connect(t)), "1.41")
	for name, handler := range map[string]http.Handler{
		"TheRelayIsRefused":      refuses{engineItself, []string{"LinkLocalIPs", "NET_ADMIN"}},
		"TheRelayMayTakeNothing": drops{drops{engineItself, linkLocal}, netAdmin},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			e := connectTo(t, docker.Options{Host: serve(t, handler), Relay: self})
			spec, at, said := newSpec(t), "", ""
			spec.Hooks.OnWarning = func(format string, args ...any) { said += fmt.Sprintf(format, args...) }
			spec.Network.Services = served(&at)
			c := start(t, e, spec)
			if !strings.HasPrefix(at, "127.0.0.1:") ||
				!strings.Contains(said, "The build can reach metadata endpoints: the engine does not block them") {
				t.Errorf("it is at %q; said: %s", at, said)
			}
			if out := sh(t, c, "wget -qO- http://"+at+"/"); out != "served" {
				t.Errorf("got %q", out)
			}
		})
	}
}

func TestService_NoRelayProgram(t *testing.T) {
	t.Parallel()
	spec := newSpec(t)
	spec.Network.Services = []engine.Service{{Address: "169.254.170.2:80", Serve: func(net.Listener) error { return nil }}}
	e := connectTo(t, docker.Options{Host: connect(t).Host(), Relay: func(architecture string) (string, error) {
		return "", fmt.Errorf("nothing for %s", architecture)
	}})
	if _, err := e.Start(t.Context(), spec); err == nil ||
		!strings.Contains(err.Error(), "nothing for "+architecture(t, e)) {
		t.Errorf("got %v", err)
	}
	e = connectTo(t, docker.Options{Host: e.Host(), Relay: func(string) (string, error) { return "/etc/hosts", nil }})
	if _, err := e.Start(t.Context(), spec); err == nil || !strings.Contains(err.Error(), "/etc/hosts") ||
		!strings.Contains(err.Error(), "not a program for Linux") {
		t.Errorf("got %v", err)
	}
}

func architecture(t *testing.T, e *docker.Engine) string {
	t.Helper()
	version, err := daemon(t, e).ServerVersion(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return version.Arch
}
