package runner

import (
	"context"
	"crypto/subtle"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"time"

	"github.com/buildlocal/buildlocal/runner/shell"
)

// CredentialsAddress is the address at which a container requests its credentials
// (observed: that of an ECS task, and so of CodeBuild).
const CredentialsAddress = "169.254.170.2"

const (
	credentialsPath = "/v2/credentials/" // prefix of the build's own path (observed)
	gitPath         = "/git/"            // prefix of the path for git credentials

	// relativeURI is the variable that leads AWS tools to the endpoint (observed).
	relativeURI = "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI"

	// headerTimeout limits how long a client may take to send its request.
	headerTimeout = 10 * time.Second
	// longLived is the lifetime reported for keys that do not expire: tools require an
	// expiration and ask again after it.
	longLived = time.Hour
	// maxGitRequest is the size of the largest request of git, in bytes.
	maxGitRequest = 16 << 10
)

// Keys are AWS credentials.
type Keys struct {
	AccessKeyID, SecretAccessKey, SessionToken string
	Expires                                    time.Time // zero for keys that do not expire
}

// Credentials is the Endpoint that gives the build the user's credentials on request. They
// are not in the build's environment or files, and the engine does not see them.
type Credentials struct {
	ID    string // unguessable part of the path for AWS credentials; only this build knows it
	GitID string // the same for git credentials
	Token string // unguessable; required at a fallback address
	Now   func() time.Time
	// Keys returns AWS credentials that are valid for some more minutes; nil if the build
	// gets none.
	Keys func(context.Context) (Keys, error)
	// Git answers a request in the format of git-credential; nil if the build gets no git
	// credentials.
	Git func(ctx context.Context, request string) (answer string, err error)
}

// Address implements Endpoint.
func (c *Credentials) Address() string { return net.JoinHostPort(CredentialsAddress, "80") }

// Serve implements Endpoint.
func (c *Credentials) Serve(l net.Listener, host EndpointHost) error {
	mux := http.NewServeMux()
	handle := func(pattern string, answer func(http.ResponseWriter, *http.Request, EndpointHost)) {
		mux.HandleFunc(pattern, func(w http.ResponseWriter, r *http.Request) {
			if c.authorized(r, host) {
				answer(w, r, host)
				return
			}
			http.Error(w, "the header Authorization is not the build's", http.StatusUnauthorized)
		})
	}
	if c.Keys != nil {
		handle("GET "+credentialsPath+c.ID, c.serveKeys)
	}
	if c.Git != nil {
		handle("POST "+gitPath+c.GitID, c.serveGit)
	}
	server := &http.Server{Handler: mux, ReadHeaderTimeout: headerTimeout}
	// The relay of an engine has no idle connections to give back.
	server.SetKeepAlivesEnabled(false)
	return server.Serve(l)
}

// authorized reports whether a request is from the build. At the link-local address only
// the build can connect; at a fallback address a token is required.
func (c *Credentials) authorized(r *http.Request, host EndpointHost) bool {
	return host.Fallback() == "" ||
		subtle.ConstantTimeCompare([]byte(r.Header.Get("Authorization")), []byte(c.Token)) == 1
}

// serveKeys answers as the container credentials endpoint does (documented, "Container
// credential provider").
func (c *Credentials) serveKeys(w http.ResponseWriter, r *http.Request, host EndpointHost) {
	w.Header().Set("Content-Type", "application/json")
	k, err := c.Keys(r.Context())
	if err != nil {
		host.NoteOnce("The build requested AWS credentials, but none are available: %v", err)
		w.WriteHeader(http.StatusInternalServerError)
		_ = json.NewEncoder(w).Encode(map[string]string{"code": "CredentialsUnavailable", "message": host.Mask(err.Error())})
		return
	}
	host.Hide(k.AccessKeyID, k.SecretAccessKey, k.SessionToken) // before the build can print them
	if k.Expires.IsZero() {
		k.Expires = c.Now().Add(longLived)
	}
	_ = json.NewEncoder(w).Encode(map[string]string{
		"AccessKeyId": k.AccessKeyID, "SecretAccessKey": k.SecretAccessKey, "Token": k.SessionToken,
		"Expiration": k.Expires.UTC().Format(time.RFC3339),
	})
}

