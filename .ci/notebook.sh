#!/usr/bin/env bash
# Executes examples/liveness.ipynb: bash .ci/notebook.sh [--update]
set -euo pipefail
cd "$(dirname "$0")/.."
source .ci/server-lib.sh

need_packages python3-venv
need_server
need_pictures

python3 -m venv target/notebook
target/notebook/bin/pip install --quiet ipykernel==7.4.0 matplotlib==3.11.2 nbclient==0.11.0 nbformat==5.11.1 pillow==13.0.0 requests==2.34.2
LIVENESS_LIBRARY=${LIVENESS_LIBRARY:-$PWD/target/release/libliveness.so} target/notebook/bin/pip install --quiet --force-reinstall --no-deps ./bindings/python
PATH=$PWD/target/notebook/bin:$PATH target/notebook/bin/python .ci/notebook.py "$@"
