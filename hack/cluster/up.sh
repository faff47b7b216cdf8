#!/usr/bin/env bash
# Brings up a kind cluster: control plane and two workers. CLUSTER names it
# (default weir). With a Docker that can pull kind's node image it is plain kind;
# otherwise a private Docker and a node image built here do (root, Debian). Run
# again, it finds what is there. Then: eval "$(hack/cluster/env.sh)"
source "$(dirname "${BASH_SOURCE[0]}")/cluster.sh"
source "$repository/hack/check.sh"

# kind_image: the node image that this version of kind was published with.
kind_image() {
  (cd "$programs" && go mod download sigs.k8s.io/kind && go list -m -f '{{.Dir}}' sigs.k8s.io/kind) |
    xargs -I{} sed -n 's/^const Image = "\(.*\)"/\1/p' {}/pkg/apis/config/defaults/image.go
}

answers() {
  local image
  image=$(kind_image)
  bounded 10 docker info && { docker image inspect "$image" || bounded 30 docker manifest inspect "$image"; }
}

# own_docker: everything that a machine without images needs, before kind can start.
own_docker() {
  check_root "build a cluster here"
  [ -n "$(ls -d "$cache"/node-???????????????? 2>/dev/null)" ] || check_disk 12 "a first build of the cluster"
  # a Docker from elsewhere will do, and Debian's would push it out
  command -v dockerd >/dev/null || packages docker.io containerd runc
  packages iptables mmdebstrap jq gcc libc6-dev libseccomp-dev pkg-config
  "$repository/hack/cluster/dockerd.sh" start
  export DOCKER_HOST=$private_host
  image=$("$repository/hack/cluster/node.sh")
}

# whole: the cluster's nodes run and its API server answers.
whole() {
  [ -s "$KUBECONFIG" ] || return 1
  kind get nodes --name "$CLUSTER" 2>/dev/null | xargs docker start >/dev/null || return 1
  for _ in $(seq 60); do
    if kubectl get --raw /readyz --request-timeout=2s >/dev/null 2>&1; then return 0; fi
    sleep 1
  done
  return 1
}

create() {
  quietly kind create cluster --name "$CLUSTER" --config "$repository/hack/cluster/kind.yaml" --wait 180s ${image:+--image "$image"} ||
    die "kind could not create the cluster $CLUSTER, see the lines above; if images can be pulled no more, WEIR_OFFLINE=1 builds them here"
}

ready() {
  kubectl wait --for=condition=Ready node --all --timeout=120s >/dev/null
  kubectl -n kube-system rollout status deployment/coredns --timeout=120s >/dev/null
}

check_go
image=
start=$SECONDS
if ! published node answers; then own_docker; fi
tools=$("$programs/build.sh" tools)
write_env "$tools" "${DOCKER_HOST:-}"
use_cluster

if exists && ! whole; then
  step "remove what is left of a cluster $CLUSTER that does not answer" kind delete cluster --name "$CLUSTER" -q
fi
if exists; then
  have=$(docker inspect -f '{{.Config.Image}}' "$CLUSTER-control-plane")
  [ -z "$image" ] || [ "$have" = "$image" ] || say "   the cluster $CLUSTER runs on an older node image: hack/cluster/down.sh and up.sh renew it"
else
  step "create the cluster $CLUSTER" create
fi
step "wait for nodes and DNS" ready
say "   the cluster $CLUSTER is up after $((SECONDS - start)) s; to use it: eval \"\$(CLUSTER=$CLUSTER hack/cluster/env.sh)\""
