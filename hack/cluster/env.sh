#!/usr/bin/env bash
# Prints what a shell needs to use the cluster (CLUSTER, default weir):
#   eval "$(hack/cluster/env.sh)"
# gives KUBECONFIG, kubectl and kind on PATH, and DOCKER_HOST where it is our own.
source "$(dirname "${BASH_SOURCE[0]}")/cluster.sh"

[ -s "$cluster/env" ] || die "there is no cluster $CLUSTER: run hack/cluster/up.sh first"
cat "$cluster/env"
