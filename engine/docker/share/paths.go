package share

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"path"
	"strings"

	"github.com/docker/docker/api/types/container"

	"github.com/buildlocal/buildlocal/engine"
	"github.com/buildlocal/buildlocal/engine/docker/apiproxy"
)

// realPathsScript takes pairs of a word and a path, and prints each path with its links
// followed on a line. A missing path after the word "make" is created as a directory, as
// the engine does for bind mounts with -v; another missing path is an empty line.
const realPathsScript = `while [ $# -gt 0 ]; do
  if [ "$1" = make ] && [ ! -e "$2" ]; then mkdir -p "$2"; fi
  if [ -d "$2" ]; then (cd -P "$2" && pwd -P); elif [ -e "$2" ]; then readlink -f "$2" || echo "$2"; else echo; fi
  shift 2
done`

// hostPaths translates paths in the build's container to paths on the engine's host. See
// apiproxy.Proxy.
func (s *Socket) hostPaths(ctx context.Context, all []apiproxy.Path) ([]string, error) {
	if err := s.inspectOnce(ctx); err != nil {
		return nil, err
	}
	// Links can only be resolved inside of the container, in its own file system.
	args := []string{"sh", "-c", realPathsScript, "sh"}
	for _, p := range all {
		word := "keep"
		if p.Make && !s.isSocket(p.Name) {
			word = "make"
		}
		args = append(args, word, p.Name)
	}
	var out bytes.Buffer
	if exit, err := s.target.Exec(ctx, engine.Process{Args: args, Stdout: &out}); err != nil || exit != 0 {
		return nil, errors.Join(fmt.Errorf("look for paths in the build: exit status %d", exit), err)
	}
	lines := strings.Split(strings.TrimSuffix(out.String(), "\n"), "\n")
	if len(lines) != len(all) {
		return nil, fmt.Errorf(
			"look for paths in the build: got %d lines for %d paths; a name may contain a line break",
			len(lines),
			len(all),
		)
	}
	paths := make([]string, len(all))
	for i, p := range all {
		if lines[i] == "" {
			return nil, fmt.Errorf("bind source path does not exist in the build: %s", p.Name)
		}
		// The build can replace sh: its answer is not trusted to be a clean path.
		if !path.IsAbs(lines[i]) || path.Clean(lines[i]) != lines[i] {
			return nil, fmt.Errorf("look for %s in the build: got %q", p.Name, lines[i])
		}
		host, err := s.hostPath(p.Name, lines[i])
		if err != nil {
			return nil, err
		}
		paths[i] = host
	}
	return paths, nil
}

// isSocket reports whether a path is the build's own socket. /var/run is a link to /run in
// most images.
func (s *Socket) isSocket(name string) bool {
	name = path.Clean(name)
	return name == s.spec.Network.Socket.Path || name == strings.TrimPrefix(s.spec.Network.Socket.Path, "/var")
}

// inspectOnce asks the engine for the mounts and the root directory of the container.
func (s *Socket) inspectOnce(ctx context.Context) error {
	s.inspectMu.Lock()
	defer s.inspectMu.Unlock()
	if s.inspected {
		return nil
	}
	got, err := s.conn.API.ContainerInspect(ctx, s.target.ID)
	if err != nil {
		return s.conn.Fault(err, "inspect the build's container")
	}
	s.inspected, s.mounts = true, got.Mounts
	// The engine mounts these files too, but does not list them.
	for at, source := range map[string]string{
		"/etc/hosts": got.HostsPath, "/etc/hostname": got.HostnamePath, "/etc/resolv.conf": got.ResolvConfPath,
	} {
		if source != "" {
			s.mounts = append(s.mounts, container.MountPoint{Source: source, Destination: at})
		}
	}
	// Storage drivers other than overlays do not have this key.
	s.rootDir = got.GraphDriver.Data["MergedDir"]
	return nil
}

// hostPath translates one path: asked is as the build wrote it, real has its links
// followed. The innermost mount that contains it decides.
func (s *Socket) hostPath(asked, real string) (string, error) {
	if s.isSocket(asked) || s.isSocket(real) {
		return s.host, nil // containers of the build get its socket, not the engine's
	}
	mounted, source := "", s.rootDir
	for _, m := range s.mounts {
		if isBelow(real, m.Destination) && len(m.Destination) > len(mounted) {
			mounted, source = m.Destination, m.Source
		}
	}
	// A tmpfs of the container exists in its mount namespace only.
	for _, memory := range append([]string{"/dev", "/proc", "/sys"}, s.spec.Mounts.Scratch...) {
		if isBelow(real, memory) {
			return "", fmt.Errorf("%s is in memory in the build's container, where the engine cannot access it; "+
				"with --docker socket, use a directory of the source or of /tmp", asked)
		}
	}
	if source == "" {
		return "", fmt.Errorf(
			"%s is in the build's container, and the engine's storage driver does not reveal its location; "+
				"with --docker socket, use a directory of the source",
			asked,
		)
	}
	return path.Join(source, strings.TrimPrefix(real, mounted)), nil
}

// isBelow reports whether a path is dir or below it.
func isBelow(name, dir string) bool { return name == dir || strings.HasPrefix(name, dir+"/") }
