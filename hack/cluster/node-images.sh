#!/usr/bin/env bash
# Builds the images of the control plane and of the pods' network from our own
# static programs, and prints the folder of their archives.
#   node-images.sh ROOT   ROOT: archive of the nodes' Debian (kube-proxy's tools)
source "$(dirname "${BASH_SOURCE[0]}")/cluster.sh"
source "$repository/hack/debian.sh"

build() {
  local debian=$1 tools=$2 envtest=$3 node=$4 out=$5 root=$5/.root version
  mkdir "$root" && tar -C "$root" -xf "$debian" --exclude='./dev/*'
  version=$(awk '$1 == "k8s.io/kubernetes" {print $2}' "$programs/go.mod")
  mk() { "$tools/mkimage" -o "$out/$1.tar" "${@:2}"; }
  # kubeadm knows the names under which it will ask for them
  tag() { "$node/kubeadm" config images list --kubernetes-version "$version" 2>/dev/null | grep "/$1:"; }

  local authorities=etc/ssl/certs/ca-certificates.crt program name
  for program in "$envtest/kube-apiserver" "$node/kube-controller-manager" "$node/kube-scheduler"; do
    name=$(basename "$program")
    mk "$name" -t "$(tag "$name")" -e "/usr/local/bin/$name" "$program:/usr/local/bin/$name" "$root/$authorities:/$authorities"
  done
  mk etcd -t "$(tag etcd)" -e /usr/local/bin/etcd "$envtest/etcd:/usr/local/bin/etcd"
  mk coredns -t "$(tag coredns)" -e /coredns "$node/coredns:/coredns" "$root/$authorities:/$authorities"
  mk pause -t "$(tag pause)" -e /pause "$node/pause:/pause"

  pick "$root" "$out/.nft" /usr/sbin/nft
  mk podnet -t localhost/podnet:v1 -e /podnet "$node/podnet:/podnet" "$out/.nft:/"

  # some of the xtables plugins need libm: without it the first Service with two
  # endpoints breaks every later sync
  # shellcheck disable=SC2046 # library names have no spaces
  pick "$root" "$out/.proxy" /usr/sbin/nft /usr/sbin/xtables-nft-multi \
    $(cd "$root" && find ./usr/lib -path '*/xtables/*' -name 'lib*t_*.so' | sed 's/^\.//')
  for name in iptables iptables-save iptables-restore ip6tables ip6tables-save ip6tables-restore; do
    ln -s xtables-nft-multi "$out/.proxy/usr/sbin/$name"
  done
  mk kube-proxy -t "$(tag kube-proxy)" -e /usr/local/bin/kube-proxy "$node/kube-proxy:/usr/local/bin/kube-proxy" "$out/.proxy:/"
  rm -rf "$root" "$out"/.nft "$out"/.proxy
}

tools=$("$programs/build.sh" tools)
envtest=$("$programs/build.sh" envtest)
node=$("$programs/build.sh" node)
# the folders' names say what is in them
inputs=$({ cat "$0" "$repository/hack/debian.sh" && printf '%s\n' "$1" "$tools" "$envtest" "$node"; } | digest)
cached node-images "build the images of the control plane" "$inputs" build "$1" "$tools" "$envtest" "$node"
