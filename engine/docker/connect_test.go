package docker_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/buildlocal/buildlocal/engine"
	"github.com/buildlocal/buildlocal/engine/docker"
)

// works proves that an engine does all a build needs: a process with its input
// and its end, more beside it, files in and out, the end of everything.
func works(t *testing.T, e *docker.Engine) {
	t.Helper()
	spec := newSpec(t)
	var out bytes.Buffer
	ended := make(chan int, 2)
	input, request := io.Pipe()
	spec.Main = &engine.Process{Args: []string{"sh", "-c", "cat; exit 7"}, Stdin: input, Stdout: &out}
	spec.Hooks.OnExit = func(exit int, err error) {
		if err != nil {
			t.Errorf("Main: %v", err)
		}
		ended <- exit
	}
	c := start(t, e, spec)
	if got := sh(t, c, "echo ran"); got != "ran\n" {
		t.Errorf("got %q", got)
	}
	stream, err := c.CopyOut(t.Context(), "/etc/passwd")
	if err != nil {
		t.Fatal(err)
	}
	defer stream.Close()
	if err := c.CopyIn(t.Context(), "/copied", stream); err != nil {
		t.Fatal(err)
	}
	if got := sh(t, c, "cat /copied/passwd"); !strings.HasPrefix(got, "root:") {
		t.Errorf("copied %q", got)
	}
	fmt.Fprint(request, "input")
	request.Close()
	select {
	case exit := <-ended:
		if exit != 7 || out.String() != "input" {
			t.Errorf("Main ended with %d and printed %q", exit, out.String())
		}
	case <-time.After(soon):
		t.Fatal("Main does not end with its input")
	}
}

// unreachable returns the fault of an engine that cannot be talked to.
func unreachable(t *testing.T, o docker.Options) error {
	t.Helper()
	e, err := docker.Connect(o)
	if err != nil {
		return err
	}
	defer e.Close()
	ctx, cancel := context.WithTimeout(t.Context(), soon)
	defer cancel()
	return e.Ping(ctx)
}

func TestAnEngineIsReachedByItsSocket(t *testing.T) {
	t.Parallel()
	works(t, connectTo(t, docker.Options{Host: "unix://" + socket(t, connect(t))}))
}

func TestAnEngineIsReachedByTCP(t *testing.T) {
	t.Parallel()
	path := socket(t, connect(t))
	l := listen(t, "tcp", "127.0.0.1:0")
	forward(t, l, path)
	works(t, connectTo(t, docker.Options{Host: "tcp://" + l.Addr().String()}))
}

func TestAnEngineIsReachedByTLS(t *testing.T) {
	t.Parallel()
	path, ours, theirs := socket(t, connect(t)), newAuthority(t), newAuthority(t)
	host := relayTLS(t, ours, path)
	dir := t.TempDir()
	certificates(t, dir, ours, ours)
	works(t, connectTo(t, docker.Options{Host: host, TLSVerify: true, CertPath: dir}))
	connectTo(t, docker.Options{Host: host, TLSVerify: true, ConfigDir: dir})

	distrusts := t.TempDir()
	certificates(t, distrusts, theirs, ours)
	wantFault(t, unreachable(t, docker.Options{Host: host, TLSVerify: true, CertPath: distrusts}), engine.NoEngine, host, "unknown authority", "DOCKER_CERT_PATH")
	connectTo(t, docker.Options{Host: host, CertPath: distrusts}) // asked not to verify

	stranger := t.TempDir()
	certificates(t, stranger, ours, theirs)
	wantFault(t, unreachable(t, docker.Options{Host: host, TLSVerify: true, CertPath: stranger}), engine.NoEngine, host, "certificate")
	wantFault(t, unreachable(t, docker.Options{Host: host, TLSVerify: true, CertPath: t.TempDir()}), engine.NoEngine, host, "ca.pem", "DOCKER_CERT_PATH")

	server := httptest.NewTLSServer(http.NotFoundHandler())
	defer server.Close()
	host = "tcp://" + server.Listener.Addr().String()
	wantFault(t, unreachable(t, docker.Options{Host: host}), engine.NoEngine, host, "HTTPS", "DOCKER_TLS_VERIFY")
}

