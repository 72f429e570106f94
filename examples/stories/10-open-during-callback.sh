#!/bin/sh
# Story 10: an unmap waits in a driver's callback and holds device_list_lock. Opening another device takes
# iommu->lock and waits for device_list_lock. Then the callback unpins, which needs iommu->lock: nobody returns.
# The driver is `manual`: its callback lasts until complete-callback, so each step can be seen.
# Look at: both calls are under way (202); the unpin closes the cycle and all three end with EDEADLK; `splat` names
# what each holds and waits for; the container is wedged (423).
# Usage: 10-open-during-callback.sh [URL of a running vfio-host]
set -eu
. "$(dirname "$0")/common.sh"
echo '== 10. Opening a device during a callback: the deadlock'

# prepare: devices d0, open and with a pin, and d1, whose group is in the container but which is not open.
prepare() {
  call POST /v1/reset '{"kernel": "6.1"}'
  call POST /v1/containers '{"container": "c0"}'
  call POST /v1/devices '{"device": "d0", "driver": {"type": "manual"}}'
  call POST /v1/devices '{"device": "d1", "driver": {"type": "manual"}}'
  call POST /v1/containers/c0/attach '{"device": "d0"}'
  call POST /v1/devices/d1/open-group
  call POST /v1/devices/d1/set-container '{"container": "c0"}'
  call POST /v1/containers/c0/map-dma \
    '{"iova": "0x10000", "vaddr": "0x10000", "size": "0x10000", "flags": ["read", "write"]}'
  call POST /v1/devices/d0/pin-pages '{"iova": "0x15000", "npage": 1, "prot": ["read", "write"]}'
  say "The unmap is in d0's callback."
  call POST /v1/containers/c0/unmap-dma '{"iova": "0x10000", "size": "0x10000"}' 'Prefer: respond-async'
}

prepare
say 'Another thread opens d1: it waits. Then the callback unpins.'
call POST /v1/devices/d1/open-device '' 'Prefer: respond-async'
call POST /v1/devices/d0/unpin-pages '{"iova": "0x15000", "npage": 1}'
say 'How the unmap and the opening ended.'
call GET '/v1/operations/op0?wait=1&timeoutMs=5000'
call GET '/v1/operations/op1?wait=1&timeoutMs=5000'
call GET /v1/containers/c0/iommu-info

say 'The same without a deadlock: the callback has unpinned before d1 is opened.'
prepare
call POST /v1/devices/d0/unpin-pages '{"iova": "0x15000", "npage": 1}'
call POST /v1/devices/d1/open-device '' 'Prefer: respond-async'
call POST /v1/devices/d0/complete-callback
call GET '/v1/operations/op0?wait=1&timeoutMs=5000'
call GET '/v1/operations/op1?wait=1&timeoutMs=5000'
