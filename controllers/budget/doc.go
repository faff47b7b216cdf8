// Package budget keeps promise 1: a database never sees more connections than its destination's maxOpen, whatever
// happens to pods and operators. It is the thinking only: no clock, no client. It decides what the next ledger is.
//
// Each destination has a budget B. Each pod has, per destination, a limit (what it was told) and a charge (the most
// connections that it may have, as far as anybody can prove). In every interleaving
//
//	sum(open) <= sum(limit in force) <= sum(charge) <= B
//
// The ledger is written, by compare-and-swap, before anything in it is pushed:
//
//	raise   charge and limit rise in the ledger --> push
//	lower   limit falls in the ledger --> push --> the pod's state, at that version or a later one, proves that it
//	        has no more than its bound = max(limit, open) --> the charge falls
//
//	new pod        --(answers)--> limit 0, charge 0 --(others have let go)--> raised
//	leaving        never raised; its limits only fall, so its charge falls with its bound
//	gone           its charge is held until servers have noticed dead peers, then freed; nothing to hold, nothing to wait for
//	silent         keeps limit and charge: it may still use them
//
// Decisions
//   - A charge falls only by proof and never by decision. A proof is a state at a ledger version not older than
//     the one that last set the limit (Entry.Since): an older state says nothing about a raise that is on its way.
//     Such a state stays a proof however late it arrives, because without a newer push a pod's bound only falls.
//   - A pod that drains without being deleted, as after a failed liveness probe, comes back with the limits that it kept.
//     So only what a pod says after it was told that it is leaving (a version of the ledger) lowers its limit.
//   - A ledger older than what a pod runs, or a missing one, was lost or restored from a copy. It proves nothing:
//     each pod is charged with everything, more than any budget, and has no limit, until it has answered to the next
//     ledger. Clients wait for the second or two that this takes.
//   - A ledger begins at the time in milliseconds, and its version rises by one with each change. So all versions of it are above
//     all of those that were lost before: what a pod said to one of those proves nothing, and what of those is still on
//     its way to a pod is refused by who has heard of the next. The clocks of two operators may differ; only a ledger that is
//     lost within that difference after it began is not above the next.
//   - A ledger that began while the pods could not be seen is as good as none. So is one that somebody deleted and an operator
//     recalls: another may have changed it since, and its pushes may still be on their way. What it says of pods that are gone is
//     kept.
//   - A pod is keyed by its UID, never by name or address. It gets a limit only after it answered once, so that pods
//     that cannot start hold nothing.
//   - Pods without an account are not pushed to. So one without an account that has accepted something came back from the
//     dead, and is charged with everything until it has proved less.
//   - When B itself is lowered, charges may be above it: then they only fall.
//   - Pods that have gone are held for a time that covers dead peer detection at the server and the difference
//     between the clocks of two operators.
//   - Shares follow demand: what clients want now comes first, then what they wanted lately, then everybody gets the same on
//     top. Who is short gets more as soon as it says so; but nothing moves while nobody is short and nobody has less than
//     half of what is fair, or shares would be written as often as demand changes.
//   - Who gets the odd connection that cannot be divided: the pod that has it already.
//
// # Known limits
//
//   - What pods have that vanished just before the ledger was lost, nobody knows any more. The servers notice within a minute.
//   - Who puts an old copy of the ledger in the place of a newer one is found out when a pod shows that it runs something newer. A
//     pod that cannot be reached meanwhile is charged with what the copy says.
//   - Who deletes the object of a pod on a node that cannot be reached by force frees a charge whose process may still run.
package budget
