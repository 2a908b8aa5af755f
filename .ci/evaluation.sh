#!/usr/bin/env bash
# The evaluation of the built library, on pictures made from the portrait: bash .ci/evaluation.sh
# It relies on target/release/libliveness.so.
set -euo pipefail
cd "$(dirname "$0")/.."

target=${CARGO_TARGET_DIR:-$PWD/target}
export LIVENESS_LIBRARY=$target/release/libliveness.so
test -f "$LIVENESS_LIBRARY" || {
  echo "$LIVENESS_LIBRARY is missing: cargo build --release" >&2
  exit 1
}

# .ci/run has made it for the training tests.
venv=$target/ci-venv
test -x "$venv/bin/python" || python3 -m venv "$venv"
"$venv/bin/pip" install --quiet --requirement models/training/requirements.txt

python=$(cd "$venv/bin" && pwd)/python
cd models
OMP_WAIT_POLICY=PASSIVE "$python" -m pytest -q -k "library or everything" training/tests/test_evaluation.py
