#!/bin/sh
# The lore thread in one run: a driver that unpins only the first page of an invalidated range, and what the
# kernel does about it. Usage: examples/lore-thread.sh [URL of a running vfio-host]
set -eu
URL=${1:-http://127.0.0.1:8080}
post() { path=$1; shift; curl -sS -H 'content-type: application/json' "$URL$path" -d "${1:-{\}}"; echo; }

post /v1/reset
post /v1/containers '{"container": "c0"}'
post /v1/devices '{"device": "ccw", "driver": {"type": "synthetic", "onDmaUnmap": "unpin-first-page"}}'
post /v1/containers/c0/attach '{"device": "ccw"}'

# A mapping of 16 pages; the driver pins its sixth page.
post /v1/containers/c0/map-dma \
  '{"iova": "0x10000", "vaddr": "0x7f0000000000", "size": "0x10000", "flags": ["read", "write"]}'
post /v1/devices/ccw/pin-pages '{"iova": "0x15000", "npage": 1, "prot": ["read", "write"]}'

# Type1 calls the driver with the whole range. It unpins 0x10000 only; after eleven times: BUG_ON.
post /v1/containers/c0/unmap-dma '{"iova": "0x10000", "size": "0x10000"}'

# The dead task holds the container's lock: every later call that needs it would hang.
post /v1/containers/c0/map-dma \
  '{"iova": "0x40000", "vaddr": "0x7f0000100000", "size": "0x1000", "flags": ["read"]}'
