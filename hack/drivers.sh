#!/usr/bin/env bash
# drivers.sh [GO-TEST-ARGUMENT...]: installs the drivers that Weir is tried with, and runs the tests of hack/drivers.
source "$(dirname "${BASH_SOURCE[0]}")/cache.sh"
source "$repository/hack/check.sh"
instead='install it yourself'
cd "$repository/hack/drivers"

# the packages as package-lock.json has them, with our scripts beside them
install() {
  cp node/* "$1/"
  (cd "$1" && quietly npm ci --no-audit --no-fund --ignore-scripts)
}

check_go
"$repository/hack/postgresql.sh"
packages python3-psycopg python3-psycopg2
command -v node >/dev/null && command -v npm >/dev/null || packages nodejs npm
WEIR_NODE=$(cached drivers "install the drivers of Node.js" "$({ node --version && cat node/*; } | digest)" install)
export WEIR_NODE
if [ $# -gt 0 ]; then
  exec go test -tags drivers -count=1 -timeout 30m "$@" .
fi
exec go tool -modfile="$repository/hack/tools/go.mod" gotestsum --format pkgname --hide-summary skipped \
  --jsonfile "${WEIR_RESULTS:-$(mktemp -d)}/drivers.json" -- -tags drivers -count=1 -timeout 30m .
