#!/usr/bin/env bash
# The Python package: installed from its folder, tested, typed, linted, packed: bash .ci/python.sh
# It relies on target/release/libliveness.so.
set -euo pipefail
cd "$(dirname "$0")/.."

target=${CARGO_TARGET_DIR:-$PWD/target}
export LIVENESS_LIBRARY=$target/release/libliveness.so
test -f "$LIVENESS_LIBRARY" || {
  echo "$LIVENESS_LIBRARY is missing: cargo build --release" >&2
  exit 1
}

# Inputs and expected answers of the conformance table.
cargo test --locked --test conformance

venv=$target/python
python3 -m venv --clear "$venv"
"$venv/bin/pip" install --quiet "./bindings/python[test]"

cd bindings/python
unset LIVENESS_LIBRARY # The installed package has its own.
"$venv/bin/ruff" check .
"$venv/bin/ruff" format --check .
"$venv/bin/mypy"
CI=true "$venv/bin/python" -m pytest -p no:cacheprovider
