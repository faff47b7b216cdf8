// Package plan decides what one pass over a pool does. It is pure: what was observed comes in as a value, and what should
// be written, pushed and looked at again goes out as one.
//
//	Observation --Make--> Plan: Document (ConfigMap), Lagging (whom to push to), Deployment, Service, budget, Requeue
//	Observation + Plan + what went wrong --readiness.Status--> the status
//
// Order for who carries a plan out: write the document (by compare-and-swap, when Write is set), and only then push it
// to the pods that lag. A push of what was not written would let two operators give out the same connection.
//
// Decisions
//   - One number orders everything: podapi.Config.Ledger is the ledger's version and rises with each change of the
//     pushed document, whatever the cause. A charge that falls changes the ConfigMap but not what is pushed.
//   - Limits that move by themselves are kept with the ledger (package sizing): they are part of the same compare-and-swap.
//   - A document that cannot be read is like one that was lost: see package budget.
//   - Without EndpointSlices of the pool's own Service nothing is known about pods, and the ledger stands still: pods that
//     cannot be seen are not gone.
//   - What cannot be divided exactly: minIdle and maxIdle sum up exactly, because connections cost the database something;
//     maxOpenPerUser sums up to no more, but for one in each pod, because a user with none could not use the pod;
//     maxWaiting is rounded up, because a pod in which nobody may wait would refuse clients that the pool has room for.
package plan
