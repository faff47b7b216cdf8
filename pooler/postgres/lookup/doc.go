// Package lookup finds the stored password of a user with a query on the server, and remembers what it has found.
//
//	Cache.Find ── fresh ──────────────────────────────> what is known
//	    │ not known, stale, or older than it may be
//	    └── one flight per user ── Query on a server connection ──> remembered
//
// # Decisions
//
//   - A Query is a machine without I/O. The user's name is a parameter, never a part of the text. At most one row is taken; a
//     row whose first column names somebody else is refused, so that a query without a WHERE lets nobody in as another.
//   - Users that do not exist are remembered, too, and asked about in the same way: the first question takes a query and the
//     next does not, whoever it is about. They have a place of their own, so that names made up by an attacker do not
//     push out users.
//   - Clients that come at once for one user share one flight, which no client's leaving ends. Flights at a time are bounded;
//     who comes then waits.
//   - An entry that somebody holds, a client that is connected, is not pushed out: its account logs in to the server later.
//   - An entry that has proved wrong (Doubt) is asked about again, but not more often than once a second.
package lookup
