#!/bin/sh
# Story 6: up to Linux 5.19 drivers are notified of an unmap through a notifier chain, first opened first, and a driver
# that answers NOTIFY_BAD ends it. vfio-ccw does when its reset fails; the vGPU opened after it is not told.
# Look at: `invalidations`. When the reset fails once, the first round reaches ccw alone, the second both. When it
# always fails, all eleven go to ccw, and the BUG_ON hits although the vGPU would have answered well.
# Usage: 06-notify-bad.sh [URL of a running vfio-host]
set -eu
. "$(dirname "$0")/common.sh"
echo '== 6. The notifier era (5.10): NOTIFY_BAD, and the driver that is never told'

# story TIMES: the reset of the subchannel fails TIMES times.
story() {
  call POST /v1/reset '{"kernel": "5.10"}'
  call POST /v1/containers '{"container": "c0"}'
  call POST /v1/devices '{"device": "ccw", "driver": {"type": "vfio-ccw", "variant": "notifier"}}'
  call POST /v1/devices '{"device": "gpu", "driver": {"type": "gvt-g", "variant": "notifier"}}'
  call POST /v1/containers/c0/attach '{"device": "ccw"}'
  call POST /v1/containers/c0/attach '{"device": "gpu"}'
  call POST /v1/containers/c0/map-dma \
    '{"iova": "0x10000", "vaddr": "0x10000", "size": "0x10000", "flags": ["read", "write"]}'
  call POST /v1/containers/c0/map-dma \
    '{"iova": "0x40000", "vaddr": "0x40000", "size": "0x1000", "flags": ["read", "write"]}'
  say 'One CCW: read, held (flag 02), 16 bytes, to 0x00010000. And frame 0x18.'
  call POST /v1/processes/p0/write-memory '{"vaddr": "0x40000", "data": "AgIAEAABAAA="}'
  call POST /v1/devices/ccw/ccw-start '{"program": "0x40000"}'
  call POST /v1/devices/gpu/gvt-map-page '{"gfn": "0x18", "size": "4K"}'
  call POST /v1/devices/ccw/ccw-inject "{\"operation\": \"quiesce\", \"times\": $1}"
  call POST /v1/containers/c0/unmap-dma '{"iova": "0x10000", "size": "0x10000"}'
}

say 'The reset fails once.'
story 1
say 'The reset always fails.'
story 256
say "The pins that were left: one is the vGPU's, which was never asked."
call GET /v1/containers/c0/pins
