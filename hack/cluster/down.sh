#!/usr/bin/env bash
# Deletes the cluster (CLUSTER, default weir) and, if no other is left, stops the
# private Docker. PURGE=1 removes what was built as well: the next start is cold.
source "$(dirname "${BASH_SOURCE[0]}")/cluster.sh"

if use_cluster; then
  if exists; then
    step "delete the cluster $CLUSTER" kind delete cluster --name "$CLUSTER" -q
  fi
  rm -rf "$cluster"
fi
others=$(ls "$cache/clusters" 2>/dev/null) || others=
if [ -z "$others" ]; then
  "$repository/hack/cluster/dockerd.sh" stop
elif [ "${PURGE:-}" = 1 ]; then
  die "the cache stays while other clusters run: $others"
fi
# What is ours, by name: WEIR_CACHE may be a folder that holds other things.
purge() {
  local hex
  hex=$(printf '[0-9a-f]%.0s' {1..16})
  # shellcheck disable=SC2086 # a pattern
  rm -rf "$cache"/*-$hex "$cache"/*-$hex.new "$cache"/{binaries,clusters,docker,published,setup-envtest,node-root,node-root.containerd} \
    "$cache"/{dockerd,tools,envtest,node,node-debian,node-images,node.image,image-weir,image-postgres,image-e2e}.lock "$cache/packages.log"
  rmdir "$cache" 2>/dev/null || true
}

if [ "${PURGE:-}" = 1 ]; then step "remove what was built from $cache" purge; fi
