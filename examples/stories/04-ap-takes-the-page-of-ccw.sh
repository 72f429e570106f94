#!/bin/sh
# Story 4: vfio-ccw was opened first, vfio-ap second, so vfio-ap is called first. It holds nothing, unpins the
# first page of the range all the same, and with it releases the page on which vfio-ccw's I/O still runs.
# Look at: the answer is a success without `log`: the kernel says nothing. `advisories` says FOREIGN_UNPIN.
# Opened in the other order the same calls do no harm.
# Usage: 04-ap-takes-the-page-of-ccw.sh [URL of a running vfio-host]
set -eu
. "$(dirname "$0")/common.sh"
echo "== 4. vfio-ap releases vfio-ccw's page while its I/O runs"

# story FIRST SECOND: the same calls, with the devices opened in this order.
story() {
  say "Opened in this order: $1, $2."
  call POST /v1/reset '{"kernel": "6.1"}'
  call POST /v1/containers '{"container": "c0"}'
  call POST /v1/devices '{"device": "ccw", "driver": {"type": "vfio-ccw", "variant": "range"}}'
  call POST /v1/devices '{"device": "ap", "driver": {"type": "vfio-ap", "variant": "callback"}}'
  call POST /v1/containers/c0/attach "{\"device\": \"$1\"}"
  call POST /v1/containers/c0/attach "{\"device\": \"$2\"}"
  call POST /v1/containers/c0/map-dma \
    '{"iova": "0x10000", "vaddr": "0x10000", "size": "0x10000", "flags": ["read", "write"]}'
  call POST /v1/containers/c0/map-dma \
    '{"iova": "0x40000", "vaddr": "0x40000", "size": "0x1000", "flags": ["read", "write"]}'
  say 'One CCW: write (01), held by its suspend flag (02), 256 bytes (0100), from 0x00010000.'
  call POST /v1/processes/p0/write-memory '{"vaddr": "0x40000", "data": "AQIBAAABAAA="}'
  call POST /v1/devices/ccw/ccw-start '{"program": "0x40000"}'
  call POST /v1/containers/c0/unmap-dma '{"iova": "0x10000", "size": "0x10000"}'
}

story ccw ap
story ap ccw
