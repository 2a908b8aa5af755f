#!/usr/bin/env bash
# The C tests with an instrumented library (AddressSanitizer, LeakSanitizer, UndefinedBehavior-
# Sanitizer, ThreadSanitizer), the shipped one under Valgrind, and the C interface's own code in Miri.
# One of them: .ci/sanitize.sh address|thread|valgrind|miri
#
# Needs target/release/libliveness.so, and rustup for rust-src (ThreadSanitizer) and Miri.
set -euo pipefail
cd "$(dirname "$0")/.."
# shellcheck source=server-lib.sh
source .ci/server-lib.sh

host=$(rustc -vV | sed -n 's/^host: //p')
# As fast as it gets without waiting for link-time optimisation, and with Rust's own checks for
# undefined behaviour, which come with debug assertions.
profile=(--release
  --config 'profile.release.lto=false' --config 'profile.release.codegen-units=16'
  --config 'profile.release.strip=false' --config 'profile.release.debug="line-tables-only"'
  --config 'profile.release.debug-assertions=true')

# Builds the shared library alone, for a sanitizer that rustc offers to its nightly users.
instrumented() { # SANITIZER ARGUMENT...
  RUSTC_BOOTSTRAP=1 RUSTFLAGS="-Zsanitizer=$1" CARGO_TARGET_DIR=target/$1 \
    cargo rustc --locked --lib --crate-type cdylib --target "$host" --features panic-test \
    "${profile[@]}" "${@:2}"
}

# Runs C tests with another build of the library; cargo builds the harness as for any test.
c_tests() { # LIBRARY_FOLDER CARGO_TEST_ARGUMENT...
  LIVENESS_TEST_LIBRARY=$1 cargo test --locked --features panic-test "${@:2}"
}

address() {
  instrumented address
  export LIVENESS_TEST_CFLAGS='-fsanitize=address,undefined -fno-sanitize-recover=all -fno-omit-frame-pointer'
  export ASAN_OPTIONS=detect_leaks=1:detect_stack_use_after_return=1:strict_string_checks=1
  c_tests "target/address/$host/release" --test c_abi -- shared panic
  c_tests "target/address/$host/release" --test process hostile_process
}

thread() {
  rustup component add rust-src
  # The standard library as well: without it, what its locks and channels order is not seen.
  instrumented thread -Zbuild-std
  # The C program gets rustc's runtime: the C compiler's may be older than the calls that rustc makes.
  local runtime
  runtime=$(echo "$(rustc --print sysroot)/lib/rustlib/$host/lib"/librustc-*_rt.tsan.a)
  export LIVENESS_TEST_CFLAGS="-fsanitize=thread -nodefaultlibs -rdynamic
    -Wl,--whole-archive $runtime -Wl,--no-whole-archive -lpthread -ldl -lm -lrt -lgcc_s -lgcc -lc"
  export TSAN_OPTIONS=halt_on_error=1:second_deadlock_stack=1
  c_tests "target/thread/$host/release" --test threads
}

valgrind() {
  need_packages valgrind
  export LIVENESS_TEST_RUNNER='valgrind --quiet --error-exitcode=9 --leak-check=full --errors-for-leak-kinds=definite,indirect,possible'
  c_tests target/release --test c_abi -- interface_with_the_shared one_check_of_each_kind_in_the_shared
}

# The parts that need no network: handles, structs, strings, callbacks, errors, panics.
miri() {
  # The one that is there, if there is one, rather than today's.
  rustup toolchain list | grep -q '^nightly' ||
    rustup toolchain install nightly --no-self-update --profile minimal
  rustup component add --toolchain nightly miri rust-src
  MIRIFLAGS='-Zmiri-strict-provenance -Zmiri-symbolic-alignment-check' CARGO_TARGET_DIR=target/miri \
    cargo +nightly miri test --locked --lib ffi::
  # Threads in sixteen orders.
  MIRIFLAGS='-Zmiri-strict-provenance -Zmiri-many-seeds=0..16' CARGO_TARGET_DIR=target/miri \
    cargo +nightly miri test --locked --lib ffi::registry
}

(($#)) || set -- address thread valgrind miri
for part in "$@"; do
  printf '\n---- %s (%d s so far)\n' "$part" "$SECONDS"
  # A shell of its own, because each sets its own environment.
  ("$part")
done
