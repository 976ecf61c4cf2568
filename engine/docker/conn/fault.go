package conn

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"sync"
	"syscall"

	cerrdefs "github.com/containerd/errdefs"
	"github.com/docker/docker/client"

	"github.com/buildlocal/buildlocal/engine"
)

// Fault turns an error of the engine during an operation, such as "pull node:22",
// into an *engine.Fault if the user can resolve it. Other errors are wrapped. It returns
// nil for nil.
func (e *Engine) Fault(err error, doing string) error {
	switch {
	case err == nil:
		return nil
	case IsFault(err), errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
		return fmt.Errorf("%s: %w", doing, err)
	case errors.Is(err, fs.ErrPermission),
		errors.Is(err, syscall.EACCES),
		strings.Contains(err.Error(), "permission denied while trying to connect"):
		return &engine.Fault{Kind: engine.NoPermission, Err: err,
			Message: fmt.Sprintf("%s: permission denied on %s", doing, e.Host()),
			Hint: "Join the group that owns the socket (sudo usermod -aG docker $USER, then log in again), or set " +
				"DOCKER_HOST to another engine."}
	case client.IsErrConnectionFailed(err), isDial(err), errors.Is(err, io.ErrUnexpectedEOF):
		return e.noEngine(err, doing)
	case strings.Contains(err.Error(), "requires API version"):
		return fmt.Errorf("%s: %w (%w)", doing, engine.ErrUnsupported, err)
	}
	return textFault(err, doing)
}

// IsFault reports whether an error has been translated already.
func IsFault(err error) bool {
	var known *engine.Fault
	return errors.As(err, &known)
}

// CauseOr returns the cause of ctx if ctx has ended, and else err. The client reports the
// end of its context as an engine that cannot be reached. It returns nil for nil.
func CauseOr(ctx context.Context, err error) error {
	if err != nil && ctx.Err() != nil {
		return context.Cause(ctx)
	}
	return err
}

// isDial reports whether the engine's socket does not exist or refuses connections. A
// *url.Error with ENOENT is about a file on the engine's host instead.
func isDial(err error) bool {
	var address *url.Error
	return errors.Is(err, syscall.ECONNREFUSED) || errors.Is(err, syscall.ENOENT) && !errors.As(err, &address)
}

// noEngine returns the fault of an engine that cannot be reached.
func (e *Engine) noEngine(err error, doing string) error {
	reason, hint := unreachableReason(err), "Start Docker, or set DOCKER_HOST to a running engine."
	switch {
	case strings.Contains(reason, "tls: "), strings.Contains(reason, "x509: "), strings.Contains(reason, "HTTPS server"):
		hint = "Set DOCKER_TLS_VERIFY=1 to use TLS, and DOCKER_CERT_PATH (or the docker context) to a directory with " +
			"ca.pem, which signed the engine's certificate, and cert.pem and key.pem, which the engine trusts."
	case strings.HasPrefix(e.Host(), "ssh://"):
		hint = "Run ssh HOST docker system dial-stdio to find the reason: the host must have docker in its PATH, " +
			"and accept " +
			"the login without a prompt."
	}
	return &engine.Fault{Kind: engine.NoEngine, Err: err, Hint: hint,
		Message: fmt.Sprintf("%s: cannot connect to Docker at %s (from %s)%s", doing, e.Host(), e.origin, reason)}
}

// unreachableReason returns the client's reason for a failed connection, as a suffix of a
// message. It is empty if the client only says that it cannot connect.
func unreachableReason(err error) string {
	var request *url.Error
	if errors.As(err, &request) {
		err = request.Err
	}
	text := TrimDaemonPrefix(err.Error())
	if strings.HasPrefix(text, "Cannot connect to the Docker daemon") {
		return ""
	}
	return ": " + strings.ReplaceAll(text, "\n* ", " ")
}

