#!/usr/bin/env bash
# The Go module: format, vet, staticcheck, tests with the race detector, with cgo's pointer checks,
# with AddressSanitizer, and in all three ways to link. Needs target/release (cargo build --release)
# and target/conformance (cargo test --test conformance).
set -euo pipefail
cd "$(dirname "$0")/.."

root=$PWD
export CI=true GOFLAGS=-count=1 CGO_ENABLED=1
# cargo sets the former to folders of other builds of the library, which would go before the rpath.
unset LD_LIBRARY_PATH LIVENESS_ONNXRUNTIME

for file in target/release/libliveness.so target/release/libliveness.a target/conformance/expected.jsonl; do
  [[ -f $file ]] || {
    echo "$file is not there: run cargo build --release and cargo test --test conformance first"
    exit 1
  }
done
go version
cd bindings/go

echo '-- format, vet, staticcheck'
unformatted=$(gofmt -l .)
[[ -z $unformatted ]] || { echo "not formatted: $unformatted"; exit 1; }
GOFLAGS='' go vet ./...
mkdir -p "$root/target/go-bin"
[[ -x $root/target/go-bin/staticcheck ]] ||
  GOFLAGS='' GOBIN=$root/target/go-bin go install honnef.co/go/tools/cmd/staticcheck@v0.8.2
GOFLAGS='' "$root/target/go-bin/staticcheck" ./...

echo '-- tests with the race detector'
go test -race ./...

echo '-- tests with all checks of pointers that are handed to C'
GODEBUG=cgocheck=1 GOEXPERIMENT=cgocheck2 go test ./...

echo '-- tests with AddressSanitizer, which also finds what C never frees'
# Its quarantine of freed memory would look like growth, so the test of that is left out.
go test -asan -short .

echo '-- tests with the static library, which the program then does not look for'
go test -tags liveness_static ./...
go build -tags liveness_static -o "$root/target/go-bin/kyc" ./examples/kyc
if readelf -d "$root/target/go-bin/kyc" | grep -q 'NEEDED.*libliveness'; then
  echo 'the program needs the shared library'
  exit 1
fi

echo '-- tests with a library of the system'
system=$root/target/go-system
rm -rf "$system"
mkdir -p "$system/include" "$system/lib"
cp "$root/include/liveness.h" "$system/include"
cp "$root/target/release/libliveness.so" "$system/lib"
CGO_CFLAGS="-I$system/include" CGO_LDFLAGS="-L$system/lib" LD_LIBRARY_PATH=$system/lib \
  go test -tags liveness_system ./...

echo '-- a program outside of the repository'
program=$(mktemp -d)
trap 'rm -rf "$program"' EXIT
cp examples/kyc/main.go examples/kyc/handler.go "$program"
cd "$program"
GOFLAGS='' go mod init selfies 2>/dev/null
go mod edit -require liveness.example/liveness@v0.0.0 -replace "liveness.example/liveness=$root/bindings/go"
go build -o selfies .
./selfies -help 2>&1 | grep -q listen
