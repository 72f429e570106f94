#!/bin/sh
# Story 2: vfio-ccw as first posted asks only whether the first page of the range is pinned. A channel program
# runs on page 5 of the mapping, so the driver does nothing, eleven times.
# Look at: eleven equal `invalidations`, `killed`, the BUG_ON in `splat`; the advisory and the list of pins name
# what was left and who holds it. Afterwards the dead task's lock makes the container unusable (423).
# Usage: 02-vfio-ccw-as-posted.sh [URL of a running vfio-host]
set -eu
. "$(dirname "$0")/common.sh"
echo '== 2. vfio-ccw as posted: page 5 is pinned, eleven callbacks, BUG_ON'

call POST /v1/reset '{"kernel": "6.1"}'
call POST /v1/containers '{"container": "c0"}'
call POST /v1/devices '{"device": "ccw", "driver": {"type": "vfio-ccw", "variant": "callback-first-page"}}'
call POST /v1/containers/c0/attach '{"device": "ccw"}'
call POST /v1/containers/c0/map-dma \
  '{"iova": "0x10000", "vaddr": "0x10000", "size": "0x10000", "flags": ["read", "write"]}'
call POST /v1/containers/c0/map-dma \
  '{"iova": "0x40000", "vaddr": "0x40000", "size": "0x1000", "flags": ["read", "write"]}'

say 'One format-1 CCW: read (02), held by its suspend flag (02), 16 bytes (0010), to 0x00015000.'
call POST /v1/processes/p0/write-memory '{"vaddr": "0x40000", "data": "AgIAEAABUAA="}'
call POST /v1/devices/ccw/ccw-start '{"program": "0x40000"}'

say 'The unmap of the 16 pages. The driver looks at 0x10000 only.'
call POST /v1/containers/c0/unmap-dma '{"iova": "0x10000", "size": "0x10000"}'

say 'What was left, and who holds it.'
call GET /v1/containers/c0/pins
say 'On a real kernel the next call would never return.'
call POST /v1/containers/c0/map-dma \
  '{"iova": "0x80000", "vaddr": "0x80000", "size": "0x1000", "flags": ["read"]}'