// serveGit answers a request of git-credential.
func (c *Credentials) serveGit(w http.ResponseWriter, r *http.Request, host EndpointHost) {
	request, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxGitRequest))
	if err != nil {
		http.Error(w, err.Error(), http.StatusRequestEntityTooLarge)
		return
	}
	answer, err := c.Git(r.Context(), string(request))
	if err != nil {
		host.NoteOnce("The build requested git credentials, but none are available: %v", err)
		w.WriteHeader(http.StatusNoContent) // git continues without credentials
		return
	}
	for line := range strings.Lines(answer) {
		name, value, _ := strings.Cut(strings.TrimSuffix(line, "\n"), "=")
		if name == "password" || name == "credential" {
			host.Hide(value)
		}
	}
	_, _ = io.WriteString(w, answer)
}

// Setup implements Endpoint. The variable for the link-local address is part of the plan,
// so that the plan shows it; at a fallback address other variables replace it.
func (c *Credentials) Setup(p *Plan, host EndpointHost) EndpointSetup {
	var s EndpointSetup
	if fallback := host.Fallback(); fallback != "" && c.Keys != nil {
		s.Notes = append(s.Notes, fmt.Sprintf("AWS credentials are available at %s in this build, because %s is not.",
			fallback, CredentialsAddress))
		s.Unset = []string{relativeURI}
		s.Variables = []NameValue{
			{"AWS_CONTAINER_CREDENTIALS_FULL_URI", "http://" + fallback + credentialsPath + c.ID},
			{"AWS_CONTAINER_AUTHORIZATION_TOKEN", c.Token},
		}
	}
	switch {
	case c.Git == nil:
	case !p.GitHelper:
		s.Notes = append(s.Notes, "No git credentials: set git-credential-helper: yes in the env section of the buildspec.")
	default:
		s.Commands = []string{c.gitHelperCommand(host)}
	}
	return s
}

// gitHelper is the credential helper of git in the build.
const gitHelper = userBin + "/git-credential-buildlocal"

// gitHelperCommand returns the command that writes the credential helper (documented:
// git-credential-helper).
func (c *Credentials) gitHelperCommand(host EndpointHost) string {
	address, token := CredentialsAddress, ""
	if fallback := host.Fallback(); fallback != "" {
		address, token = fallback, c.Token
	}
	script := fmt.Sprintf(gitScript, address, gitPath+c.GitID, token)
	return "printf %s " + shell.Quote(script) + " >" + gitHelper
}

// gitScript is the credential helper. It uses curl, or bash if the image has no curl.
const gitScript = `#!/bin/sh
[ "$1" = get ] || exit 0
host=%s path=%s token=%s
question=$(cat)
if command -v curl >/dev/null; then
  # other processes can read arguments, so address and token are in a file
  printf '%%s\n' "$question" | curl -sf --noproxy '*' --data-binary @- -K /dev/fd/3 3<<end
url = "http://$host$path"
header = "Authorization: $token"
end
  exit
fi
command -v bash >/dev/null || { echo "git credentials need curl or bash in the image" >&2; exit 1; }
export host path token question
exec bash -c 'port=${host##*:}; [ "$port" != "$host" ] || port=80
exec 3<>"/dev/tcp/${host%%:*}/$port" || exit 1
printf "POST %%s HTTP/1.0\r\nAuthorization: %%s\r\nContent-Length: %%d\r\n\r\n%%s\n" \
  "$path" "$token" "$((${#question} + 1))" "$question" >&3
read -r _ status _ <&3; [ "$status" = 200 ] || exit 0
while read -r line <&3 && [ "$line" != $'"'\r'"' ]; do :; done
cat <&3'
`
