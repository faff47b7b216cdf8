# shellcheck shell=bash
# Sourced by the scripts of the cluster: what they agree on.
#   CLUSTER   its name (default weir); clusters of different names live side by side
source "$(dirname "${BASH_SOURCE[0]}")/../cache.sh"

CLUSTER=${CLUSTER:-weir}
cluster=$cache/clusters/$CLUSTER # its kubeconfig, and "env": what to export
programs=$repository/hack/cluster/programs

# The private Docker of machines that have none: one per cache, for all clusters.
private=/run/weir-$(printf '%s' "$cache" | digest)
private_host=unix://$private/docker.sock

# lacks_sys_resource: whether this root may do less than root usually may. It
# shows in lowering a process's oom_score_adj.
lacks_sys_resource() { ! sh -c 'echo -1 >/proc/self/oom_score_adj' 2>/dev/null; }

# write_env TOOLS [DOCKER_HOST]
write_env() {
  mkdir -p "$cluster"
  {
    printf 'export CLUSTER=%q KUBECONFIG=%q\n' "$CLUSTER" "$cluster/kubeconfig"
    printf 'export PATH=%q:"$PATH"\n' "$1"
    [ -z "${2:-}" ] || printf 'export DOCKER_HOST=%q\n' "$2"
  } >"$cluster/env"
}

# use_cluster: reads what up.sh wrote; false if there was no such cluster.
use_cluster() {
  [ -s "$cluster/env" ] || return 1
  # shellcheck source=/dev/null
  source "$cluster/env"
}

# exists: whether kind knows the cluster. grep reads to the end, as it must under
# pipefail: one that leaves early makes the writer fail.
exists() { kind get clusters 2>/dev/null | grep -x "$CLUSTER" >/dev/null; }
