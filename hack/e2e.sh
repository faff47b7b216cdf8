#!/usr/bin/env bash
# e2e.sh [FOLDER]: runs the demo as a new user would, then the tests of hack/e2e on its cluster, installed with kustomize
# and then once more with helm, and takes the cluster down. Results are FOLDER/e2e-*.json.
# INSTALL=kustomize or helm does only one of them; KEEP=1 leaves the cluster running; FOCUS='words' runs the specs whose name has them.
set -euo pipefail
cd "$(dirname "$0")/.."
results=${1:-dist/test}
export CLUSTER=${CLUSTER:-weir-e2e}
mkdir -p "$results"
results=$(cd "$results" && pwd)
helm=$(hack/helm.sh)
CGO_ENABLED=0 go build -o "$results/bin/" ./cmd/kubectl-weir

[ -n "${KEEP:-}" ] || trap 'hack/demo.sh down' EXIT
for way in ${INSTALL:-kustomize helm}; do
  export INSTALL=$way
  hack/demo.sh up
  eval "$(hack/cluster/env.sh)"
  hack/cluster/load.sh e2e metrics-server
  PATH=$helm:$results/bin:$PATH go tool -modfile=hack/tools/go.mod gotestsum --format standard-verbose --jsonfile "$results/e2e-$way.json" -- \
    -tags e2e -count=1 -timeout 40m ./hack/e2e/ -ginkgo.v ${FOCUS:+-ginkgo.focus "$FOCUS"}
done
