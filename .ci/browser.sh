#!/usr/bin/env bash
# The page of the HTTP server in headless Chromium: bash .ci/browser.sh
# LIVENESS_SCREENSHOTS=docs/images renews the pictures of README.md.
set -euo pipefail
cd "$(dirname "$0")/.."
source .ci/server-lib.sh

need_packages chromium curl fonts-inter
need_server
need_pictures

# Node looks for packages beside the files that import them.
mkdir -p target/browser
cp examples/server/browser/*.mjs target/browser
npm_install examples/server/browser target/browser
LIVENESS_ROOT=$PWD LIVENESS_SCREENSHOTS=$(realpath "${LIVENESS_SCREENSHOTS:-target/screenshots}") \
  node --test --test-reporter=spec target/browser/page.test.mjs
