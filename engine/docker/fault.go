package docker

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/url"
	"slices"
	"strings"
	"syscall"

	cerrdefs "github.com/containerd/errdefs"
	"github.com/docker/docker/client"

	"github.com/buildlocal/buildlocal/engine"
)

// fault turns an error of the engine into one that a user can do something
// about. Errors that are nobody's fault come back wrapped.
func (e *Engine) fault(err error, doing string) error {
	switch {
	case err == nil:
		return nil
	case isFault(err), errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
		return fmt.Errorf("%s: %w", doing, err)
	case errors.Is(err, fs.ErrPermission), errors.Is(err, syscall.EACCES), strings.Contains(err.Error(), "permission denied while trying to connect"):
		return &engine.Fault{Kind: engine.NoPermission, Err: err,
			Message: fmt.Sprintf("%s: permission denied on %s", doing, e.Host()),
			Hint:    "Join the group that owns the socket (sudo usermod -aG docker $USER, then log in again), or set DOCKER_HOST to another engine."}
	case client.IsErrConnectionFailed(err), isDial(err), errors.Is(err, io.ErrUnexpectedEOF):
		return e.noEngine(err, doing)
	case strings.Contains(err.Error(), "requires API version"):
		return fmt.Errorf("%s: %w (%w)", doing, engine.ErrUnsupported, err)
	}
	return textFault(err, doing)
}

func isFault(err error) bool {
	var known *engine.Fault
	return errors.As(err, &known)
}

// orCause returns why ctx ended, where it did and there is an error: that is
// what the client tells as an engine it cannot reach.
func orCause(ctx context.Context, err error) error {
	if err != nil && ctx.Err() != nil {
		return context.Cause(ctx)
	}
	return err
}

func isDial(err error) bool {
	var address *url.Error
	return errors.Is(err, syscall.ECONNREFUSED) || errors.Is(err, syscall.ENOENT) && !errors.As(err, &address)
}

func (e *Engine) noEngine(err error, doing string) error {
	why, way := reason(err), "Start Docker, or set DOCKER_HOST to a running engine."
	switch {
	case strings.Contains(why, "tls: "), strings.Contains(why, "x509: "), strings.Contains(why, "HTTPS server"):
		way = "DOCKER_TLS_VERIFY=1 asks for TLS; DOCKER_CERT_PATH, or the docker context, has ca.pem, which signed the engine's certificate, and cert.pem and key.pem, which the engine trusts."
	case strings.HasPrefix(e.Host(), "ssh://"):
		way = "Try docker system dial-stdio over ssh by hand: the engine's host must know docker and let you in without a question."
	}
	return &engine.Fault{Kind: engine.NoEngine, Err: err, Hint: way,
		Message: fmt.Sprintf("%s: cannot connect to Docker at %s (from %s)%s", doing, e.Host(), e.found, why)}
}

// reason returns what the client says beyond that nobody answers.
func reason(err error) string {
	var request *url.Error
	if errors.As(err, &request) {
		err = request.Err
	}
	text := trim(err.Error())
	if strings.HasPrefix(text, "Cannot connect to the Docker daemon") {
		return ""
	}
	return ": " + strings.ReplaceAll(text, "\n* ", " ")
}

// texts maps error messages of engines that have no error code: Docker, with its own
// image store or containerd's, and podman. The first match wins.
var texts = []struct {
	parts []string // any of them
	kind  engine.Kind
	way   string
}{
	{[]string{"no space left on device"}, engine.DiskFull,
		"Free up space in the engine's data directory: docker system df shows usage, docker system prune removes unused data."},
	{[]string{"exec format error"}, engine.WrongArch,
		"The image is for another architecture. Select one with --platform, or install an emulator (binfmt)."},
	{[]string{"does not match the specified platform"}, engine.WrongArch,
		"Ask for the platform the image has with --platform, or pull the other one with --pull always."},
	{[]string{"no match for platform in manifest", "no image found in", "no matching manifest"}, engine.WrongArch,
		"The registry has this image for other platforms only: choose one with --platform, or another image."},
	{[]string{`exec: "sh": executable file not found`, `exec: \"sh\": executable file not found`, "executable file `sh` not found", "stat /bin/sh: no such file"}, engine.NoShell,
		"A build requires sh in the image: add a shell to it, or choose another image with --image."},
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
		"The engine cannot reach the registry: check the network and the engine's proxy, or use a local image with --pull never."},
	{[]string{"invalid reference format"}, engine.NoImage,
		"An image is named REGISTRY/NAME:TAG: check the name."},
	{[]string{"Minimum supported API version"}, engine.NoEngine,
		"The engine is newer than this program knows: use a newer buildlocal, or point DOCKER_HOST to another engine."},
	{[]string{"Maximum supported API version"}, engine.NoEngine,
		"The engine is older than DOCKER_API_VERSION asks for: unset it."},
	{[]string{"operation not permitted"}, engine.Refused,
		"Permission denied by the kernel: privileged containers require an engine that runs as root with all capabilities."},
}

// doingOf holds, for ambiguous parts of texts, the beginnings of the operations in which
// they have the meaning of the table: "dial tcp" while a container starts is not about a
// registry. Other parts mean the same in all operations.
var doingOf = map[string][]string{
	"no such host": {"pull image ", "look at image "},
	"dial tcp":     {"pull image ", "look at image "},
	"request canceled while waiting for connection": {"pull image ", "look at image "},
	"operation not permitted":                       {"start a container from ", "start the container for "},
}

// occursIn reports whether a part has the meaning of the table in an operation.
func occursIn(part, doing string) bool {
	prefixes, limited := doingOf[part]
	return !limited || slices.ContainsFunc(prefixes, func(p string) bool { return strings.HasPrefix(doing, p) })
}

func textFault(err error, doing string) error {
	text := err.Error()
	for _, t := range texts {
		if slices.ContainsFunc(t.parts, func(part string) bool {
			return strings.Contains(text, part) && occursIn(part, doing)
		}) {
			return &engine.Fault{Kind: t.kind, Err: err, Message: fmt.Sprintf("%s: %s", doing, trim(text)), Hint: t.way}
		}
	}
	return fmt.Errorf("%s: %w", doing, err)
}

// neverRan returns the error of a process that could not be run although the
// engine started it: all that is known then is the line that runc prints.
func neverRan(output, doing string) error {
	line := strings.TrimSpace(output)
	if strings.Contains(line, "\n") || !strings.HasSuffix(line, "exec format error") {
		return nil
	}
	return textFault(errors.New(line), doing)
}

// trim takes the engine's own frame off a message.
func trim(text string) string {
	return strings.TrimSpace(strings.TrimPrefix(text, "Error response from daemon: "))
}

func isGone(err error) bool { return cerrdefs.IsNotFound(err) }

// isTaken reports that another container has the name, as Docker and podman say it.
func isTaken(err error) bool {
	return cerrdefs.IsConflict(err) || err != nil && strings.Contains(err.Error(), "is already in use")
}
