// Package awstest is a fake AWS server for tests. It implements the protocols of the
// services that provide secrets and credentials, for the real SDKs and tools.
package awstest

import (
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"
)

// Account is the ID of the only account.
const Account = "123456789012"

// Server is a local AWS with the data of a test. Its fields are set before the first
// request; Change changes them later.
type Server struct {
	URL string // for AWS_ENDPOINT_URL

	Parameters map[string]string            // by name or name:selector
	Secrets    map[string]map[string]string // by name, then by staging label or version
	Binary     map[string]bool              // secrets without a text
	Builds     map[string]string            // of CodeBuild: the JSON of a Build, by its ID
	Logs       map[string][]string          // of CloudWatch: messages, by GROUP:STREAM
	Denied     map[string]bool              // operations, such as GetParameters, that are denied
	Throttled  map[string]int               // how often an operation is throttled
	Silent     map[string]bool              // operations without a response
	Forgotten  map[string]bool              // parameters that are missing from the response
	Expired    bool                         // all credentials have expired
	Lifetime   time.Duration                // of the keys of a role; 0 for an hour

	// The data fields have no lock of their own: mu is held during a response, and by Change.
	port     string
	mu       sync.Mutex
	requests []Request
	roles    int
}

// Request is a recorded request.
type Request struct {
	Service, Operation string
	AccessKey          string // that signed it; empty if it is not signed
	Token              string // session token; may be empty
	Body               string
}

// New returns a Server that is stopped at the end of the test.
func New(t testing.TB) *Server {
	t.Helper()
	s, stop, err := Start()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(stop)
	return s
}

// Start starts a Server, and returns a function that stops it. It listens on all addresses, so that
// containers of a test can reach it too. It is for callers without a testing.TB, such as the set-up
// of a script.
func Start() (s *Server, stop func(), err error) {
	s = &Server{}
	listener, err := net.Listen("tcp4", "0.0.0.0:0")
	if err != nil {
		return nil, nil, err
	}
	// httptest listens at the loopback address only, so its listener is replaced.
	server := httptest.NewUnstartedServer(s)
	server.Listener.Close()
	server.Listener = listener
	server.Start()
	_, s.port, err = net.SplitHostPort(listener.Addr().String())
	s.URL = s.At("127.0.0.1")
	return s, func() {
		// A silent operation would otherwise delay the end of the test.
		server.CloseClientConnections()
		server.Close()
	}, err
}

// At returns the server's URL with another host, such as the address that containers see.
func (s *Server) At(address string) string {
	return "http://" + net.JoinHostPort(address, s.port)
}

// Change changes the server while it is in use.
func (s *Server) Change(change func(s *Server)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	change(s)
}

// Requests returns all requests, in the order of their arrival.
func (s *Server) Requests() []Request {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]Request(nil), s.requests...)
}

// Count returns how many requests an operation has received.
func (s *Server) Count(operation string) int {
	n := 0
	for _, r := range s.Requests() {
		if r.Operation == operation {
			n++
		}
	}
	return n
}

// signature is the signature of a request, with its scope (documented, Signature
// Version 4).
var signature = sync.OnceValue(func() *regexp.Regexp {
	return regexp.MustCompile(
		`^AWS4-HMAC-SHA256 Credential=([A-Z0-9]+)/\d{8}/([a-z0-9-]+)/([a-z0-9-]+)/aws4_request, ?SignedHea` +
			`ders=[a-z0-9;-]+, ?Signature=[0-9a-f]{64}$`,
	)
})

// fault is an error of a service. The SDKs turn code and message into a smithy.APIError.
type fault struct {
	status        int
	code, message string
}

