package docker_test

import (
	"bytes"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"testing"

	"github.com/buildlocal/buildlocal/engine"
	"github.com/buildlocal/buildlocal/engine/docker"
)

// plainNetworks is an engine that knows no link-local addresses.
type plainNetworks struct{ engine http.Handler }

func (p plainNetworks) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if strings.HasSuffix(r.URL.Path, "/containers/create") {
		body, _ := io.ReadAll(r.Body)
		if bytes.Contains(body, []byte("LinkLocalIPs")) {
			w.Header().Set("Content-Type", "application/json")
			w.WriteHeader(http.StatusBadRequest)
			_, _ = io.WriteString(w, `{"message":"no such addresses here"}`)
			return
		}
		r.Body = io.NopCloser(bytes.NewReader(body))
	}
	p.engine.ServeHTTP(w, r)
}

func TestWhereAnAddressCannotBeHadAServiceIsElsewhere(t *testing.T) {
	t.Parallel()
	path := socket(t, connect(t))
	host := serve(t, plainNetworks{speaks(path, "1.41")})
	e := connectTo(t, docker.Options{Host: host, Relay: func(string) (string, error) { return os.Executable() }})
	spec, at, said := newSpec(t), "", ""
	spec.Say = func(format string, args ...any) { said += fmt.Sprintf(format, args...) }
	spec.Services = []engine.Service{{
		Address: "169.254.170.2:80", Elsewhere: func(address string) { at = address },
		Serve: func(l net.Listener) error {
			return http.Serve(l, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "served") }))
		},
	}}
	c, err := e.Start(t.Context(), spec)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close(t.Context())
	if !strings.HasPrefix(at, "127.0.0.1:") || !strings.Contains(said, "Cloud metadata addresses are within reach of the build: the engine does not keep them from it") {
		t.Errorf("it is at %q; said: %s", at, said)
	}
	if out := sh(t, c.(*docker.Container), "wget -qO- http://"+at+"/"); out != "served" {
		t.Errorf("got %q", out)
	}
}

func TestWithoutAProgramForTheEngineServicesAreRefused(t *testing.T) {
	t.Parallel()
	spec := newSpec(t)
	spec.Services = []engine.Service{{Address: "169.254.170.2:80", Serve: func(net.Listener) error { return nil }}}
	e := connectTo(t, docker.Options{Host: connect(t).Host(), Relay: func(architecture string) (string, error) {
		return "", fmt.Errorf("nothing for %s", architecture)
	}})
	if _, err := e.Start(t.Context(), spec); err == nil || !strings.Contains(err.Error(), "nothing for "+architecture(t, e)) {
		t.Errorf("got %v", err)
	}
	e = connectTo(t, docker.Options{Host: e.Host(), Relay: func(string) (string, error) { return "/etc/hosts", nil }})
	if _, err := e.Start(t.Context(), spec); err == nil || !strings.Contains(err.Error(), "/etc/hosts") || !strings.Contains(err.Error(), "no program for Linux") {
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