// writeContext writes a docker context as the docker command does and returns
// the directory of its certificates.
func writeContext(t *testing.T, configDir, name, host string) string {
	t.Helper()
	id := fmt.Sprintf("%x", sha256.Sum256([]byte(name)))
	meta := filepath.Join(configDir, "contexts", "meta", id)
	if err := os.MkdirAll(meta, 0o755); err != nil {
		t.Fatal(err)
	}
	text := fmt.Sprintf(`{"Name":%q,"Metadata":{"Description":"a test"},"Endpoints":{"docker":{"Host":%q,"SkipTLSVerify":false}}}`, name, host)
	if err := os.WriteFile(filepath.Join(meta, "meta.json"), []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	return filepath.Join(configDir, "contexts", "tls", id, "docker")
}

func TestADockerContextNamesTheEngine(t *testing.T) {
	t.Parallel()
	path, a, dir := socket(t, connect(t)), newAuthority(t), t.TempDir()
	host := relayTLS(t, a, path)
	certificates(t, writeContext(t, dir, "far", host), a, a)
	writeContext(t, dir, "near", "unix://"+path)
	writeContext(t, dir, "odd", "nonsense")
	if err := os.WriteFile(filepath.Join(dir, "config.json"), []byte(`{"currentContext":"far"}`), 0o600); err != nil {
		t.Fatal(err)
	}
	far := connectTo(t, docker.Options{ConfigDir: dir})
	if far.Host() != host {
		t.Errorf("currentContext: host %s, want %s", far.Host(), host)
	}
	works(t, far)
	if near := connectTo(t, docker.Options{ConfigDir: dir, Context: "near"}); near.Host() != "unix://"+path {
		t.Errorf("DOCKER_CONTEXT: host %s", near.Host())
	}
	if e := connectTo(t, docker.Options{ConfigDir: dir, Context: "far", Host: "unix://" + path}); e.Host() != "unix://"+path {
		t.Errorf("DOCKER_HOST beside DOCKER_CONTEXT: host %s", e.Host())
	}
	if e, err := docker.Connect(docker.Options{ConfigDir: dir, Context: "default"}); err != nil || e.Host() == host {
		t.Errorf("the default context: %v", err)
	}
	wantFault(t, unreachable(t, docker.Options{ConfigDir: dir, Context: "none"}), engine.NoEngine, `"none"`, "DOCKER_CONTEXT", "docker context ls")
	wantFault(t, unreachable(t, docker.Options{ConfigDir: dir, Context: "odd"}), engine.NoEngine, "nonsense")
	if err := os.WriteFile(filepath.Join(dir, "config.json"), []byte(`{"currentContext":"gone"}`), 0o600); err != nil {
		t.Fatal(err)
	}
	wantFault(t, unreachable(t, docker.Options{ConfigDir: dir}), engine.NoEngine, `"gone"`, "the docker configuration", "docker context use")
}

func TestAnEngineIsReachedBySSH(t *testing.T) {
	if _, err := exec.LookPath("docker"); err != nil {
		t.Skip("there is no docker command to stand behind ssh")
	}
	path := socket(t, connect(t))
	asked := filepath.Join(t.TempDir(), "asked")
	// As sshd does: what follows the host's name is a line for a shell.
	program(t, "ssh", `echo "$@" >`+asked+`; while [ "$1" != -- ]; do shift; done; shift 2; DOCKER_HOST=unix://`+path+` exec sh -c "$*"`)
	e := connectTo(t, docker.Options{Host: "ssh://me@far.example:2222"})
	works(t, e)
	if got, _ := os.ReadFile(asked); !strings.Contains(string(got), "-l me -p 2222") || !strings.Contains(string(got), "far.example docker system dial-stdio") {
		t.Errorf("ssh was asked %q", got)
	}
	if e.Host() != "ssh://me@far.example:2222" {
		t.Errorf("host %s", e.Host())
	}
	spec := newSpec(t)
	spec.Mounts.Trees = []engine.Tree{{Host: t.TempDir(), Path: "/src"}}
	if err := refused(t, e, spec); !errors.Is(err, engine.ErrUnsupported) {
		t.Errorf("a tree on another machine: %v, want ErrUnsupported", err)
	}
}

func TestSSHThatFailsIsToldWithItsWords(t *testing.T) {
	program(t, "ssh", "read -r request; echo 'me@far.example: Permission denied (publickey).' >&2; exit 255")
	err := unreachable(t, docker.Options{Host: "ssh://me@far.example"})
	wantFault(t, err, engine.NoEngine, "ssh://me@far.example", "Permission denied (publickey)", "dial-stdio")
	program(t, "ssh", "read -r request; echo 'sh: docker: not found' >&2; exit 127")
	wantFault(t, unreachable(t, docker.Options{Host: "ssh://far.example"}), engine.NoEngine, "ssh://far.example", "docker: not found")
}

func TestABrokenConfigurationIsToldSo(t *testing.T) {
	t.Parallel()
	for _, text := range []string{`{"auths":`, `{"auths":{"x":{"auth":"%%"}}}`, `[]`} {
		dir := t.TempDir()
		if err := os.WriteFile(filepath.Join(dir, "config.json"), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		wantFault(t, unreachable(t, docker.Options{ConfigDir: dir}), engine.NoEngine, "configuration", filepath.Join(dir, "config.json"))
	}
}

func TestAnAddressThatIsNoneIsToldSo(t *testing.T) {
	t.Parallel()
	for _, host := range []string{"nonsense", "localhost:2375", "://", "ssh://far.example?x=y", "tcp://127.0.0.1:port"} {
		wantFault(t, unreachable(t, docker.Options{Host: host}), engine.NoEngine, host, "DOCKER_HOST")
	}
}

func TestAnEngineThatIsNotThereIsToldSo(t *testing.T) {
	t.Parallel()
	l := listen(t, "tcp", "127.0.0.1:0")
	l.Close()
	deaf := filepath.Join(shortDir(t), "deaf.sock")
	if s := listen(t, "unix", deaf); s.Close() != nil {
		t.Fatal("no socket")
	}
	if err := os.WriteFile(deaf, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, host := range []string{"unix:///no/such.sock", "unix://" + deaf, "tcp://" + l.Addr().String(), "tcp://no.such.host.invalid:1"} {
		wantFault(t, unreachable(t, docker.Options{Host: host}), engine.NoEngine, host, "DOCKER_HOST")
	}
}

func TestWhatIsNoEngineIsToldSo(t *testing.T) {
	t.Parallel()
	page := serve(t, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "<h1>Welcome</h1>") }))
	none := serve(t, http.NotFoundHandler())
	path := filepath.Join(shortDir(t), "talk.sock")
	l := listen(t, "unix", path)
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			fmt.Fprint(conn, "220 mail.example ESMTP\r\n")
			_, _ = io.Copy(io.Discard, conn)
			conn.Close()
		}
	}()
	for _, host := range []string{page, none, "unix://" + path} {
		wantFault(t, unreachable(t, docker.Options{Host: host}), engine.NoEngine, host)
	}
}

