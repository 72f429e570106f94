#!/bin/sh
# Story 1: a vGPU has pinned three pages, far apart, of a 1 MiB mapping, and the guest unmaps it all.
# Look at: `invalidations` of the unmap has one entry, the whole range; GVT-g looks up each page of it, so one
# callback releases all three, and nothing is in the log.
# Usage: 01-gvt-g-scattered.sh [URL of a running vfio-host]
set -eu
. "$(dirname "$0")/common.sh"
echo '== 1. GVT-g: three scattered pages, one callback'

call POST /v1/reset '{"kernel": "6.1"}'
call POST /v1/containers '{"container": "c0"}'
call POST /v1/devices '{"device": "gpu", "driver": {"type": "gvt-g", "variant": "callback"}}'
call POST /v1/containers/c0/attach '{"device": "gpu"}'
call POST /v1/containers/c0/map-dma \
  '{"iova": "0x0", "vaddr": "0x7f0000000000", "size": "0x100000", "flags": ["read", "write"]}'

say "The guest's page table takes the frames 3, 0x42 and 0xff."
call POST /v1/devices/gpu/gvt-map-page '{"gfn": "0x3", "size": "4K"}'
call POST /v1/devices/gpu/gvt-map-page '{"gfn": "0x42", "size": "4K"}'
call POST /v1/devices/gpu/gvt-map-page '{"gfn": "0xff", "size": "4K"}'
call GET /v1/containers/c0/pins

say 'One callback for the whole range; success.'
call POST /v1/containers/c0/unmap-dma '{"iova": "0x0", "size": "0x100000"}'
call GET /v1/containers/c0/pins
