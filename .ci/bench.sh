#!/usr/bin/env bash
# Instruction counts of a check against the recorded ones, and the benchmarks still run:
# bash .ci/bench.sh; --counts leaves out the benchmarks, --update records the counts of now.
# It relies on target/release/libliveness.so.
set -euo pipefail
cd "$(dirname "$0")/.."

command -v valgrind >/dev/null || {
  apt-get update -qq
  DEBIAN_FRONTEND=noninteractive apt-get install -y -qq valgrind
}

pictures() { cargo run --locked --quiet --example bench_pictures -- target/bench/pictures "$@"; }

pictures selfie-2mp.jpg
if [[ ${1-} == --counts ]]; then
  exec python3 bench/instructions.py
fi
python3 bench/instructions.py "$@"
pictures selfie-0.3mp.jpg

# Every benchmark once, unoptimised: that it works, not how long it takes.
cargo test --locked --bench check
bash bench/run.sh --smoke