// ServeHTTP implements http.Handler.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(io.LimitReader(r.Body, 1<<20))
	if err != nil {
		return
	}
	q := Request{Body: string(body), Token: r.Header.Get("X-Amz-Security-Token")}
	// The form of the signature is checked, not its value: that the SDK signs correctly is not for
	// these tests.
	if m := signature().FindStringSubmatch(r.Header.Get("Authorization")); m != nil && r.Header.Get("X-Amz-Date") != "" {
		q.AccessKey, q.Service = m[1], m[3]
	}
	// The protocols differ in where they name the operation: a header (JSON), a form field (query), or
	// method and path (REST).
	target := r.Header.Get("X-Amz-Target")
	switch {
	case target != "":
		_, q.Operation, _ = strings.Cut(target, ".")
	case strings.HasPrefix(r.URL.Path, "/federation/credentials"):
		q.Service, q.Operation = "portal.sso", "GetRoleCredentials"
	case r.URL.Path == "/token":
		q.Service, q.Operation = "sso-oauth", "CreateToken"
	case r.Method == http.MethodPost && r.URL.Path == "/":
		q.Operation = form(body).Get("Action")
	case r.Method == http.MethodGet && r.URL.Path == "/":
		q.Operation = "ListBuckets"
	}
	s.mu.Lock()
	// Requests are recorded before they are answered, so that a test can wait for one that gets no
	// response.
	s.requests = append(s.requests, q)
	// The lock must not be held while a silent operation waits.
	silent := s.Silent[q.Operation]
	if silent {
		s.mu.Unlock()
		<-r.Context().Done() // until the client gives up
		return
	}
	defer s.mu.Unlock()
	s.answer(w, r, q)
}

// answer responds to a recorded request. mu is held.
func (s *Server) answer(w http.ResponseWriter, r *http.Request, q Request) {
	// The request ID is part of messages, so it is fixed for golden files.
	w.Header().Set("X-Amzn-Requestid", "00000000-0000-4000-8000-000000000001")
	var err *fault
	switch {
	// SSO operations carry a bearer token instead of a signature.
	case q.AccessKey == "" && q.Service == "":
		err = &fault{403, "MissingAuthenticationTokenException", "Missing Authentication Token"}
	// The order is that of the services: authentication, throttling, authorization.
	case s.Expired:
		err = &fault{400, "ExpiredTokenException", "The security token included in the request is expired"}
	case s.Throttled[q.Operation] > 0:
		s.Throttled[q.Operation]--
		err = &fault{400, "ThrottlingException", "Rate exceeded"}
	case s.Denied[q.Operation]:
		service := map[string]string{"GetParameters": "ssm", "GetSecretValue": "secretsmanager",
			"AssumeRole": "sts", "BatchGetBuilds": "codebuild", "GetLogEvents": "logs"}[q.Operation]
		err = &fault{400, "AccessDeniedException", fmt.Sprintf("User: arn:aws:iam::%s:user/someone is not authorized to "+
			"perform: %s:%s on resource: arn:aws:%s:us-east-1:%s:some/thing", Account, service, q.Operation, service, Account)}
	}
	switch q.Operation {
	case "GetParameters":
		s.json(w, err, func() (any, *fault) { return s.getParameters(q) })
	case "GetSecretValue":
		s.json(w, err, func() (any, *fault) { return s.getSecretValue(q) })
	case "BatchGetBuilds":
		s.json(w, err, func() (any, *fault) { return s.batchGetBuilds(q) })
	case "GetLogEvents":
		s.json(w, err, func() (any, *fault) { return s.getLogEvents(q) })
	case "GetRoleCredentials":
		s.json(w, err, func() (any, *fault) { return s.roleCredentials(r) })
	case "CreateToken":
		s.json(w, err, func() (any, *fault) { return s.createToken(q) })
	case "GetCallerIdentity", "AssumeRole":
		s.query(w, err, q)
	case "ListBuckets":
		s.buckets(w, err)
	default:
		s.json(w, &fault{501, "NotImplemented", q.Operation + " is not implemented"}, nil)
	}
}

// json writes a response, or an error, in AWS JSON 1.1.
func (s *Server) json(w http.ResponseWriter, err *fault, work func() (any, *fault)) {
	var out any
	if err == nil {
		out, err = work()
	}
	w.Header().Set("Content-Type", "application/x-amz-json-1.1")
	if err != nil {
		w.Header().Set("X-Amzn-Errortype", err.code)
		w.WriteHeader(err.status)
		out = map[string]string{"__type": err.code, "message": err.message}
	}
	// The error type is in the header and in the body; SDKs read one or the other.
	_ = json.NewEncoder(w).Encode(out)
}
