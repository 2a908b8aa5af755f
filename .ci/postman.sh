#!/usr/bin/env bash
# The Postman collection against the running server: bash .ci/postman.sh
set -euo pipefail
cd "$(dirname "$0")/.."
source .ci/server-lib.sh
trap stop_servers EXIT

need_packages curl
need_server
need_pictures
npm_install .ci/postman target/postman

key=postman-test-key
address=127.0.0.1:$(free_port)
start_server "$address" "$key"
target/postman/node_modules/.bin/newman run examples/liveness.postman_collection.json \
  --working-dir . --env-var "baseUrl=http://$address" --env-var "apiKey=$key" \
  --timeout-request 20000 --reporters cli --color off
