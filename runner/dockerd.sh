# Starts the Docker engine of a privileged build beside what else begins, and tells
# in $d/docker how it came out: ready, none (the image has no dockerd), or failed.
# What it printed is in $d/docker.log. Then this shell becomes the build's own.
d=$1
shift

# With control groups of version 2, a group with processes in it cannot have groups
# with limits below it: those that are here move to one of their own.
# What comes in meanwhile moves with the next try. Where the group is not the top for
# this container, it is the machine's, and left alone.
nest() {
  read -r group </proc/self/cgroup
  [ "$group" = 0::/ ] && [ -f /sys/fs/cgroup/cgroup.subtree_control ] && mkdir -p /sys/fs/cgroup/init || return 0
  read -r all </sys/fs/cgroup/cgroup.controllers
  n=0 left=1
  while [ "$left" ] && [ "$n" -lt 50 ]; do
    n=$((n + 1)) left=
    while read -r process; do echo "$process" >/sys/fs/cgroup/init/cgroup.procs; done </sys/fs/cgroup/cgroup.procs
    for one in $all; do echo "+$one" >/sys/fs/cgroup/cgroup.subtree_control || left=$left$one; done
  done
} 2>/dev/null

# answers waits until an engine answers, for a minute or a little more, and no longer
# than the process that is to start it; an entrypoint may end well before that, its engine does not.
answers() {
  n=0
  until [ -S /var/run/docker.sock ] && { ! command -v docker || docker version; }; do
    n=$((n + 1))
    if [ "$n" -gt 1200 ]; then return 1; fi
    if ! kill -0 "$1"; then
      wait "$1" || return 1
      [ -S /var/run/docker.sock ] || return 2 # it ended well, and started none
    fi
    sleep 0.05 || { sleep 1; n=$((n + 19)); }
  done
} >/dev/null 2>&1

# dockerd would start containerd itself, and look only every half second whether it is
# there; one that runs already it takes. It keeps its files where dockerd keeps its own.
containers() {
  command -v containerd && [ ! -e /run/containerd/containerd.sock ] || return 0
  printf '%s\n' 'version = 2' 'disabled_plugins = ["io.containerd.grpc.v1.cri"]' \
    'root = "/var/lib/docker/containerd/daemon"' 'state = "/run/containerd"' >"$d/containerd.toml"
  containerd --config "$d/containerd.toml" &
  echo $! >"$d/containerd.pid"
  n=0
  until [ -S /run/containerd/containerd.sock ] || [ "$n" -gt 100 ] || ! kill -0 $!; do
    n=$((n + 1))
    sleep 0.01 || break
  done
} >>"$d/docker.log" 2>&1

begin() {
  "$@" >>"$d/docker.log" 2>&1 &
  answers $!
}

engine() {
  if ! command -v dockerd; then return 3; fi
  nest
  containers
  if command -v dockerd-entrypoint.sh; then
    begin dockerd-entrypoint.sh true
    case $? in
      2) ;;
      *) return ;;
    esac
  fi
  begin dockerd
} >/dev/null

{
  engine
  case $? in
    0) echo ready ;;
    3) echo none ;;
    *) echo failed ;;
  esac >"$d/docker"
} </dev/null >/dev/null 2>&1 &
exec "$@"
