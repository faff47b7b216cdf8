#!/usr/bin/env bash
# Puts images into every node of the cluster (CLUSTER, default weir), building
# them first if needed: load.sh weir postgres e2e. A node that has an image
# already keeps it: it is labelled with the archive it came from.
source "$(dirname "${BASH_SOURCE[0]}")/cluster.sh"

use_cluster || die "there is no cluster $CLUSTER: run hack/cluster/up.sh first"
[ $# -gt 0 ] || die "usage: load.sh weir|postgres|e2e|metrics-server..."

# loaded NODE TAG ID
loaded() {
  docker exec "$1" ctr -n k8s.io images ls -q "name==$2,labels.\"weir.dev/archive\"==$3" 2>/dev/null | grep . >/dev/null
}

load() {
  local archive=$1 tag=$2 id=$3 node
  quietly kind load image-archive --name "$CLUSTER" "$archive"
  for node in $nodes; do
    quietly docker exec "$node" ctr -n k8s.io images label "$tag" "weir.dev/archive=$id"
  done
}

nodes=$(kind get nodes --name "$CLUSTER")
for name; do
  archive=$("$repository/hack/images.sh" "$name")
  tag=$(tar -xOf "$archive" manifest.json | grep -o '"RepoTags":\["[^"]*' | cut -d'"' -f4)
  id=$(basename "$(dirname "$archive")")
  for node in $nodes; do
    if ! loaded "$node" "$tag" "$id"; then
      step "load $tag into the cluster $CLUSTER" load "$archive" "$tag" "$id"
      break
    fi
  done
done
