#!/bin/sh
# Story 12: vfio-ap of Linux 5.10 takes the answer to AQIC from the wrong half of a register, so to the driver and
# to the guest every answer is 00. The hardware refuses to switch the interrupts of a queue on: the driver believes
# that they are, keeps the page pinned and the ISC registered. 6.1 reads the answer, and tells the guest.
# Look at: `instructions` says what the hardware answered (07), `response` what the guest sees; the pin after it.
# Usage: 12-ap-answer-unread.sh [URL of a running vfio-host]
set -eu
. "$(dirname "$0")/common.sh"
echo "== 12. vfio-ap of 5.10 cannot read AQIC's answer"

# story KERNEL: the same calls on each.
story() {
  say "Linux $1."
  call POST /v1/reset "{\"kernel\": \"$1\"}"
  guest c0 ap '{"type": "vfio-ap", "queues": [0, 1]}'
  call POST /v1/devices/ap/ap-inject '{"apqn": 0, "instruction": "aqic-enable", "responses": [7]}'
  call POST /v1/devices/ap/ap-enable-interrupt '{"apqn": 0, "nib": "0x14008", "isc": 3}'
  call GET /v1/containers/c0/pins
}

story 5.10
story 6.1
