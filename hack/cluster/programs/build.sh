#!/usr/bin/env bash
# Builds the cluster's programs from Go modules and prints the folder they are in.
#   build.sh tools     kind, kubectl, mkimage: all that a machine with Docker needs
#   build.sh envtest   kube-apiserver, etcd, kubectl: KUBEBUILDER_ASSETS
#   build.sh node      what runs on and in the nodes of a cluster
# Only runc needs a C compiler and libseccomp's headers.
source "$(dirname "${BASH_SOURCE[0]}")/../../cache.sh"
source "$repository/hack/check.sh"
cd "$repository/hack/cluster/programs"

kubernetes=$(awk '$1 == "k8s.io/kubernetes" {print $2}' go.mod)
containerd=$(awk '$1 == "github.com/containerd/containerd/v2" {print $2}' go.mod)
runc=$(awk '$1 == "github.com/opencontainers/runc" {print $2}' go.mod)

# Kubernetes asks its programs for their version, and kubeadm refuses "v0.0.0".
flags() {
  local v=k8s.io/component-base/version minor=${kubernetes#v*.}
  printf -- '-s -w -X %s.gitVersion=%s' "$v" "$kubernetes"
  printf -- ' -X %s.gitMajor=1 -X %s.gitMinor=%s' "$v" "$v" "${minor%%.*}"
  printf -- ' -X %s.gitTreeState=clean -X %s.gitCommit=%040d' "$v" "$v" 0
  printf -- ' -X github.com/containerd/containerd/v2/version.Version=%s' "$containerd"
  printf -- ' -X github.com/coredns/coredns/coremain.GitCommit=none\n'
}

# The three may run at the same time: nice leaves the machine usable. Without
# -trimpath, so that they share Go's build cache with everything else.
compile() {
  local out=$1
  shift
  CGO_ENABLED=0 nice -n 5 go build -mod=readonly -buildvcs=false -ldflags "$(flags)" -o "$out/" "$@"
}

build_tools() { compile "$1" sigs.k8s.io/kind k8s.io/kubernetes/cmd/kubectl ./mkimage; }

build_envtest() {
  compile "$2" k8s.io/kubernetes/cmd/kube-apiserver go.etcd.io/etcd/server/v3
  mv "$2/server" "$2/etcd"
  cp "$1/kubectl" "$2/"
}

build_node() {
  compile "$1" k8s.io/kubernetes/cmd/{kube-controller-manager,kube-scheduler,kube-proxy,kubelet,kubeadm} \
    github.com/containerd/containerd/v2/cmd/{containerd,containerd-shim-runc-v2,ctr} \
    ./coredns ./pause ./podnet
  CGO_ENABLED=1 nice -n 5 go build -mod=readonly -buildvcs=false -tags seccomp \
    -ldflags "-s -w -X main.version=${runc#v}" -o "$1/runc" github.com/opencontainers/runc
}

check_go
sources=$({ go env GOVERSION GOOS GOARCH && cat build.sh go.mod go.sum ./*/*.go; } | digest)
case ${1:-} in
tools) cached tools "build kind, kubectl and mkimage" "$sources" build_tools ;;
envtest)
  tools=$("$0" tools)
  cached envtest "build kube-apiserver and etcd" "$sources" build_envtest "$tools"
  ;;
node)
  packages gcc libc6-dev libseccomp-dev pkg-config
  cached node "build the nodes' programs" "$sources" build_node
  ;;
*) die "usage: build.sh tools|envtest|node" ;;
esac
