package cmd_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"log"
	"math/big"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-containerregistry/pkg/registry"
	"github.com/rogpeppe/go-internal/testscript"
)

// TestScripts_Proxy runs the whole program in a network that can only be reached through a
// proxy, and whose servers have certificates of a private authority. Scripts get the proxy
// in $PROXY, a proxy without a password in $OPEN, and the authority's certificate in $CA.
// All names are one server behind the proxy: a git repository, registries of packages and
// images, and AWS as far as a client needs it to see whether it trusts the server.
func TestScripts_Proxy(t *testing.T) {
	inside := bridgeAddress(t)
	runScripts(t, "../testdata/script/proxy", func(p *testscript.Params) {
		first := p.Setup
		p.Setup = func(env *testscript.Env) error {
			dir := filepath.Join(env.Getenv("WORK"), ".proxy")
			world, stop, err := newWorld(dir)
			if err != nil {
				return err
			}
			env.Defer(stop)
			env.Setenv("PROXY", "http://user:proxy-password@"+net.JoinHostPort(inside, world))
			env.Setenv("OPEN", "http://"+net.JoinHostPort(inside, world))
			env.Setenv("CA", filepath.Join(dir, "ca.pem"))
			env.Setenv("SEEDS", seeds())
			return first(env)
		}
		known := p.Condition
		p.Condition = func(name string) (bool, error) {
			if name == "seeds" {
				return seeds() != "", nil
			}
			return known(name)
		}
	})
}

// seeds returns a directory of real buildspecs that have to run unchanged, or "" if it does
// not exist.
func seeds() string {
	dir := os.Getenv("BUILDLOCAL_SEEDS")
	if beside, _ := filepath.Glob("../../*/seeds"); dir == "" && len(beside) > 0 {
		dir, _ = filepath.Abs(beside[0])
	}
	return dir
}

// newWorld starts a proxy and the servers behind it. It returns the proxy's port.
func newWorld(dir string) (port string, stop func(), err error) {
	if err := repository(filepath.Join(dir, "repository.git")); err != nil {
		return "", nil, err
	}
	config, err := authority(filepath.Join(dir, "ca.pem"))
	if err != nil {
		return "", nil, err
	}
	tcp, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		return "", nil, err
	}
	proxy, err := net.Listen("tcp4", "0.0.0.0:0")
	if err != nil {
		return "", nil, errors.Join(err, tcp.Close())
	}
	quiet := log.New(io.Discard, "", 0)
	world := &http.Server{Handler: newServers(dir), TLSConfig: config, ErrorLog: quiet}
	go func() { _ = world.ServeTLS(tcp, "", "") }()
	go func() {
		_ = http.Serve(
			proxy,
			http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { connectTo(w, r, tcp.Addr().String()) }),
		)
	}()
	_, port, err = net.SplitHostPort(proxy.Addr().String())
	return port, func() { _, _ = proxy.Close(), world.Close() }, err
}

// connectTo answers CONNECT as a proxy whose names all have one address. One name requires
// the password. (The npm of Debian does not send it.)
func connectTo(w http.ResponseWriter, r *http.Request, address string) {
	if _, password, given := parseProxyAuth(r); given && password != "proxy-password" ||
		!given && r.Host == "secured.world.example:443" {
		w.Header().Set("Proxy-Authenticate", `Basic realm="proxy"`)
		w.WriteHeader(http.StatusProxyAuthRequired)
		return
	}
	if r.Method != http.MethodConnect {
		http.Error(w, "only CONNECT", http.StatusMethodNotAllowed)
		return
	}
	there, err := net.Dial("tcp", address)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadGateway)
		return
	}
	defer there.Close()
	here, _, err := http.NewResponseController(w).Hijack()
	if err != nil {
		return
	}
	defer here.Close()
	_, _ = io.WriteString(here, "HTTP/1.1 200 OK\r\n\r\n")
	go func() { _, _ = io.Copy(there, here); there.Close() }()
	_, _ = io.Copy(here, there)
}

func parseProxyAuth(r *http.Request) (user, password string, ok bool) {
	plain := &http.Request{Header: http.Header{"Authorization": r.Header["Proxy-Authorization"]}}
	return plain.BasicAuth()
}

