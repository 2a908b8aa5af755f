#!/usr/bin/env bash
# The library beside what it is compared with: bash bench/run.sh [--quick] [--save NAME] [--help]
# It measures target/release/libliveness.so, or the one that --library names.
set -euo pipefail
cd "$(dirname "$0")/.."

venv=target/bench/venv
if ! cmp --silent bench/compare/requirements.txt "$venv/requirements.txt"; then
  python3 -m venv --clear "$venv"
  "$venv/bin/pip" install --quiet --requirement bench/compare/requirements.txt
  cp bench/compare/requirements.txt "$venv/"
fi
export OMP_NUM_THREADS=1 PYTHONHASHSEED=0
exec "$venv/bin/python" bench/compare "$@"
