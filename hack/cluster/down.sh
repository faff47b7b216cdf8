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
if [ "${PURGE:-}" = 1 ]; then step "remove $cache" rm -rf "$cache"; fi
