#!/usr/bin/env bash
# The HTTP server under good, bad and rude requests at once, every answer judged, and stopped in the
# middle of it: bash .ci/load.sh. LIVENESS_LOAD_SECONDS=600 is the long run.
set -euo pipefail
cd "$(dirname "$0")/.."
source .ci/server-lib.sh

need_server
need_pictures
timeout $((${LIVENESS_LOAD_SECONDS:-25} + 240)) python3 examples/server/load/load.py target/conformance/inputs \
  --seconds "${LIVENESS_LOAD_SECONDS:-25}"
