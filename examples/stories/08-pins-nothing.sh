#!/bin/sh
# Story 8: an unmap asks drivers only where a page of the mapping is pinned. mtty never pins; the vGPU beside it
# could, and has not.
# Look at: `invalidations` of the first unmap is empty. Once the vGPU has pinned a page there is one callback, and
# still none to mtty, which has no dma_unmap.
# Usage: 08-pins-nothing.sh [URL of a running vfio-host]
set -eu
. "$(dirname "$0")/common.sh"
echo '== 8. Drivers that pin nothing: no callback at all'

MAPPING='{"iova": "0x10000", "vaddr": "0x10000", "size": "0x10000", "flags": ["read", "write"]}'
RANGE='{"iova": "0x10000", "size": "0x10000"}'

call POST /v1/reset '{"kernel": "6.1"}'
call POST /v1/containers '{"container": "c0"}'
call POST /v1/devices '{"device": "tty", "driver": {"type": "mtty"}}'
call POST /v1/devices '{"device": "gpu", "driver": {"type": "gvt-g", "variant": "callback"}}'
call POST /v1/containers/c0/attach '{"device": "tty"}'
call POST /v1/containers/c0/attach '{"device": "gpu"}'

say 'Nothing is pinned.'
call POST /v1/containers/c0/map-dma "$MAPPING"
call POST /v1/containers/c0/unmap-dma "$RANGE"

say 'Mapped again, and one page pinned.'
call POST /v1/containers/c0/map-dma "$MAPPING"
call POST /v1/devices/gpu/gvt-map-page '{"gfn": "0x12", "size": "4K"}'
call POST /v1/containers/c0/unmap-dma "$RANGE"
