package runner

import (
	"context"
	_ "embed"
	"fmt"
	"strings"
	"time"

	"github.com/buildlocal/buildlocal/engine"
)

// A privileged build has a Docker engine of its own (documented): a curated image's
// dockerd-entrypoint.sh starts it. In another image that has dockerd it is started
// here; in the service the buildspec has to.

//go:embed dockerd.sh
var startDockerd string

// nests reports whether the build gets an engine of its own.
func (b *build) nests() bool { return b.plan.Privileged && b.Nested && !b.plan.Socket }

// composeProject is the variable that names what docker compose makes: of builds that
// share an engine each has its own. (Else it is the directory's name, src.)
const (
	composeProject = "COMPOSE_PROJECT_NAME"
	shortUUID      = 8
)

// dockerSocket is where docker looks for its engine.
const dockerSocket = "/var/run/docker.sock"

// withDockerd returns a command line that starts an engine in the background first.
func withDockerd(args []string) []string {
	return append([]string{"sh", "-c", startDockerd, "buildlocal", stateDir}, args...)
}

// dockerTail is how many lines are shown of what an engine printed that did not
// start.
const dockerTail = 20

// awaitDockerd is a command that waits until dockerd.sh has told how it came out,
// tells it, and what was printed where the engine did not start.
const awaitDockerd = `until read -r is <` + stateDir + `/docker && [ "$is" ]; do sleep 0.02 || sleep 1; done 2>/dev/null
echo "$is"
command -v dockerd-entrypoint.sh || echo dockerd
if [ "$is" = failed ]; then
  cat ` + stateDir + `/docker.log
  [ ! -f /var/log/docker.log ] || tail -n 20 /var/log/docker.log
fi`

// awaitDocker waits for the engine of a privileged build, which began to start with
// the container. One that an image is made to start and that does not is a fault, for
// such a container ends in the service.
func (b *build) awaitDocker(ctx context.Context) error {
	if b.plan.Privileged && !b.Nested && !b.plan.Socket {
		b.note("The build has no Docker engine: without a container it would be in the host's network. Use --engine docker.")
	}
	if !b.nests() {
		return nil
	}
	slow := time.AfterFunc(slowDocker, func() { b.note("The build's Docker engine is still starting.") })
	told, _, err := b.sessions[""].Capture(ctx, awaitDockerd)
	slow.Stop()
	if err != nil {
		return err
	}
	is, told, _ := strings.Cut(told, "\n")
	program, printed, _ := strings.Cut(told, "\n")
	lines := strings.Split(strings.TrimSpace(printed), "\n")
	printed = strings.Join(lines[max(0, len(lines)-dockerTail):], "\n")
	switch {
	case is == "none":
		b.note("The image has no dockerd, so docker has no engine in this build.")
	case is == "failed" && program == "dockerd":
		b.note("The build's Docker engine did not start. dockerd printed:\n%s", printed)
	case is == "failed":
		return &engine.Fault{Kind: engine.Died,
			Message: fmt.Sprintf("%s did not start the build's Docker engine\n%s", program, printed),
			Hint:    "Privileged builds run the image's dockerd-entrypoint.sh first: see its output above, or run without --privileged."}
	}
	return nil
}

// stopLimit is how long the engine may take to end; then it is killed.
const stopLimit = 30 * time.Second

// slowDocker is how long an engine may start before a word is said.
const slowDocker = 5 * time.Second

// stopDockerd is a command that removes what is no layer, as a container whose name would
// be in the way of the next build's, and ends the engine, so that what it keeps is whole.
const stopDockerd = `containers=$(docker ps -aq) && [ "$containers" ] && docker rm -fv $containers
docker network prune -f; docker volume prune -af || docker volume prune -f
end() {
  pid=$(cat "$1") && kill "$pid" || return
  n=0
  while [ -d /proc/$pid ] && [ "$(cut -d' ' -f3 /proc/$pid/stat)" != Z ] && [ $n -lt 100 ]; do sleep 0.1 || sleep 1; n=$((n + 1)); done
}
end /var/run/docker.pid
end ` + stateDir + `/containerd.pid`

// stopDocker ends the build's engine where what it has is kept for the next build:
// it is not killed amid a write.
func (b *build) stopDocker(ctx context.Context) {
	if !b.nests() || !b.keepsLayers() || b.container == nil {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, stopLimit)
	defer cancel()
	_, _ = b.container.Exec(ctx, engine.Process{Args: []string{"sh", "-c", stopDockerd}})
}

// keepsLayers reports whether the engine's directory outlives the build.
func (b *build) keepsLayers() bool {
	for _, v := range b.Volumes {
		if v.Path == LocalPath(DockerLayerCache, "") {
			return true
		}
	}
	return false
}
