#!/bin/sh
# Two drivers on every kernel, side by side; 0 where all is as expected.
set -eu
U=${VFIO_HOST_URL:-http://127.0.0.1:8080}/v1

unmapped() { # KERNEL ON_DMA_UNMAP EXPECTED
  call() { curl -sS -H "X-Rig: sh-$rig" -H 'content-type: application/json' "$U/$1" -d "$2"; }
  rig=$1-$2
  call setup "{\"kernel\": \"$1\", \"containers\": [{\"container\": \"c0\", \"mappings\": [
      {\"iova\": 65536, \"vaddr\": 0, \"size\": 65536, \"flags\": [\"read\"]}]}],
    \"devices\": [{\"driver\": {\"type\": \"synthetic\", \"onDmaUnmap\": \"$2\"}, \"container\": \"c0\",
      \"pins\": [{\"iova\": \"0x15000\", \"npage\": 1, \"prot\": [\"read\"]}]}]}" > /dev/null
  answer=$(call containers/c0/unmap-dma '{"iova": 65536, "size": 65536}')
  case $answer in *"$3"*) echo "ok $1 $2" ;; *) echo "not ok $1 $2: $answer" ;; esac
}

for kernel in $(curl -fsS "$U/kernels" | grep -o '"version":"[^"]*"' | cut -d'"' -f4); do
  unmapped "$kernel" unpin-range '"size":"0x10000"' &
  unmapped "$kernel" unpin-first-page '"status":409' &
done | awk '{ print } /^not ok/ { bad = 1 } END { exit bad || NR == 0 }'
