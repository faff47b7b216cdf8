// Package sizing moves the limit of a destination to what its clients use (limits.autoscale). It is pure: a State, what is
// allowed and what was observed come in, the next State comes out. It never touches the spec.
//
//	desired = the most connections in use lately / target utilization
//
//	         clients wait, all in use       desired > limit              desired < limit
//	limit --> up at once, doubling     --> up to desired at once    --> down, to the most that was desired in a
//	                                                                     whole stabilization time
//
// Decisions
//   - It begins at the top: clients of a pool that just learned to size itself must not wait for that.
//   - Up is quick, because clients wait; down is slow, and goes to the most that was desired over the whole time. So a
//     demand that comes and goes within the stabilization time never moves the limit twice.
//   - Between two steps up there is a second: what was given must be open before more is.
//   - Clients that wait although connections are left (the database is away, say) are no reason to raise, and while any wait
//     nothing is lowered. On hold, and while some pod does not report, nothing is lowered either.
//   - A difference of less than a tenth is none.
//   - The State is kept with the ledger, so that an operator that starts goes on where the last one was. It changes when the
//     limit does, and a few times while a lower one is in sight; not with each observation.
package sizing
