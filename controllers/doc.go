// Package controllers is the operator: it makes a ConnectionPool true.
//
//	observe   the pool's children and EndpointSlices from the cache; the last document; each pod's state, asked now
//	plan      pure, package plan: what the ConfigMap should hold, who lags, what the other children look like
//	apply     Service and ConfigMap; the ConfigMap only over the version that the plan was made of
//	push      the ConfigMap's bytes to the pods that lag
//	workload  Deployment and PodDisruptionBudget
//	status    pure, package readiness: computed as a value, compared, written once
//
// Decisions
//   - One pass does each phase at most once. What a pass changes makes the next one: writes of children come back as
//     events, and while something moves that only pods can tell, a pass follows each second.
//   - Children are written by server-side apply with one field owner, and only when they are not what was applied last. A
//     child that the pool does not control is left alone, see Clash.
//   - The document in the ConfigMap is what promise 1 rests on. It is written by compare-and-swap and then pushed, never
//     the other way round, so that a second operator can act on nothing that the first does not know of. An operator
//     that acts on an old copy can do no harm: its write fails, and pods refuse what is older than what they run.
//   - What was written last is kept in memory, for a cache that lags behind it. When somebody deletes the ConfigMap it tells what
//     gone pods still hold; pods that are there prove anew what they have, as another operator may have written later.
//   - Pods are counted as gone only when the EndpointSlices of the pool's own Service were seen, see podsOf.
//   - No finalizer: everything belongs to the pool by owner reference and is garbage-collected with it. Pods then leave
//     by themselves, between two transactions of each client.
//   - Every child carries a hash of what was last applied to it. While it is the same, and all of that is still in the child, nothing
//     is written: not by an operator that takes over, and not because somebody else has written to the child.
//   - Writes to the API server keep a pace (Pace). A crowd of pools that come, and statuses in which only numbers changed, wait for
//     changes of other pools: in the queue (lanes) and before each write.
//   - An error of the API server is retried with growing pauses; what no retry mends is a condition (Stalled) instead.
//   - Events tell of changes: one is sent when a condition becomes notable, never again for the same.
package controllers
