#!/usr/bin/env bash
# Prints the folder to set KUBEBUILDER_ASSETS to: kube-apiserver, etcd and kubectl
# for tests against a real API server. Published ones where they can be had;
# otherwise built from Go modules (some minutes, once).
source "$(dirname "${BASH_SOURCE[0]}")/cache.sh"
source "$repository/hack/check.sh"

setup_envtest() {
  local limit=$1
  shift
  bounded "$limit" go run sigs.k8s.io/controller-runtime/tools/setup-envtest@v0.25.1 "$@" --bin-dir "$cache/setup-envtest"
}

check_go
programs=$repository/hack/cluster/programs
minor=$(awk '$1 == "k8s.io/kubernetes" {print $2}' "$programs/go.mod" | cut -d. -f1-2)
if published envtest setup_envtest 60 list "${minor#v}.x"; then
  setup_envtest 600 use "${minor#v}.x" -p path && exit
  say "setup-envtest failed: building its programs instead"
fi
check_disk 8 "building kube-apiserver"
"$programs/build.sh" envtest
