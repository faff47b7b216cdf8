#!/usr/bin/env bash
# Builds kind's node image without a registry, into the Docker of DOCKER_HOST, and
# prints its name. It is made of Debian's packages, kind's own files (they are in
# its Go module), our programs, and the images of the control plane, which lie
# ready in the node's containerd.
source "$(dirname "${BASH_SOURCE[0]}")/cluster.sh"
source "$repository/hack/debian.sh"

here=$repository/hack/cluster
# systemd 252 (Debian 12) runs on cgroup v1 as well as v2; later ones do not.
debian_packages=(systemd systemd-sysv dbus conntrack iptables nftables iproute2 ethtool util-linux mount kmod libseccomp2 jq
  procps ca-certificates curl hostname netbase containernetworking-plugins)

build_debian() { debian minbase "$1/root.tar" "${debian_packages[@]}"; }

# kind_files ROOT: what kind's images/base/Dockerfile copies and switches off.
kind_files() {
  local root=$1 files file
  files=$(cd "$programs" && go mod download sigs.k8s.io/kind && go list -m -f '{{.Dir}}' sigs.k8s.io/kind)/images/base/files
  install -d "$root"/kind/{bin,manifests} "$root/etc/kubernetes/manifests" "$root/LICENSES"
  install -m 0755 "$files"/usr/local/bin/* "$root/usr/local/bin/"
  install -m 0755 "$files"/kind/bin/* "$root/kind/bin/"
  (cd "$files" && find etc -type f ! -name 'containerd-fuse-overlayfs.service') | while read -r file; do
    install -D -m 0644 "$files/$file" "$root/$file"
  done
  rm -f "$root"/lib/systemd/system/sysinit.target.wants/systemd-tmpfiles-setup.service \
    "$root"/lib/systemd/system/{multi-user,local-fs,basic}.target.wants/* \
    "$root"/lib/systemd/system/sockets.target.wants/*{udev,initctl}* \
    "$root"/etc/systemd/system/*.wants/*
  echo ReadKMsg=no >>"$root/etc/systemd/journald.conf"
  ln -sfn /usr/lib/systemd/systemd "$root/sbin/init"
  systemctl --root="$root" enable kubelet.service containerd.service undo-mount-hacks.service 2>/dev/null
  systemctl --root="$root" mask systemd-binfmt.service 2>/dev/null
}

# our_files ROOT NODE TOOLS IMAGES
our_files() {
  local root=$1 node=$2 tools=$3 images=$4 config=$1/etc/containerd/config.toml pause
  install -m 0755 "$node"/{kubelet,kubeadm} "$tools/kubectl" "$root/usr/bin/"
  install -m 0755 "$node"/{containerd,containerd-shim-runc-v2,ctr} "$root/usr/local/bin/"
  install -D -m 0755 "$node/runc" "$root/usr/local/sbin/runc"
  install -d "$root/opt/cni" && ln -sfn /usr/lib/cni "$root/opt/cni/bin"
  awk '$1 == "k8s.io/kubernetes" {print $2}' "$programs/go.mod" >"$root/kind/version"
  cp "$here/podnet.yaml" "$root/kind/manifests/default-cni.yaml"
  "$node/ctr" oci spec |
    jq '.hooks.createContainer += [{path: "/kind/bin/mount-product-files.sh"}] | del(.process.rlimits)' >"$root/etc/containerd/cri-base.json"
  pause=$(tar -xOf "$images/pause.tar" manifest.json | jq -r '.[0].RepoTags[0]')
  sed -i "s#^\( *sandbox_image = \).*#\1\"$pause\"#" "$config"
  # without CAP_SYS_RESOURCE runc fails every pod with "can't get final child's PID from pipe"
  ! lacks_sys_resource || sed -i 's/restrict_oom_score_adj = false/restrict_oom_score_adj = true/' "$config"
}

# preload ROOT NODE IMAGES: a containerd for a moment, whose store is the node's.
preload() {
  local root=$1 node=$2 images=$3 run=$1.containerd image pid
  mkdir -p "$run"
  cat >"$run/config.toml" <<TOML
version = 3
root = '$root/var/lib/containerd'
state = '$run/state'
disabled_plugins = ['io.containerd.grpc.v1.cri', 'io.containerd.cri.v1.images', 'io.containerd.cri.v1.runtime',
  'io.containerd.snapshotter.v1.btrfs', 'io.containerd.snapshotter.v1.zfs', 'io.containerd.snapshotter.v1.devmapper',
  'io.containerd.snapshotter.v1.erofs', 'io.containerd.snapshotter.v1.blockfile', 'io.containerd.nri.v1.nri']
[grpc]
  address = '$run/c.sock'
[ttrpc]
  address = '$run/t.sock'
TOML
  "$node/containerd" --config "$run/config.toml" >"$run/log" 2>&1 &
  pid=$!
  # shellcheck disable=SC2064 # this pid
  trap "kill $pid 2>/dev/null" EXIT
  ctr() { "$node/ctr" -a "$run/c.sock" -n k8s.io "$@"; }
  for _ in $(seq 100); do
    if ctr version >/dev/null 2>&1; then break; fi
    sleep 0.2
  done
  for image in "$images"/*.tar; do
    quietly ctr images import --local --label=io.cri-containerd.pinned=pinned --no-unpack "$image" ||
      die "containerd did not take $image: $(tail -n 1 "$run/log")"
  done
  kill "$pid" && wait "$pid" 2>/dev/null || true
  trap - EXIT
  rm -rf "$root"/var/lib/containerd/{tmpmounts,io.containerd.snapshotter*} "$run"
}

build() {
  local image=$1 debian=$2 node=$3 tools=$4 images=$5 root=$cache/node-root
  rm -rf "$root" "$root.containerd"
  mkdir "$root" && tar -C "$root" -xf "$debian/root.tar" --exclude='./dev/*'
  kind_files "$root"
  our_files "$root" "$node" "$tools" "$images"
  preload "$root" "$node" "$images"
  tar -C "$root" --numeric-owner -c . | docker import --change 'ENV container=docker' \
    --change 'ENTRYPOINT ["/usr/local/bin/entrypoint","/sbin/init"]' - "$image-raw" >/dev/null
  printf 'FROM %s\nSTOPSIGNAL SIGRTMIN+3\n' "$image-raw" | quietly docker build -q -t "$image" -
  docker image rm "$image-raw" >/dev/null
  rm -rf "$root"
  docker image ls --format '{{.Repository}}:{{.Tag}}' localhost/weir-node | sed 1,2d | # as in cache.sh: the two latest stay
    while read -r image; do docker image rm "$image" >/dev/null 2>&1 || true; done
}

exec {lock}>"$cache/node.image.lock"
locked "$lock"
debian=$(cached node-debian "install Debian's packages for the nodes" "$({ debian_release && echo "${debian_packages[@]}" && cat "$repository/hack/debian.sh"; } | digest)" build_debian)
images=$("$here/node-images.sh" "$debian/root.tar")
tools=$("$programs/build.sh" tools)
node=$("$programs/build.sh" node)
image=localhost/weir-node:$({ cat "$0" "$here/podnet.yaml" && printf '%s\n' "$images" "$node" "$tools" && if lacks_sys_resource; then echo restricted; fi; } | digest)
docker image inspect "$image" >/dev/null 2>&1 || step "build the node image" build "$image" "$debian" "$node" "$tools" "$images" >&2
printf '%s\n' "$image"
