#!/usr/bin/env bash
# e2e.sh [RESULTS.json]: runs the demo as a new user would, then the tests of hack/e2e on its cluster, and takes it down.
# KEEP=1 leaves the cluster running; FOCUS='words' runs the specs whose name has them.
set -euo pipefail
cd "$(dirname "$0")/.."
results=${1:-dist/test/e2e.json}
export CLUSTER=${CLUSTER:-weir-e2e}
mkdir -p "$(dirname "$results")"

[ -n "${KEEP:-}" ] || trap 'hack/demo.sh down' EXIT
hack/demo.sh up
eval "$(hack/cluster/env.sh)"
hack/cluster/load.sh e2e
go tool -modfile=hack/tools/go.mod gotestsum --format standard-verbose --jsonfile "$results" -- \
  -tags e2e -count=1 -timeout 40m ./hack/e2e/ -ginkgo.v ${FOCUS:+-ginkgo.focus "$FOCUS"}
