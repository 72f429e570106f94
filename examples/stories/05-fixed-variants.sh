#!/bin/sh
# Story 5: the drivers as they were fixed, in one container, each with a pin where its earlier variant fails:
# vfio-ccw on page 5, vfio-ap with a NIB off the first byte, GVT-g on a frame that is not 0.
# Look at: one callback a device, the last opened first; success; no log, no advisories; nothing left pinned. The
# later reset of vfio-ap is silent too.
# Usage: 05-fixed-variants.sh [URL of a running vfio-host]
set -eu
. "$(dirname "$0")/common.sh"
echo '== 5. The fixed variants: one callback each, success'

call POST /v1/reset '{"kernel": "6.12"}'
call POST /v1/containers '{"container": "c0"}'
call POST /v1/devices '{"device": "ccw", "driver": {"type": "vfio-ccw", "variant": "range"}}'
call POST /v1/devices '{"device": "ap", "driver": {"type": "vfio-ap", "variant": "range"}}'
call POST /v1/devices '{"device": "gpu", "driver": {"type": "gvt-g", "variant": "callback"}}'
for device in ccw ap gpu; do
  call POST /v1/containers/c0/attach "{\"device\": \"$device\"}"
done
call POST /v1/containers/c0/map-dma \
  '{"iova": "0x10000", "vaddr": "0x10000", "size": "0x10000", "flags": ["read", "write"]}'
call POST /v1/containers/c0/map-dma \
  '{"iova": "0x40000", "vaddr": "0x40000", "size": "0x1000", "flags": ["read", "write"]}'

say 'One CCW: read, held (flag 02), 16 bytes, to 0x00015000. A NIB at 0x14008. Frame 0x1f.'
call POST /v1/processes/p0/write-memory '{"vaddr": "0x40000", "data": "AgIAEAABUAA="}'
call POST /v1/devices/ccw/ccw-start '{"program": "0x40000"}'
call POST /v1/devices/ap/ap-enable-interrupt '{"apqn": 1, "nib": "0x14008", "isc": 3}'
call POST /v1/devices/gpu/gvt-map-page '{"gfn": "0x1f", "size": "4K"}'

call POST /v1/containers/c0/unmap-dma '{"iova": "0x10000", "size": "0x10000"}'
call GET /v1/containers/c0/pins
call POST /v1/devices/ap/ap-reset
