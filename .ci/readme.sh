#!/usr/bin/env bash
# Every snippet of README.md, as a newcomer would run it: bash .ci/readme.sh [--section TEXT]
set -euo pipefail
cd "$(dirname "$0")/.."
python3 .ci/readme.py "$@"
