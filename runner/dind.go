package runner

import (
	"context"
	_ "embed"
	"fmt"
	"strings"
	"time"

	"github.com/buildlocal/buildlocal/engine"
)

// startDockerd is the script that starts the image's Docker engine. A privileged build
// has an engine of its own (documented), which a curated image's dockerd-entrypoint.sh
// starts. In another image with dockerd the script starts it; in the service the buildspec
// must do so.
//
//go:embed dockerd.sh
var startDockerd string

const (
	// composeProject is the variable that names the resources of docker compose. Builds
	// that share an engine need different names; without the variable all would use the
	// name of the directory, src.
	composeProject = "COMPOSE_PROJECT_NAME"
	// shortUUID is the number of characters of the build's UUID in that name.
	shortUUID = 8

	// dockerSocket is the default socket of Docker clients.
	dockerSocket = "/var/run/docker.sock"

	// maxDockerLines is the number of lines that are shown of the output of an engine that
	// did not start.
	maxDockerLines = 20

	stopDockerTimeout = 30 * time.Second
	// slowDocker is the time after which a note says that the engine is still starting.
	slowDocker = 5 * time.Second
)

// nestedDocker is the build's own Docker engine inside the container.
type nestedDocker struct {
	*Runner
	plan *Plan
	rec  *recorder
}

// enabled reports whether the build has an engine of its own.
func (d *nestedDocker) enabled() bool { return d.plan.Privileged && d.Nested && !d.plan.Socket }

// withDockerd returns a command line that starts the engine in the background and then
// runs args.
func withDockerd(args []string) []string {
	return append([]string{"sh", "-c", startDockerd, "buildlocal", StateDir}, args...)
}

// awaitDockerd waits until dockerd.sh has written its result, and prints the result, the
// program that starts the engine, and its output if it failed.
const awaitDockerd = `until read -r is <` + StateDir + `/docker && [ "$is" ]; do sleep 0.02 || sleep 1; done 2>/dev/null
echo "$is"
command -v dockerd-entrypoint.sh || echo dockerd
if [ "$is" = failed ]; then
  cat ` + StateDir + `/docker.log
  [ ! -f /var/log/docker.log ] || tail -n 20 /var/log/docker.log
fi`

// await waits for the engine, which starts with the container. It is a fault if an
// image's dockerd-entrypoint.sh does not start it, because such a container ends in the
// service.
func (d *nestedDocker) await(ctx context.Context, shells *shellState) error {
	if d.plan.Privileged && !d.Nested && !d.plan.Socket {
		d.rec.note("The build has no Docker engine: without a container it would be in the host's network. " +
			"Use --engine docker.")
	}
	if !d.enabled() {
		return nil
	}
	slow := time.AfterFunc(slowDocker, func() { d.rec.note("The build's Docker engine is still starting.") })
	output, _, err := shells.capture(ctx, awaitDockerd)
	slow.Stop()
	if err != nil {
		return err
	}
	result, output, _ := strings.Cut(output, "\n")
	program, printed, _ := strings.Cut(output, "\n")
	lines := strings.Split(strings.TrimSpace(printed), "\n")
	printed = strings.Join(lines[max(0, len(lines)-maxDockerLines):], "\n")
	switch {
	case result == "none":
		d.rec.note("The image has no dockerd, so docker has no engine in this build.")
	case result == "failed" && program == "dockerd":
		d.rec.note("The build's Docker engine did not start. dockerd printed:\n%s", printed)
	case result == "failed":
		return &engine.Fault{Kind: engine.Died,
			Message: fmt.Sprintf("%s did not start the build's Docker engine\n%s", program, printed),
			Hint: "Privileged builds run the image's dockerd-entrypoint.sh first: " +
				"see its output above, or run without --privileged."}
	}
	return nil
}

// stopDockerd removes everything except image layers, because the name of a container
// could conflict with the next build's, and stops the engine, so that its files are
// consistent.
const stopDockerd = `containers=$(docker ps -aq) && [ "$containers" ] && docker rm -fv $containers
docker network prune -f; docker volume prune -af || docker volume prune -f
end() {
  pid=$(cat "$1") && kill "$pid" || return
  n=0
  while [ -d /proc/$pid ] && [ "$(cut -d' ' -f3 /proc/$pid/stat)" != Z ] && [ $n -lt 100 ]; do
    sleep 0.1 || sleep 1
    n=$((n + 1))
  done
}
end /var/run/docker.pid
end ` + StateDir + `/containerd.pid`

// stop stops the engine if the next build gets its layers.
func (d *nestedDocker) stop(ctx context.Context, c engine.Container) {
	if !d.enabled() || !d.keepsLayers() {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, stopDockerTimeout)
	defer cancel()
	// An engine that does not stop in time is killed with the container.
	_, _ = c.Exec(ctx, engine.Process{Args: []string{"sh", "-c", stopDockerd}})
}

// keepsLayers reports whether the engine's directory outlives the build.
func (d *nestedDocker) keepsLayers() bool {
	for _, v := range d.Volumes {
		if v.Path == LocalPath(DockerLayerCache, "") {
			return true
		}
	}
	return false
}
