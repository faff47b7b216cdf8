#!/usr/bin/env bash
# Builds Weir's own image, ghcr.io/weir-dev/weir:dev, and prints its archive: both
# programs, the certificates of the usual authorities, user 65532, no shell. The
# Dockerfile makes the same for those who have Docker.
source "$(dirname "${BASH_SOURCE[0]}")/static.sh"
static_image weir ghcr.io/weir-dev/weir:dev ./cmd/operator ./cmd/pooler
