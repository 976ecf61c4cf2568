#!/bin/sh
# Starts the image's own Docker engine, waits for it, evaluates its arguments.
set -e

dockerd --host=unix:///var/run/docker.sock --host=tcp://127.0.0.1:2375 \
  --storage-driver=overlay2 >/var/log/docker.log 2>&1 &

tries=0
until docker info >/dev/null 2>&1; do
  tries=$((tries + 1))
  if [ "$tries" -gt 60 ]; then
    cat /var/log/docker.log
    echo 'Timed out trying to connect to internal docker host.' >&2
    exit 1
  fi
  sleep 1
done

eval "$@"
