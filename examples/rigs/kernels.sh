#!/bin/sh
# Two drivers on four kernels, side by side; 0 where all is as expected.
set -eu
U=${VFIO_HOST_URL:-http://127.0.0.1:8080}/v1

unmapped() { # KERNEL ON_DMA_UNMAP EXPECTED
  call() { curl -sS -H "X-Rig: sh-$2-$1" -H 'content-type: application/json' "$U/$3" -d "$4"; }
  call "$1" "$2" setup "{\"kernel\": \"$1\",
    \"containers\": [{\"container\": \"c0\", \"mappings\": [
      {\"iova\": 65536, \"vaddr\": 0, \"size\": 65536, \"flags\": [\"read\"]}]}],
    \"devices\": [{\"device\": \"d0\", \"driver\": {\"type\": \"synthetic\", \"onDmaUnmap\": \"$2\"},
      \"container\": \"c0\", \"pins\": [{\"iova\": \"0x15000\", \"npage\": 1, \"prot\": [\"read\"]}]}]}" > /dev/null
  answer=$(call "$1" "$2" containers/c0/unmap-dma '{"iova": "0x10000", "size": "0x10000"}')
  case $answer in *"$3"*) echo "ok $1 $2" ;; *) echo "not ok $1 $2: $answer"; return 1 ;; esac
}

running=
for kernel in 5.10 6.1 6.12 7.2; do
  unmapped $kernel unpin-range '"size":"0x10000"' & running="$running $!"
  unmapped $kernel unpin-first-page '"killed":true' & running="$running $!"
done
failed=0
for one in $running; do wait "$one" || failed=1; done
exit $failed
