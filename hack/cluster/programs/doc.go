// Package programs names every program of the test cluster, so that one module
// with one go.sum pins and builds them all: Kubernetes, etcd, CoreDNS,
// containerd, runc, kind, and four small programs of our own beside it.
//
//	mkimage   writes container images without a container engine or registry
//	podnet    the nodes' network: CNI configuration, routes, NetworkPolicy
//	coredns   CoreDNS with only the plugins that a cluster's Corefile uses
//	pause     the process that holds a pod's namespaces
//
// Decisions
//
//   - One module, because one dependency set is compiled once: nine tenths of the
//     cold build is shared by the Kubernetes programs.
//   - containerd stays at 2.3: 2.4 does not fit kubelet 1.36.
//   - The k8s.io/kubernetes module works as a dependency only with a replace for
//     each of its staging modules; versions.sh writes them. Run it to change a
//     version, and commit go.mod and go.sum.
//   - Nothing here is linked into Weir.
package programs
