#!/bin/sh
# Story 14: since hot plug a guest has an adapter of vfio-ap only while all its assigned queues are bound. Nobody asks
# for that when it switches interrupts on: a queue of a hidden adapter pins its page all the same. When the adapter is
# taken away, only queues that the guest has are reset; this one is unlinked with its page pinned.
# Look at: the unassign issues nothing; the pin that is left; the unmap is the BUG_ON even with today's callback,
# which looks at linked queues only. In the other order, unassigned while the guest has it, all is well.
# Usage: 14-ap-filtered-adapter.sh [URL of a running vfio-host]
set -eu
. "$(dirname "$0")/common.sh"
echo '== 14. vfio-ap of 7.2: interrupts of an adapter that the guest does not have'

# Two guests of one host, each with an adapter of its own.
call POST /v1/reset '{"kernel": "7.2"}'
guest c0 ap0 '{"type": "vfio-ap", "queues": [0, 1]}'
guest c1 ap1 '{"type": "vfio-ap", "queues": [256, 257]}'

say 'Queue 1 of adapter 0 goes to another driver; queue 0 gets interrupts.'
call POST /v1/ap-unbind-queue '{"apqn": 1}'
call POST /v1/devices/ap0/ap-enable-interrupt '{"apqn": 0, "nib": "0x14008", "isc": 3}'
call POST /v1/devices/ap0/ap-unassign '{"adapter": 0}'
call GET /v1/containers/c0/pins
call POST /v1/containers/c0/unmap-dma '{"iova": "0x10000", "size": "0x10000"}'

say 'Adapter 1 has all its queues.'
call POST /v1/devices/ap1/ap-enable-interrupt '{"apqn": 256, "nib": "0x14008", "isc": 3}'
call POST /v1/devices/ap1/ap-unassign '{"adapter": 1}'
call POST /v1/containers/c1/unmap-dma '{"iova": "0x10000", "size": "0x10000"}'