// faultTexts classifies error messages that have no error code. They are those of Docker,
// with its own image store and with containerd's, and of Podman (observed). The first match
// wins, so that specific texts are before the general ones that they contain. Texts change between
// versions of an engine. A text that is not recognized costs the user the hint, and nothing else.
var faultTexts = []struct {
	parts []string // any of them
	kind  engine.Kind
	hint  string
}{
	{[]string{"no space left on device"}, engine.DiskFull,
		"Free up space in the engine's data directory: docker system df shows usage, docker system prune removes " +
			"unused data."},
	{[]string{"exec format error"}, engine.WrongArch,
		"The image is for another architecture. Select one with --platform, or install an emulator (binfmt)."},
	{[]string{"does not match the specified platform"}, engine.WrongArch,
		"Select the platform of the local image with --platform, or pull the other one with --pull always."},
	{[]string{"no match for platform in manifest", "no image found in", "no matching manifest"}, engine.WrongArch,
		"Select another platform with --platform, or another image: the registry does not have it for this one."},
	{
		[]string{
			`exec: "sh": executable file not found`,
			`exec: \"sh\": executable file not found`,
			"executable file `sh` not found",
			"stat /bin/sh: no such file",
		},
		engine.NoShell,
		engine.NoShellHint,
	},
	{[]string{"authorization token has expired"}, engine.NoRegistry,
		"The registry login has expired: run docker login again."},
	{[]string{"no basic auth credentials"}, engine.NoRegistry,
		"The registry requires a login: docker login REGISTRY."},
	{[]string{"pull access denied"}, engine.NoImage,
		"The image does not exist or requires a login: check the name, or run docker login."},
	{[]string{"manifest unknown", "not found: manifest"}, engine.NoImage,
		"The tag does not exist: check the name."},
	{[]string{"unauthorized", ": 401 Unauthorized"}, engine.NoRegistry,
		"The registry requires a login: docker login REGISTRY."},
	{[]string{"toomanyrequests", "too many requests to registry", ": 429 Too Many Requests"}, engine.NoRegistry,
		"The registry's rate limit was reached: wait, or run docker login."},
	{[]string{": 403 Forbidden", "from registry 403"}, engine.NoRegistry,
		"Access denied by the registry. If the login has expired, run docker login again."},
	{[]string{"no such host"}, engine.NoRegistry,
		"The registry's host name cannot be resolved: check the image name, the network, and the engine's proxy."},
	{[]string{"dial tcp", "request canceled while waiting for connection"}, engine.NoRegistry,
		"The engine cannot reach the registry: check the network and the engine's proxy, or use a local image with " +
			"--pull never."},
	{[]string{"invalid reference format"}, engine.NoImage,
		"Check the name of the image: REGISTRY/NAME:TAG."},
	{[]string{"Minimum supported API version"}, engine.NoEngine,
		"Upgrade buildlocal, or set DOCKER_HOST to another engine: this one is too new."},
	{[]string{"Maximum supported API version"}, engine.NoEngine,
		"Unset DOCKER_API_VERSION: the engine is older."},
	{[]string{"operation not permitted"}, engine.Refused,
		"Permission denied by the kernel: privileged containers require an engine that runs as root with all capabilities."},
}

// operationsOf limits ambiguous parts of faultTexts to operations that begin with one of
// the given prefixes. For example, "dial tcp" is about a registry only during a pull. Parts
// that are not listed have the same meaning in every operation.
var operationsOf = map[string][]string{
	"no such host": {"pull ", "look at image "},
	"dial tcp":     {"pull ", "look at image "},
	"request canceled while waiting for connection": {"pull ", "look at image "},
	"operation not permitted":                       {"start a container from ", "start the container for "},
}

// appliesTo reports whether a part of faultTexts has its meaning there in an operation.
func appliesTo(part, doing string) bool {
	prefixes, limited := operationsOf[part]
	return !limited || slices.ContainsFunc(prefixes, func(p string) bool { return strings.HasPrefix(doing, p) })
}

// textFault classifies an error by its text. It is the last resort: the API has status codes, but
// most failures of a pull or a start are a 500 with a text.
func textFault(err error, doing string) error {
	text := err.Error()
	for _, t := range faultTexts {
		if slices.ContainsFunc(t.parts, func(part string) bool {
			return strings.Contains(text, part) && appliesTo(part, doing)
		}) {
			return &engine.Fault{Kind: t.kind, Err: err, Message: textMessage(t.kind, text, doing), Hint: t.hint}
		}
	}
	return fmt.Errorf("%s: %w", doing, err)
}

// textMessage returns the message of a fault that was classified by its text. Texts of Docker
// that say less than the kind, or repeat the operation, are replaced.
func textMessage(kind engine.Kind, text, doing string) string {
	if image, starting := strings.CutPrefix(doing, "start a container from "); starting && kind == engine.NoShell {
		return engine.NoShellMessage(image)
	}
	text = TrimDaemonPrefix(text)
	if image, looking := strings.CutPrefix(doing, "look at image "); looking {
		text = strings.TrimPrefix(text, "no such image: "+image+": ")
	}
	return doing + ": " + shortenLookup(text)
}

// failedLookup matches the text of Go for a host name that cannot be resolved, with the request
// and the address of the name server.
var failedLookup = sync.OnceValue(func() *regexp.Regexp {
	return regexp.MustCompile(`.*\blookup (\S+?)(?: on \S+)?: no such host`)
})

// shortenLookup names only the host in such a text.
func shortenLookup(text string) string {
	return failedLookup().ReplaceAllString(text, "cannot resolve $1")
}

// ExecFormatErr returns a fault if output, of a process whose operation is given, is only
// the line that runc prints for a program of another architecture. The engine reports such
// a process as started. Output of the program itself that contains the line is not
// affected, as it has further lines or is longer.
func ExecFormatErr(output, doing string) error {
	line := strings.TrimSpace(output)
	if strings.Contains(line, "\n") || !strings.HasSuffix(line, "exec format error") {
		return nil
	}
	return textFault(errors.New(line), doing)
}

// TrimDaemonPrefix removes the prefix that the client puts in front of engine errors.
func TrimDaemonPrefix(text string) string {
	return strings.TrimSpace(strings.TrimPrefix(text, "Error response from daemon: "))
}

// IsNotFound reports whether the engine does not have an object.
func IsNotFound(err error) bool { return cerrdefs.IsNotFound(err) }

// IsConflict reports whether a container is in another state than a request needs.
func IsConflict(err error) bool { return cerrdefs.IsConflict(err) }

// IsNameConflict reports whether another container has the name. Podman has only a text for
// it.
func IsNameConflict(err error) bool {
	return cerrdefs.IsConflict(err) || err != nil && strings.Contains(err.Error(), "is already in use")
}
