#!/usr/bin/env bash
# Rewrites go.mod and go.sum of this module. Run it only to change a version:
#   KUBERNETES=1.36.3 hack/cluster/programs/versions.sh
# The replaces for Kubernetes' staging modules follow from its own go.mod.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"

kubernetes=${KUBERNETES:-1.36.3}
staging=${kubernetes/#1./0.}

rm -f go.mod go.sum
go mod init github.com/weir-dev/weir/hack/cluster/programs
go mod edit -go=1.26.0
gomod=$(go mod download -json "k8s.io/kubernetes@v$kubernetes" | sed -n 's/^\t"GoMod": "\(.*\)",*$/\1/p')
for module in $(awk '/=> .\/staging/ {print $1}' "$gomod"); do
  go mod edit -replace "$module=$module@v$staging"
done
go get "k8s.io/kubernetes@v$kubernetes" \
  go.etcd.io/etcd/server/v3@v3.6.8 \
  github.com/coredns/coredns@v1.14.2 \
  github.com/containerd/containerd/v2@v2.3.4 \
  github.com/opencontainers/runc@v1.5.2 \
  sigs.k8s.io/kind@v0.33.0 \
  github.com/google/go-containerregistry@v0.22.1
go mod tidy
