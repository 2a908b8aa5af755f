#!/usr/bin/env bash
# Runs every fuzz target for some time, two at once: bash .ci/fuzz.sh [TARGET ...]
# LIVENESS_FUZZ_SECONDS is the time for each (20 unless set; 120 in CI). LIVENESS_FUZZ_SEED is libFuzzer's
# seed, always the same unless set, so that a finding is easier to repeat; 0 is another one each time.
set -euo pipefail
cd "$(dirname "$0")/.."
seconds=${LIVENESS_FUZZ_SECONDS:-20}
targets=("$@")
if ((${#targets[@]} == 0)); then
  for file in fuzz/fuzz_targets/*.rs; do
    targets+=("$(basename "$file" .rs)")
  done
fi
# The flags for sanitizers are not stable, the compiler that knows them is the ordinary one.
export RUSTC_BOOTSTRAP=1
export PATH="$PWD/target/tools/bin:$PATH"

command -v cargo-fuzz >/dev/null || cargo install cargo-fuzz --version 0.13.2 --locked --root target/tools
venv=target/fuzz-venv
test -x "$venv/bin/python" || python3 -m venv "$venv"
"$venv/bin/pip" install --quiet pillow==11.0.0
"$venv/bin/python" fuzz/seeds.py

(cd fuzz && cargo fuzz build --target-dir ../target/fuzz)
programs=target/fuzz/$(rustc -vV | sed -n 's/^host: //p')/release

# What is asked for at once is bounded strictly: the targets allow pictures of a megapixel, and no file may
# make a decoder ask for more. Time and all memory together depend on the machine too.
limits=(-malloc_limit_mb=256 -rss_limit_mb=4096 -timeout=60)
# All that is needed to repeat it elsewhere: the machine that found it may be gone.
failure() {
  local target=$1 log=target/fuzz/$1.log file
  echo "$target FAILED, the file is in fuzz/artifacts/$target, and here for: base64 -d | gunzip"
  for file in fuzz/artifacts/"$target"/*; do
    echo "$(basename "$file"): $(gzip -c "$file" | base64 -w 0)"
  done
  tail -n 60 "$log"
  echo "$target said:"
  grep -A 2 -m 1 'panicked at' "$log" || grep -m 1 ERROR "$log" || true
}
run() {
  local target=$1 log=target/fuzz/$1.log
  mkdir -p "fuzz/artifacts/$target"
  if "$programs/$target" -max_total_time="$seconds" -seed="${LIVENESS_FUZZ_SEED:-1}" "${limits[@]}" \
    -print_final_stats=1 -artifact_prefix="fuzz/artifacts/$target/" "fuzz/corpus/$target" >"$log" 2>&1; then
    echo "$target: $(grep -E '^#[0-9]+[[:space:]]+DONE' "$log")"
  else
    failure "$target"
    return 1
  fi
}

failed=0
while ((${#targets[@]})); do
  run "${targets[0]}" &
  first=$!
  if ((${#targets[@]} > 1)); then
    run "${targets[1]}" || failed=1
  fi
  wait "$first" || failed=1
  targets=("${targets[@]:2}")
done
exit "$failed"
