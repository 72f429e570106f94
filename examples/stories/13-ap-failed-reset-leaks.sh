#!/bin/sh
# Story 13: a RESET of vfio-ap fails once on Linux 6.1; the guest goes on and switches interrupts on. The next domain
# that the administrator assigns makes the driver look at its queues again: one whose last reset failed hides its
# adapter from the guest, but nobody resets it. Taking the adapter away resets only what the guest has.
# Look at: `instructions` of the unassign (none), the pin that is left, and the unmap: eleven callbacks, BUG_ON.
# On 6.12 the assign resets the queue that it hides, and the unmap needs no callback.
# Usage: 13-ap-failed-reset-leaks.sh [URL of a running vfio-host]
set -eu
. "$(dirname "$0")/common.sh"
echo '== 13. vfio-ap of 6.1: a failed RESET and an assign leak a pin'

# story KERNEL: the same calls on each. 01: the hardware has no such queue.
story() {
  say "Linux $1."
  call POST /v1/reset "{\"kernel\": \"$1\"}"
  guest c0 ap '{"type": "vfio-ap", "queues": [0, 1]}'
  call POST /v1/devices/ap/ap-inject '{"apqn": 0, "instruction": "zapq", "responses": [1]}'
  call POST /v1/devices/ap/ap-reset
  call POST /v1/devices/ap/ap-enable-interrupt '{"apqn": 0, "nib": "0x14008", "isc": 3}'
  call POST /v1/devices/ap/ap-assign '{"domain": 2}'
  call POST /v1/devices/ap/ap-unassign '{"adapter": 0}'
  call GET /v1/containers/c0/pins
  call POST /v1/containers/c0/unmap-dma '{"iova": "0x10000", "size": "0x10000"}'
}

story 6.1
story 6.12
