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

	"github.com/buildlocal/buildlocal/engine"
	"github.com/buildlocal/buildlocal/runner/shell"
)

// CredentialsAddress is where a container asks for its credentials (observed: an
// ECS task's, and so CodeBuild's).
const CredentialsAddress = "169.254.170.2"

// credentialsPath begins the path of the build's own credentials (observed).
const credentialsPath = "/v2/credentials/"

// Keys are AWS credentials.
type Keys struct {
	AccessKeyID, SecretAccessKey, SessionToken string
	Expires                                    time.Time // zero for keys that stay
}

// Credentials are what a build gets of the user's, by asking: none of them is in its
// environment, in a file, or told to the engine.
type Credentials struct {
	ID    string // unguessable: part of the path, so that only this build knows it
	GitID string // the same for git
	Token string // unguessable too: asked for where others may reach the endpoint
	// Keys returns AWS credentials that are valid for some minutes more; nil
	// where the build gets none.
	Keys func(context.Context) (Keys, error)
	// Git answers a question of git for credentials, in the form of
	// git-credential; nil where the build gets none.
	Git func(ctx context.Context, question string) (answer string, err error)
}

// serveCredentials has the container reach the endpoint.
func (b *build) serveCredentials(spec *engine.Spec) {
	if b.Credentials == nil {
		return
	}
	mux := http.NewServeMux()
	if b.Credentials.Keys != nil {
		mux.HandleFunc("GET "+credentialsPath+b.Credentials.ID, b.keys)
	}
	if b.Credentials.Git != nil {
		mux.HandleFunc("POST "+gitPath+b.Credentials.GitID, b.git)
	}
	const patience = 10 * time.Second
	server := &http.Server{Handler: mux, ReadHeaderTimeout: patience}
	server.SetKeepAlivesEnabled(false) // an engine may give a client a socket that waits
	spec.Network.Services = append(spec.Network.Services, engine.Service{
		Address: net.JoinHostPort(CredentialsAddress, "80"), Serve: server.Serve,
		OnFallback: func(address string) { b.elsewhere = address },
	})
}

// allowed refuses who does not know the token, where others than the build may ask.
func (b *build) allowed(w http.ResponseWriter, r *http.Request) bool {
	if b.elsewhere == "" || subtle.ConstantTimeCompare([]byte(r.Header.Get("Authorization")), []byte(b.Credentials.Token)) == 1 {
		return true
	}
	http.Error(w, "the header Authorization is not the build's", http.StatusUnauthorized)
	return false
}

// longLived is when a tool is to ask again for keys that stay, which have no end
// that it could be told.
const longLived = time.Hour

// keys answers as the container credentials endpoint does (documented, "Container
// credential provider").
func (b *build) keys(w http.ResponseWriter, r *http.Request) {
	if !b.allowed(w, r) {
		return
	}
	w.Header().Set("Content-Type", "application/json")
	k, err := b.Credentials.Keys(r.Context())
	if err != nil {
		b.noteOnce("The build requested AWS credentials, but none are available: %v", err)
		w.WriteHeader(http.StatusInternalServerError)
		_ = json.NewEncoder(w).Encode(map[string]string{"code": "CredentialsUnavailable", "message": b.mask.Text(err.Error())})
		return
	}
	b.hide(k.AccessKeyID, k.SecretAccessKey, k.SessionToken) // before the build can print them
	if k.Expires.IsZero() {
		k.Expires = b.Now().Add(longLived)
	}
	_ = json.NewEncoder(w).Encode(map[string]string{
		"AccessKeyId": k.AccessKeyID, "SecretAccessKey": k.SecretAccessKey, "Token": k.SessionToken,
		"Expiration": k.Expires.UTC().Format(time.RFC3339),
	})
}

// noteOnce tells something that may come again and again.
func (b *build) noteOnce(format string, args ...any) {
	if _, told := b.told.LoadOrStore(format, true); !told {
		b.note(format, args...)
	}
}

// credentialLines are the variables by which the AWS tools find the endpoint. The
// one of its usual address is the plan's.
func (b *build) credentialLines() []string {
	if b.elsewhere == "" || b.Credentials.Keys == nil {
		return nil
	}
	b.note("AWS credentials are at %s in this build: %s is out of its reach.", b.elsewhere, CredentialsAddress)
	return []string{
		"unset " + relativeURI,
		shell.Export("AWS_CONTAINER_CREDENTIALS_FULL_URI", "http://"+b.elsewhere+credentialsPath+b.Credentials.ID),
		shell.Export("AWS_CONTAINER_AUTHORIZATION_TOKEN", b.Credentials.Token),
	}
}

// relativeURI is the variable that leads to the endpoint (observed).
const relativeURI = "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI"

// gitPath begins the path at which git's questions are answered.
const gitPath = "/git/"

// questionLimit is how long a question of git may be, in bytes.
const questionLimit = 16 << 10

// git answers a question of git.
func (b *build) git(w http.ResponseWriter, r *http.Request) {
	if !b.allowed(w, r) {
		return
	}
	question, err := io.ReadAll(http.MaxBytesReader(w, r.Body, questionLimit))
	if err != nil {
		http.Error(w, err.Error(), http.StatusRequestEntityTooLarge)
		return
	}
	answer, err := b.Credentials.Git(r.Context(), string(question))
	if err != nil {
		b.noteOnce("The build requested git credentials, but none are available: %v", err)
		w.WriteHeader(http.StatusNoContent) // git goes on without
		return
	}
	for line := range strings.Lines(answer) {
		if name, value, _ := strings.Cut(strings.TrimSuffix(line, "\n"), "="); name == "password" || name == "credential" {
			b.hide(value)
		}
	}
	_, _ = io.WriteString(w, answer)
}

// gitHelper are commands that make the helper git asks, where the buildspec wants
// one (documented: git-credential-helper).
func (b *build) gitHelper() []string {
	if !b.plan.GitHelper {
		if b.Credentials != nil && b.Credentials.Git != nil {
			b.note("No git credentials: set git-credential-helper: yes in the env section of the buildspec.")
		}
		return nil
	}
	if b.Credentials == nil || b.Credentials.Git == nil {
		b.note("The buildspec sets git-credential-helper, which requires --git-credentials.")
		return nil
	}
	host, token := CredentialsAddress, ""
	if b.elsewhere != "" {
		host, token = b.elsewhere, b.Credentials.Token
	}
	script := fmt.Sprintf(gitScript, host, gitPath+b.Credentials.GitID, token)
	return []string{"printf %s " + shell.Quote(script) + " >" + gitHelper}
}

const gitHelper = userBin + "/git-credential-buildlocal"

// gitScript asks with curl, or with bash alone.
const gitScript = `#!/bin/sh
[ "$1" = get ] || exit 0
host=%s path=%s token=%s
question=$(cat)
if command -v curl >/dev/null; then
  # nothing of the address is an argument, which others could read
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
printf "POST %%s HTTP/1.0\r\nAuthorization: %%s\r\nContent-Length: %%d\r\n\r\n%%s\n" "$path" "$token" "$((${#question} + 1))" "$question" >&3
read -r _ status _ <&3; [ "$status" = 200 ] || exit 0
while read -r line <&3 && [ "$line" != $'"'\r'"' ]; do :; done
cat <&3'
`
