#!/usr/bin/env bash
# Builds container images without Docker or a registry, and prints the archive of
# each: weir, postgres and e2e, or those named, metrics-server among them. What is built and
# unchanged is not built again. hack/cluster/load.sh puts them into a cluster.
source "$(dirname "${BASH_SOURCE[0]}")/cache.sh"

[ $# -gt 0 ] || set -- weir postgres e2e
for name; do
  [ -x "$repository/hack/images/$name.sh" ] && [ "$name" != static ] || die "there is no image $name: weir, postgres, e2e and metrics-server are those that can be built"
  "$repository/hack/images/$name.sh"
done
