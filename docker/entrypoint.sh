#!/bin/sh
# What is a program is run; anything else is said to vfio-host: `docker run IMAGE --kernel 7.2`, `docker run IMAGE replay
# FILE`, `docker run IMAGE vfio-host --help`, `docker run -it IMAGE sh`.
set -eu
if [ $# -eq 0 ] || [ "${1#-}" != "$1" ] || ! command -v "$1" >/dev/null; then
  set -- vfio-host "$@"
fi
exec "$@"
