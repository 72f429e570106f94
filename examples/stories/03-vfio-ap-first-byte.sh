#!/bin/sh
# Story 3: vfio-ap of Linux 6.1 answers an invalidation with unpin(iova, 1), and since 6.0 a pin is found by its
# exact byte. A guest's notification byte (NIB) is seldom the first byte of a mapping.
# Look at: with the NIB eight bytes into the first page, eleven callbacks and the BUG_ON; at the first byte, one
# callback and success, but the driver has not noticed, so its later reset unpins again: a WARN_ON in `log`.
# Usage: 03-vfio-ap-first-byte.sh [URL of a running vfio-host]
set -eu
. "$(dirname "$0")/common.sh"
echo '== 3. vfio-ap of 6.1: a NIB in the first page, and at the first byte'

# Two guests of one host: container near, device ap-near; container first, device ap-first.
call POST /v1/reset '{"kernel": "6.1"}'
for name in near first; do
  guest "$name" "ap-$name" '{"type": "vfio-ap", "variant": "callback"}'
done

say 'NIB at 0x10008: in the first page, not at its first byte.'
call POST /v1/devices/ap-near/ap-enable-interrupt '{"apqn": 1, "nib": "0x10008", "isc": 3}'
call POST /v1/containers/near/unmap-dma '{"iova": "0x10000", "size": "0x10000"}'

say 'NIB at 0x10000.'
call POST /v1/devices/ap-first/ap-enable-interrupt '{"apqn": 1, "nib": "0x10000", "isc": 3}'
call POST /v1/containers/first/unmap-dma '{"iova": "0x10000", "size": "0x10000"}'
say 'The driver still believes that the page is its own.'
call POST /v1/devices/ap-first/ap-reset
