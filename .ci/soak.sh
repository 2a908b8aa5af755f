#!/usr/bin/env bash
# Memory after many checks is that after the first thousand, with the release library. In CI a run
# of a minute or two; the long one: LIVENESS_SOAK=100000 LIVENESS_SOAK_HANDLES=10000 .ci/soak.sh
set -euo pipefail
cd "$(dirname "$0")/.."

export LIVENESS_TEST_LIBRARY=target/release
export LIVENESS_SOAK=${LIVENESS_SOAK:-4000} LIVENESS_SOAK_HANDLES=${LIVENESS_SOAK_HANDLES:-400}
test -f "$LIVENESS_TEST_LIBRARY/libliveness.so" || cargo build --locked --release
# One after the other, so that the numbers of one are not between those of the other.
cargo test --locked --test soak -- --nocapture --test-threads=1
# What debug builds abort over is no harm in the library that is shipped.
cargo test --locked --test process hostile_process
