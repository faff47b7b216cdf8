#!/usr/bin/env bash
# Builds the image of the load client of the end-to-end tests,
# localhost/weir-e2e:dev, and prints its archive.
source "$(dirname "${BASH_SOURCE[0]}")/static.sh"
static_image e2e localhost/weir-e2e:dev ./hack/e2e/load
