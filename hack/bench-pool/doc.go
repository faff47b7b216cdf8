// Bench-pool puts pooler/pool beside its peers under the same loads and prints a table: medians, the ratio to the best
// peer, and whether the targets are met. It is a module of its own so that Weir does not depend on the peers.
//
//   - The peers take turns within each round, so that a noise of seconds falls on all of them; the table is made of medians
//     over the rounds.
//   - Where the cost of the pool itself is measured it is CPU time of the process (getrusage), not time on the clock: on a
//     shared machine only the former is the pool's own. Where waiting is measured it can only be the clock's.
//   - There is no database. A connection is a number, a dial sleeps, a query sleeps; what remains is what the pool does.
//   - Every pool is used the way its documentation shows, with no more configuration than the load needs: the limit of
//     open connections, and as many idle ones.
package main
