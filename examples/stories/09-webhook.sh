#!/bin/sh
# Story 9: your own driver, called over HTTP: webhook-driver.mjs in the roles right, wrong and slow, and dead.
# Look at `invalidations` of each unmap, and at the deliveries in the journal at the end:
#   right  unpins over HTTP inside its callback: one callback, success
#   wrong  answers 204 and unpins nothing: eleven callbacks, BUG_ON
#   slow   unpins after its deadline: the first callback counts as "did nothing", the second finds the unpin done
#   dead   does not run any more: eleven refused connections, BUG_ON
# Usage: 09-webhook.sh [URL of a running vfio-host]
# Where vfio-host runs in a container, DRIVER_HOST=host.docker.internal is the name under which it finds the driver.
set -eu
. "$(dirname "$0")/common.sh"
echo '== 9. The webhook driver: right, wrong, slow, dead'

# Starts the driver on a free port. It writes its URL into the pipe, so that nobody need guess when it listens.
folder=$(mktemp -d)
mkfifo "$folder/url"
VFIO_HOST_URL=$URL node "$(dirname "$0")/webhook-driver.mjs" >"$folder/url" &
driver=$!
stop() {
  kill "$driver" 2>/dev/null || true
  wait "$driver" 2>/dev/null || true
  rm -rf "$folder"
}
trap stop EXIT
trap 'exit 1' HUP INT TERM
read -r DRIVER_URL <"$folder/url"

call POST /v1/reset '{"kernel": "6.1"}'
# story ROLE: a container, a device of that role, a mapping of 16 pages and a pin on the sixth.
story() {
  guest "$1" "dev-$1" "{\"type\": \"webhook\", \"url\": \"$DRIVER_URL/$1?rig=$RIG&page=0x15000\", \
\"timeoutMs\": $2}"
  call POST "/v1/devices/dev-$1/pin-pages" '{"iova": "0x15000", "npage": 1, "prot": ["read", "write"]}'
  call POST "/v1/containers/$1/unmap-dma" '{"iova": "0x10000", "size": "0x10000"}'
}

say 'right'
story right 5000
say 'wrong'
story wrong 5000
say 'slow: it takes 1.5 seconds, and has one.'
story slow 1000
say 'dead: the driver is stopped first.'
kill "$driver"
wait "$driver" || true
story dead 5000

say 'How each delivery ended.'
for role in right wrong slow dead; do
  call GET "/v1/events?kind=webhook&device=dev-$role&limit=2"
done
