#!/usr/bin/env bash
# Builds the image of metrics-server from its Go module, localhost/weir-metrics-server:dev,
# and prints its archive: the end-to-end test of a HorizontalPodAutoscaler needs one.
source "$(dirname "${BASH_SOURCE[0]}")/static.sh"
module=$repository/hack/images/metrics-server
static_image metrics-server localhost/weir-metrics-server:dev sigs.k8s.io/metrics-server/cmd/metrics-server