func TestAnOlderEngineWorks(t *testing.T) {
	t.Parallel()
	path := socket(t, connect(t))
	for _, version := range []string{"1.41", "1.24"} {
		t.Run(version, func(t *testing.T) { works(t, connectTo(t, docker.Options{Host: serve(t, speaks(path, version))})) })
	}
}

func TestAPlatformNeedsAnEngineThatKnowsPlatforms(t *testing.T) {
	t.Parallel()
	e := connectTo(t, docker.Options{Host: serve(t, speaks(socket(t, connect(t)), "1.40"))})
	spec := newSpec(t)
	spec.Image.Platform = "linux"
	if err := refused(t, e, spec); !errors.Is(err, engine.ErrUnsupported) || !strings.Contains(err.Error(), "1.41") {
		t.Errorf("got %v, want ErrUnsupported and the version that is needed", err)
	}
}

func TestAnEngineThatWantsAnotherVersionIsToldSo(t *testing.T) {
	t.Parallel()
	tooNew := says(http.StatusBadRequest, `{"message":"client version 1.51 is too old. Minimum supported API version is 1.60, please upgrade your client to a newer version"}`)
	host := serve(t, fake{"GET /images/" + busybox + "/json": tooNew})
	_, err := connectTo(t, docker.Options{Host: host}).Start(t.Context(), newSpec(t))
	wantFault(t, err, engine.NoEngine, "1.60", "newer")

	eager := connectTo(t, docker.Options{Host: connect(t).Host(), Version: "1.99"})
	_, err = eager.Start(t.Context(), newSpec(t))
	wantFault(t, err, engine.NoEngine, "1.99", "DOCKER_API_VERSION")
}
