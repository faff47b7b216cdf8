// Package readiness says how a pool is: conditions, numbers, and what a person should do. It is pure: the status is
// computed as a value from what was observed, and ShouldWrite says whether it is worth a write.
//
//	stalled, available, reachable, synced --first that objects--> Ready
//
// Decisions
//   - A question is answered by a list of policies in order; the first that objects gives reason and message. So the most
//     useful thing to say is said, and adding a reason is adding a function.
//   - Reconciling and Stalled are there only while they are True, as kstatus reads them; a stalled pool is not also
//     reconciling.
//   - A destination that one pod cannot reach is not Reachable: that pod's clients suffer.
//   - Held is there while some destination has a stopPolicy, and True only when the pods proved that nothing runs any more. A
//     pool on hold is not Ready: clients wait, although somebody wants it so. It is not Reconciling or Stalled either.
//   - Saturated looks at the window, not at the moment, so that it does not flap.
//   - Messages hold no number that moves by itself: a status that says the same is not written again. The numbers of the
//     status are written when they change, every ten seconds at most.
//   - Only states younger than three polls count. Percentiles come from merged histograms and are never averaged.
package readiness
