#!/bin/sh
# Story 7: a 2 MiB page of the guest lies on two 1 MiB mappings. GVT-g finds an entry only by the frame at which
# it starts, so an unmap of the upper mapping finds none. (5.10 and 6.1 take 2 MiB at once only where the host's page
# is a huge one, 6.12 and 7.2 wherever its pages follow each other; otherwise the guest's page becomes 512 entries of
# 4 KiB, and there is no hazard.)
# Look at: the upper one first: eleven callbacks, BUG_ON. The lower one first: one callback releases all 512 pins,
# also those of the upper mapping, whose unmap then needs no callback.
# Usage: 07-gvt-g-straddle.sh [URL of a running vfio-host]
set -eu
. "$(dirname "$0")/common.sh"
echo '== 7. GVT-g: a 2 MiB page over two mappings'

LOWER='{"iova": "0x0", "size": "0x100000"}'
UPPER='{"iova": "0x100000", "size": "0x100000"}'

# Two guests of one host: in one the upper mapping goes first, in the other the lower one.
call POST /v1/reset '{"kernel": "6.1"}'
for name in up down; do
  call POST /v1/containers "{\"container\": \"$name\"}"
  call POST /v1/devices "{\"device\": \"gpu-$name\", \"driver\": {\"type\": \"gvt-g\", \"variant\": \"callback\"}}"
  call POST "/v1/containers/$name/attach" "{\"device\": \"gpu-$name\"}"
  call POST "/v1/containers/$name/map-dma" \
    '{"iova": "0x0", "vaddr": "0x40000000", "size": "0x100000", "flags": ["read", "write"]}'
  call POST "/v1/containers/$name/map-dma" \
    '{"iova": "0x100000", "vaddr": "0x40100000", "size": "0x100000", "flags": ["read", "write"]}'
  call POST "/v1/devices/gpu-$name/gvt-map-page" '{"gfn": "0x0", "size": "2M"}'
done

say 'The upper mapping first.'
call POST /v1/containers/up/unmap-dma "$UPPER"
say 'The lower mapping first.'
call POST /v1/containers/down/unmap-dma "$LOWER"
call POST /v1/containers/down/unmap-dma "$UPPER"
