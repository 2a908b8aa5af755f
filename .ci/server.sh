#!/usr/bin/env bash
# The HTTP server against its own description, /openapi.json: bash .ci/server.sh
# Clippy and the server's tests run with those of the library (both are members of the workspace
# that cargo takes by default), and the commands of README.md in .ci/readme.sh.
set -euo pipefail
cd "$(dirname "$0")/.."
source .ci/server-lib.sh

need_packages curl
need_server
need_pictures

venv=target/schemathesis
if [[ ! -x $venv/bin/schemathesis ]]; then
  python3 -m venv "$venv"
  "$venv/bin/pip" install --quiet 'schemathesis==4.32.5'
fi

key=key-for-schemathesis
address=127.0.0.1:$(free_port)
trap stop_servers EXIT
# Schemathesis tries a wrong key with nearly every request.
LIVENESS_MAX_WRONG_KEYS=0 start_server "$address" "$key"

# positive_data_acceptance demands that whatever fits the description is accepted. No schema can
# say what an image with one face is, so 002 and 051 are right answers to random bytes.
(
  cd target
  timeout 300 "../$venv/bin/schemathesis" run "http://$address/openapi.json" \
    --header "X-API-Key: $key" \
    --checks all --exclude-checks positive_data_acceptance \
    --max-examples 200 --seed 1 --generation-database none --workers 1 \
    --request-timeout 20 --suppress-health-check all --continue-on-failure --no-color
)

# Random bytes are no portraits: these are, with all that the answers can hold.
"$venv/bin/python" examples/server/tests/described.py "http://$address" "$key" target/conformance/inputs
