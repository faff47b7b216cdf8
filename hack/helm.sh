#!/usr/bin/env bash
# Builds helm from its Go module and prints the folder it is in.
source "$(dirname "${BASH_SOURCE[0]}")/cache.sh"
source "$repository/hack/check.sh"
instead='install helm yourself'
cd "$repository/hack/helm"

build() { CGO_ENABLED=0 nice -n 5 go build -mod=readonly -buildvcs=false -ldflags '-s -w' -o "$1/" helm.sh/helm/v4/cmd/helm; }

check_go
cached helm "build helm" "$({ go env GOVERSION GOOS GOARCH && cat ../helm.sh go.mod go.sum; } | digest)" build
