#!/bin/sh
# What is a program is run; anything else is said to vfio-host: `docker run IMAGE --kernel 7.2`, `docker run IMAGE replay
# FILE`, `docker run IMAGE vfio-host --help`, `docker run -it IMAGE sh`.
set -eu
# In a container of less than 1 GiB the limits are those meant for 256 MB (`npm run memory` tries them): docs/limits.md.
# What is set already stays.
memory=$(cat /sys/fs/cgroup/memory.max 2>/dev/null || cat /sys/fs/cgroup/memory/memory.limit_in_bytes 2>/dev/null || echo max)
if [ "$memory" != max ] && [ "$memory" -lt 1073741824 ]; then
  export NODE_OPTIONS="${NODE_OPTIONS:---max-old-space-size=128 --max-semi-space-size=4}"
  export BODY_LIMIT="${BODY_LIMIT:-8388608}" REPLAY_BODY_LIMIT="${REPLAY_BODY_LIMIT:-4194304}"
  export BODY_BYTES="${BODY_BYTES:-8388608}" MAX_VALUES="${MAX_VALUES:-1500000}" ANSWER_BYTES="${ANSWER_BYTES:-16777216}"
  export TOTAL_MEMORY="${TOTAL_MEMORY:-25165824}" RIG_MEMORY="${RIG_MEMORY:-25165824}"
  export TOTAL_DIRTY_BITMAPS="${TOTAL_DIRTY_BITMAPS:-16777216}" MAX_DIRTY_BITMAPS="${MAX_DIRTY_BITMAPS:-16777216}"
  export SEARCH_BYTES="${SEARCH_BYTES:-8388608}"
  export TOTAL_OBJECTS="${TOTAL_OBJECTS:-25165824}" RIG_OBJECTS="${RIG_OBJECTS:-25165824}"
  # Freed buffers go back to the system at once.
  export MALLOC_ARENA_MAX="${MALLOC_ARENA_MAX:-2}" MALLOC_MMAP_THRESHOLD_="${MALLOC_MMAP_THRESHOLD_:-131072}"
  export MAX_WORKS="${MAX_WORKS:-3}"
  export TOTAL_BYTES="${TOTAL_BYTES:-16777216}" RIG_BYTES="${RIG_BYTES:-16777216}"
fi
if [ $# -eq 0 ] || [ "${1#-}" != "$1" ] || ! command -v "$1" >/dev/null; then
  set -- vfio-host "$@"
fi
exec "$@"
