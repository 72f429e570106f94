# What the stories share; read with `.`, not run. The URL of a running vfio-host is the script's $1.
URL=${1:-http://127.0.0.1:8080}
story=${0##*/}
# A rig of its own for each story, so that they can run side by side; RIG=name takes another.
RIG=${RIG:-story-${story%%-*}}
newline='
'

# call METHOD PATH [BODY [HEADER]]: prints the request, then status and body of its answer.
call() {
  echo "> $1 $2${3:+ $3}${4:+   ($4)}"
  answer=$(curl -sS -X "$1" -H "X-Rig: $RIG" ${4:+-H "$4"} \
    ${3:+-H 'content-type: application/json' --data-binary "$3"} -w '\n%{http_code}' "$URL$2")
  echo "< ${answer##*"$newline"} ${answer%"$newline"*}"
}

# What happens next, between the requests.
say() { echo "# $*"; }

# guest CONTAINER DEVICE DRIVER: a container with an open mdev in it, and the 16 pages at 0x10000 mapped.
guest() {
  call POST /v1/containers "{\"container\": \"$1\"}"
  call POST /v1/devices "{\"device\": \"$2\", \"driver\": $3}"
  call POST "/v1/containers/$1/attach" "{\"device\": \"$2\"}"
  call POST "/v1/containers/$1/map-dma" \
    '{"iova": "0x10000", "vaddr": "0x10000", "size": "0x10000", "flags": ["read", "write"]}'
}
