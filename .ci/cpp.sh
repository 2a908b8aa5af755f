#!/usr/bin/env bash
# The C++ header: every compiler and standard, with and without exceptions, sanitizers, misuse that
# must not compile, the conformance cases and the example. Needs target/release (cargo build
# --release) and target/conformance (cargo test --test conformance).
set -euo pipefail
cd "$(dirname "$0")/.."

release=$PWD/target/release
conformance=$PWD/target/conformance
portrait=$PWD/tests/fixtures/astronaut.png
out=$PWD/target/cpp
warnings=(-Wall -Wextra -Wpedantic -Werror -Wconversion -Wsign-conversion -Wshadow -Wold-style-cast
  -Wnon-virtual-dtor -Woverloaded-virtual -Wdouble-promotion)
sanitizers=(-fsanitize=address,undefined -fno-sanitize-recover=all -fno-omit-frame-pointer)
# cargo sets the former to folders of other builds of the library, which would go before the rpath.
unset LD_LIBRARY_PATH LIVENESS_ONNXRUNTIME

need() {
  local missing=()
  for tool in g++ clang++ cmake; do
    command -v "$tool" >/dev/null || missing+=("$tool")
  done
  [[ -f /usr/include/nlohmann/json.hpp ]] || missing+=(nlohmann/json)
  ls /usr/lib/llvm-*/lib/clang/*/lib/linux/libclang_rt.asan-*.a >/dev/null 2>&1 || missing+=(clang-rt)
  ((${#missing[@]} == 0)) && return
  echo "installing what is missing: ${missing[*]}"
  apt-get update -qq
  DEBIAN_FRONTEND=noninteractive apt-get install -y -qq g++ clang libclang-rt-dev cmake nlohmann-json3-dev >/dev/null
}

# compile COMPILER NAME SOURCES... -- FLAGS...
compile() {
  local compiler=$1 name=$2 sources=()
  shift 2
  while [[ $1 != -- ]]; do
    sources+=("tests/cpp/$1.cpp")
    shift
  done
  shift
  "$compiler" "${warnings[@]}" -O1 -g -Iinclude "-DEXPECTED_VERSION=\"$version\"" "$@" "${sources[@]}" \
    -o "$out/$name" "$release/libliveness.so" "-Wl,-rpath,$release" -lpthread
}

# all_programs COMPILER FLAGS...: what must hold whatever the flags
all_programs() {
  local compiler=$1
  shift
  compile "$compiler" no_exceptions no_exceptions second_unit -- "$@" -fno-exceptions
  "$out/no_exceptions" "$portrait" "$conformance/inputs"
  compile "$compiler" no_exceptions no_exceptions second_unit -- "$@"
  "$out/no_exceptions" "$portrait" "$conformance/inputs"
  compile "$compiler" exceptions exceptions logger_elsewhere -- "$@"
  "$out/exceptions" "$portrait"
}

misuse() {
  local compiler=$1 source
  for source in tests/cpp/misuse/*.cpp; do
    "$compiler" -std=c++17 "${warnings[@]}" -Iinclude -fsyntax-only "$source"
    if "$compiler" -std=c++17 -Iinclude -fsyntax-only -DMISUSE "$source" 2>"$out/misuse.txt"; then
      echo "$source compiles with $compiler although it is a mistake"
      exit 1
    fi
    grep -q "$source" "$out/misuse.txt"
  done
  echo "misuse: refused by $compiler"
}

example() {
  local linking=$1 build=$out/example-$1
  shift
  cmake -S examples/cpp -B "$build" -DCMAKE_CXX_FLAGS="${warnings[*]}" "$@" >/dev/null
  cmake --build "$build"
  "$build/check" "$portrait" | tee "$build/said.txt"
  grep -q 'astronaut.png: live, score 0\.' "$build/said.txt"
  if "$build/check" missing.png >"$build/said.txt"; then
    echo 'a missing file is a success'
    exit 1
  fi
  grep -q '^missing.png: error 002: Error reading image' "$build/said.txt"
  echo "example: $linking"
}

need
for file in "$release/libliveness.so" "$release/libliveness.a"; do
  [[ -f $file ]] || { echo "$file is not there: run cargo build --release first"; exit 1; }
done
[[ -f $conformance/expected.jsonl ]] ||
  { echo 'there is no reference: run cargo test --test conformance first'; exit 1; }
version=$(sed -n 's/^version = "\(.*\)"/\1/p' Cargo.toml | head -n 1)
mkdir -p "$out"

for compiler in g++ clang++; do
  "$compiler" --version | head -n 1
  for standard in c++17 c++20; do
    echo "-- $compiler $standard"
    all_programs "$compiler" "-std=$standard"
  done
  echo "-- $compiler with sanitizers"
  all_programs "$compiler" -std=c++17 "${sanitizers[@]}"
  misuse "$compiler"
done

echo '-- conformance'
compile g++ conformance conformance -- -std=c++17 "${sanitizers[@]}"
"$out/conformance" tests/conformance/cases.json "$conformance"

echo '-- example'
example shared
example static -DLIVENESS_STATIC=ON
g++ -std=c++17 -Iinclude examples/cpp/check.cpp -o "$out/check" -L"$release" -lliveness "-Wl,-rpath,$release"
"$out/check" "$portrait"