// newServers returns the handler of all servers behind the proxy.
func newServers(dir string) http.Handler {
	mux := http.NewServeMux()
	mux.Handle("GET /repository.git/", http.FileServer(http.Dir(dir)))
	mux.HandleFunc("GET /left-pad", func(w http.ResponseWriter, _ *http.Request) { // npm
		_, _ = io.WriteString(
			w,
			`{"name":"left-pad","dist-tags":{"latest":"7.8.9"},"versions":{"7.8.9":{"name":"left-pad","version":"7.8.9"}}}`,
		)
	})
	mux.HandleFunc("GET /simple/", func(w http.ResponseWriter, _ *http.Request) { // pip
		w.Header().Set("Content-Type", "text/html")
		_, _ = io.WriteString(w, `<a href="/a-package-7.8.9.tar.gz">a-package-7.8.9.tar.gz</a>`)
	})
	mux.HandleFunc("/v2/", func(w http.ResponseWriter, _ *http.Request) { // a registry of images
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(http.StatusNotFound)
		_, _ = io.WriteString(w, `{"errors":[{"code":"MANIFEST_UNKNOWN","message":"the registry has been reached"}]}`)
	})
	ecr(mux)
	mux.HandleFunc("/", func(w http.ResponseWriter, _ *http.Request) { // STS
		_, _ = io.WriteString(
			w,
			`<GetCallerIdentityResponse><GetCallerIdentityResult><Arn>arn:aws:sts::1:behind/proxy</Arn>`+
				`<UserId>A</UserId><Account>1</Account></GetCallerIdentityResult></GetCallerIdentityResponse>`,
		)
	})
	mux.HandleFunc(
		"GET /plain",
		func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "behind the proxy\n") },
	)
	return mux
}

// ecrHost is the registry of an AWS account.
const ecrHost = "123456789012.dkr.ecr.us-east-1.amazonaws.com"

// ecr adds ECR: the API operation for a login, and a registry that requires it.
func ecr(mux *http.ServeMux) {
	const password = "ecr-password"
	mux.HandleFunc("api.ecr.us-east-1.amazonaws.com/", func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/x-amz-json-1.1")
		if !strings.HasSuffix(r.Header.Get("X-Amz-Target"), ".GetAuthorizationToken") ||
			!strings.Contains(r.Header.Get("Authorization"), "Credential=AKIA") {
			w.WriteHeader(http.StatusBadRequest)
			return
		}
		token := base64.StdEncoding.EncodeToString([]byte("AWS:" + password))
		fmt.Fprintf(
			w,
			`{"authorizationData": [{"authorizationToken": %q, "expiresAt": %d, "proxyEndpoint": "https://%s"}]}`,
			token,
			time.Now().Add(time.Hour).Unix(),
			ecrHost,
		)
	})
	images := registry.New(registry.Logger(log.New(io.Discard, "", 0)))
	mux.HandleFunc(ecrHost+"/v2/", func(w http.ResponseWriter, r *http.Request) {
		if user, given, _ := r.BasicAuth(); user != "AWS" || given != password {
			w.Header().Set("WWW-Authenticate", `Basic realm="https://`+ecrHost+`",service="ecr.amazonaws.com"`)
			http.Error(w, "no basic auth credentials", http.StatusUnauthorized)
			return
		}
		images.ServeHTTP(w, r)
	})
}

// repository creates a git repository that is served as plain files.
func repository(dir string) error {
	script := fmt.Sprintf(`set -e; mkdir -p %[1]s; cd %[1]s; git init -q --bare .; tree=$(git mktree </dev/null)
commit=$(git -c user.name=a -c user.email=a@b commit-tree -m cloned $tree)
git update-ref HEAD $commit; git update-server-info`, dir)
	if out, err := exec.Command("sh", "-c", script).CombinedOutput(); err != nil {
		return fmt.Errorf("%w: %s", err, out)
	}
	return nil
}

// authority creates a certificate authority, writes its certificate to a file, and returns
// the configuration of a server with a certificate of it.
func authority(file string) (*tls.Config, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	ca := &x509.Certificate{
		SerialNumber: big.NewInt(
			1,
		), Subject: pkix.Name{CommonName: "an authority of the test"}, NotBefore: time.Now().Add(-time.Hour),
		NotAfter: time.Now().Add(time.Hour),
		IsCA:     true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	}
	own, err := x509.CreateCertificate(rand.Reader, ca, ca, key.Public(), key)
	if err != nil {
		return nil, err
	}
	leaf := &x509.Certificate{
		SerialNumber: big.NewInt(2), Subject: pkix.Name{CommonName: "world"}, NotBefore: ca.NotBefore, NotAfter: ca.NotAfter,
		DNSNames: strings.Fields(
			"world.example *.world.example sts.amazonaws.com sts.us-east-1.amazonaws.com " +
				"api.ecr.us-east-1.amazonaws.com " + ecrHost,
		), KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	signed, err := x509.CreateCertificate(rand.Reader, leaf, ca, key.Public(), key)
	if err != nil {
		return nil, err
	}
	text := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: own})
	return &tls.Config{
			Certificates: []tls.Certificate{{Certificate: [][]byte{signed}, PrivateKey: key}},
		}, os.WriteFile(
			file,
			text,
			0o644,
		)
}
