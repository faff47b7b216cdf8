// Package desired says what the objects of a pool look like: ConfigMap, Deployment, Service and PodDisruptionBudget, as
// apply configurations that hold exactly the fields that the operator owns.
//
// Decisions
//   - The Service has the name of the pool, because clients connect to it; the other objects are called NAME-pooler, so
//     that they do not meet a person's own.
//   - The pod template changes only when pods must change. Limits, users, certificates, ports and destinations are not in
//     it: the template does not list the ports of destinations, and the Service targets them by number. A Secret that
//     was not mounted before has to be, which rolls the pods.
//   - Secrets are mounted as optional: a missing one is something that the pod reports in words, instead of a pod
//     that hangs in ContainerCreating.
//   - A new operator does not roll pods: the image stays what it is until the template changes, see Image.
//   - A rollout adds pods before it removes any, but not when that would leave a pod without a connection: then pods are
//     replaced one by one. Otherwise a new pod would wait for a limit that nobody can give up.
//   - terminationGracePeriodSeconds covers the whole order of leaving: 5 s for kube-proxies to notice, the drain, and 10 s
//     to close what is left.
//   - Owner references do not block the deletion of the owner: that would need a right on finalizers, and nothing waits
//     for children.
package desired
