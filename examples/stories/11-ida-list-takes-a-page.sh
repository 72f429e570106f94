#!/bin/sh
# Story 11: a guest makes vfio-ccw release another driver's page. Up to Linux 6.2 vfio-ccw sizes its array of pages by
# the first word of an IDA list before it has read the list; where the list cannot be read it gives back as many pages
# as the array has, from that word on, though it never pinned one. Whoever has them pinned loses a reference.
# Look at: the start is EINVAL, as it should be, but `unpinnedNotHeld` and the advisory FOREIGN_UNPIN are there, and
# the vGPU's pin is gone. The unmap then asks nobody, while the GPU still has the page. On 6.12 none of this.
# Usage: 11-ida-list-takes-a-page.sh [URL of a running vfio-host]
set -eu
. "$(dirname "$0")/common.sh"
echo "== 11. An IDA list that cannot be read releases another driver's page"

# story KERNEL
story() {
  call POST /v1/reset "{\"kernel\": \"$1\"}"
  call POST /v1/containers '{"container": "c0"}'
  call POST /v1/devices '{"device": "gpu", "driver": {"type": "gvt-g"}}'
  call POST /v1/devices '{"device": "ccw", "driver": {"type": "vfio-ccw"}}'
  call POST /v1/containers/c0/attach '{"device": "gpu"}'
  call POST /v1/containers/c0/attach '{"device": "ccw"}'
  call POST /v1/containers/c0/map-dma \
    '{"iova": "0x10000", "vaddr": "0x10000", "size": "0x10000", "flags": ["read", "write"]}'
  call POST /v1/containers/c0/map-dma \
    '{"iova": "0x40000", "vaddr": "0x40000", "size": "0x1000", "flags": ["read", "write"]}'
  call POST /v1/devices/gpu/gvt-map-page '{"gfn": "0x15", "size": "4K"}'
  say 'One CCW: write (01) by an IDA list (04), 0x1001 bytes, list at 0x00040ff8: two words.'
  call POST /v1/processes/p0/write-memory '{"vaddr": "0x40000", "data": "AQQQAQAED/g="}'
  say 'The first is 0x15000; the second would lie beyond the mapping.'
  call POST /v1/processes/p0/write-memory '{"vaddr": "0x40ff8", "data": "AAAAAAABUAA="}'
  call POST /v1/devices/ccw/ccw-start '{"program": "0x40000"}'
  call GET /v1/containers/c0/pins
  say 'The GPU still has the page.'
  call GET /v1/devices/gpu
  call POST /v1/containers/c0/unmap-dma '{"iova": "0x10000", "size": "0x10000"}'
}

say 'Linux 6.1'
story 6.1
say 'Linux 6.12 reads the list first.'
story 6.12
