# shellcheck shell=bash
# For the scripts around the HTTP server: sourced, from the root of the repository.

# Installs Debian packages that are not there yet.
need_packages() {
  local missing=() package
  for package in "$@"; do
    dpkg-query -W -f='${Status}' "$package" 2>/dev/null | grep -q '^install ok installed$' || missing+=("$package")
  done
  ((${#missing[@]} == 0)) && return
  echo "installing what is missing: ${missing[*]}"
  apt-get update -qq
  DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null
}

# The server in release mode, of the sources as they are now.
need_server() {
  cargo build --quiet --locked --release --package liveness-server
}

# The pictures that the conformance suite makes from the portrait.
need_pictures() {
  [[ -f target/conformance/inputs/mask.png ]] || cargo test --locked --test conformance
}

# npm writes beside package.json, so that is copied below target/.
npm_install() { # FROM TO
  mkdir -p "$2"
  cp "$1"/package.json "$1"/package-lock.json "$2"
  npm ci --prefix "$2" --no-audit --no-fund --silent
}

free_port() {
  python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])'
}

servers=()
start_server() { # ADDRESS KEY
  LIVENESS_API_KEYS=$2 LIVENESS_LOG=warn target/release/liveness-server --address "$1" >/dev/null &
  servers+=("$!")
  wait_for "http://$1/readyz"
}

stop_servers() {
  ((${#servers[@]} == 0)) || kill "${servers[@]}" 2>/dev/null || true
  wait "${servers[@]}" 2>/dev/null || true
  servers=()
}

wait_for() { # URL
  for _ in {1..300}; do
    curl --silent --fail --output /dev/null "$1" && return
    sleep 0.1
  done
  echo "$1 does not answer" >&2
  return 1
}
