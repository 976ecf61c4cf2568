package docker_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"io"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/buildlocal/buildlocal/engine/docker"
)

// socket returns the path of the engine's socket; an engine without one cannot
// be put behind something else.
func socket(t *testing.T, e *docker.Engine) string {
	t.Helper()
	path, local := strings.CutPrefix(e.Host(), "unix://")
	if !local {
		t.Skipf("the engine at %s has no socket here", e.Host())
	}
	return path
}

// shortDir returns a directory whose name leaves room for that of a socket.
func shortDir(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "bl")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	return dir
}

func listen(t *testing.T, network, address string) net.Listener {
	t.Helper()
	l, err := net.Listen(network, address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	return l
}

// forward connects each caller of l to the engine's socket.
func forward(t *testing.T, l net.Listener, socket string) {
	t.Helper()
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			go join(conn, socket)
		}
	}()
}

// halfConn is a connection of which one direction can be closed.
type halfConn interface {
	net.Conn
	CloseWrite() error
}

func join(caller net.Conn, socket string) {
	defer caller.Close()
	conn, err := net.Dial("unix", socket)
	if err != nil {
		return
	}
	defer conn.Close()
	go func() {
		_, _ = io.Copy(conn, caller)
		_ = conn.(halfConn).CloseWrite()
	}()
	_, _ = io.Copy(caller, conn)
}

// serve answers on a socket as handler says, and returns its address.
func serve(t *testing.T, handler http.Handler) string {
	t.Helper()
	path := filepath.Join(shortDir(t), "docker.sock")
	server := httptest.NewUnstartedServer(handler)
	server.Listener.Close()
	server.Listener = listen(t, "unix", path)
	server.Start()
	t.Cleanup(server.Close)
	t.Cleanup(server.CloseClientConnections)
	return "unix://" + path
}

// speaks is an engine that says it knows the API up to version.
func speaks(socket, version string) http.Handler {
	return &httputil.ReverseProxy{
		Rewrite: func(r *httputil.ProxyRequest) { r.SetURL(&url.URL{Scheme: "http", Host: "docker"}) },
		Transport: &http.Transport{
			DisableKeepAlives: true,
			DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
				var d net.Dialer
				return d.DialContext(ctx, "unix", socket)
			},
		},
		FlushInterval: -1,
		ModifyResponse: func(r *http.Response) error {
			r.Header.Set("Api-Version", version)
			return nil
		},
	}
}

// late is an engine that starts its first process only when it may.
type late struct {
	engine     http.Handler
	socket     string
	answered   func() // called when it said that the process runs
	asked      atomic.Bool
	may, ended chan struct{}
}

func (l *late) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	start := strings.Contains(r.URL.Path, "/exec/") && strings.HasSuffix(r.URL.Path, "/start")
	if !start || l.asked.Swap(true) {
		l.engine.ServeHTTP(w, r)
		return
	}
	defer close(l.ended)
	body, _ := io.ReadAll(r.Body)
	caller, _, err := http.NewResponseController(w).Hijack()
	if err != nil {
		return
	}
	defer caller.Close()
	_, _ = io.WriteString(caller, "HTTP/1.1 101 UPGRADED\r\nConnection: Upgrade\r\nUpgrade: tcp\r\n\r\n")
	l.answered()
	<-l.may
	conn, err := net.Dial("unix", l.socket)
	if err != nil {
		return
	}
	defer conn.Close()
	fmt.Fprintf(
		conn,
		"POST %s HTTP/1.1\r\nHost: docker\r\nConnection: Upgrade\r\nUpgrade: tcp\r\nContent-Type: "+
			"application/json\r\nContent-Length: %d\r\n\r\n%s",
		r.URL.Path,
		len(body),
		body,
	)
	_, _ = io.Copy(io.Discard, conn)
}

// fake is an engine with fixed answers by method
// and path without the API's version, such as "POST /images/create".
type fake map[string]http.HandlerFunc

var versionPrefix = regexp.MustCompile(`^/v1\.\d+/`)

func (f fake) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Api-Version", "1.41")
	w.Header().Set("Content-Type", "application/json")
	name := versionPrefix.ReplaceAllString(r.URL.Path, "/")
	answer := f[r.Method+" "+name]
	switch {
	case name == "/_ping":
	case answer != nil:
		answer(w, r)
	default:
		w.WriteHeader(http.StatusNotFound)
		_, _ = io.WriteString(w, `{"message":"No such thing: `+name+`"}`)
	}
}

// mostly is an engine that gives some answers of its own, by the end of the path.
type mostly struct {
	engine  http.Handler
	answers map[string]http.HandlerFunc
}

func (m mostly) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	for end, answer := range m.answers {
		if strings.HasSuffix(r.URL.Path, end) {
			w.Header().Set("Content-Type", "application/json")
			answer(w, r)
			return
		}
	}
	m.engine.ServeHTTP(w, r)
}

// says answers with a status and a body.
func says(status int, body string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(status)
		_, _ = io.WriteString(w, body)
	}
}

// authority signs certificates.
type authority struct {
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
	pem  []byte
}

func newAuthority(t *testing.T) *authority {
	t.Helper()
	a := &authority{}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "an authority of this test"},
		NotAfter: time.Now().Add(time.Hour), IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign}
	a.cert, a.key, a.pem = certify(t, template, nil)
	return a
}

// certify makes a certificate, signed by a or by itself.
func certify(t *testing.T, template *x509.Certificate, a *authority) (*x509.Certificate, *ecdsa.PrivateKey, []byte) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	parent, signer := template, key
	if a != nil {
		parent, signer = a.cert, a.key
	}
	der, err := x509.CreateCertificate(rand.Reader, template, parent, key.Public(), signer)
	if err != nil {
		t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return cert, key, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
}

// pair returns a certificate for a server on 127.0.0.1 and for a client, and its key.
func (a *authority) pair(t *testing.T) (cert, key []byte) {
	t.Helper()
	template := &x509.Certificate{
		SerialNumber: big.NewInt(2),
		NotAfter:     time.Now().Add(time.Hour),
		IPAddresses:  []net.IP{net.IPv4(127, 0, 0, 1)},
		ExtKeyUsage:  []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
	}
	_, private, cert := certify(t, template, a)
	der, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		t.Fatal(err)
	}
	return cert, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})
}

// certificates writes what DOCKER_CERT_PATH names: whom to trust, and who we are.
func certificates(t *testing.T, dir string, trusted, own *authority) {
	t.Helper()
	cert, key := own.pair(t)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	for name, data := range map[string][]byte{"ca.pem": trusted.pem, "cert.pem": cert, "key.pem": key} {
		if err := os.WriteFile(filepath.Join(dir, name), data, 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

// relayTLS puts TLS before the engine's socket, for clients that a knows, and
// returns its address.
func relayTLS(t *testing.T, a *authority, socket string) string {
	t.Helper()
	cert, key := a.pair(t)
	own, err := tls.X509KeyPair(cert, key)
	if err != nil {
		t.Fatal(err)
	}
	clients := x509.NewCertPool()
	clients.AddCert(a.cert)
	l := listen(t, "tcp", "127.0.0.1:0")
	forward(
		t,
		tls.NewListener(
			l,
			&tls.Config{Certificates: []tls.Certificate{own}, ClientAuth: tls.RequireAndVerifyClientCert, ClientCAs: clients},
		),
		socket,
	)
	return "tcp://" + l.Addr().String()
}
