#!/bin/sh
# A virtual machine with a mediated device that has a page pinned, and is reset: QEMU unmaps the guest's memory, and the
# device's driver must give its pin back. It needs qemu-system-x86_64 and curl, no guest system, no KVM, no root:
#
#   npx vfio-host run --device mdev:synthetic,onDmaUnmap=ignore,device=vgpu -- sh examples/qemu/mdev.sh
#
# onDmaUnmap=ignore is a driver that does not; onDmaUnmap=unpin-range is one that does.
set -eu

# The service of the run: the program's calls go there, and so do ours.
api() {
  curl -sS --fail --unix-socket "${VFIO_HOST_URL#unix:}" -H 'content-type: application/json' "$@"
}
V1=http://localhost/v1

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
mkfifo "$folder/monitor"
qemu-system-x86_64 -machine pc,accel=tcg -m 64 -nodefaults -display none -monitor stdio \
  -device vfio-pci,sysfsdev=/sys/bus/mdev/devices/vgpu < "$folder/monitor" > /dev/null &
qemu=$!
exec 3> "$folder/monitor"

# The firmware has run when it has made its own memory read-only.
tries=0
until api "$V1/containers/c0/mappings" 2> /dev/null | grep -q '"iova":"0xf0000".*"prot":\["read"\]'; do
  kill -0 $qemu
  [ $((tries += 1)) -lt 600 ]
  sleep 0.1
done
echo '# the device pins a page of the guest'
api "$V1/devices/vgpu/pin-pages" -d '{"iova": "0x1000", "npage": 1, "prot": ["read", "write"]}'
echo '# system_reset: QEMU unmaps the memory around it, and maps it anew'
echo system_reset >&3
api "$V1/events?kind=invalidation&wait=1&timeoutMs=60000" > /dev/null
if api "$V1/events?kind=splat&wait=1&timeoutMs=2000" | grep -q BUG_ON; then
  echo '# the thread that unmapped is dead and holds the lock: this QEMU does not end by itself any more'
  kill -KILL $qemu
  wait $qemu || exit $?
fi
echo '# QEMU goes on: it can be asked to quit'
echo quit >&3
wait $qemu
