// Package kubestate checks the configuration of kube-state-metrics in config/samples/monitoring with kube-state-metrics itself.
//
// It is a module of its own because kube-state-metrics is built on another release of Kubernetes' libraries than the product.
package kubestate
