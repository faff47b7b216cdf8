// Package console answers what PgBouncer's administration console answers, so that the tools that read it read Weir, too.
//
//	client -- Query --> Session -- Parse --> Statement --> a table of facts from the Source, or an action of it
//
// # Decisions
//
//   - Names, order and types of columns are those of PgBouncer 1.25, whose version the console claims: readers scan by
//     position and count, and one SHOW that fails makes an exporter report the whole target as down.
//   - Numbers come from a Source when they are asked for. Only averages have a memory: of the two last periods of a minute.
//   - What PgBouncer has and Weir has not (buffers of sockets, a DNS cache, peers, load balancing between hosts) is shown with its
//     columns and no rows, zero or null. Nothing is made up.
//   - Settings are not changed here: they come from the ConnectionPool or the file, and would be gone with the pod. SET of
//     what a driver sets when it connects is accepted and ignored, as PgBouncer does; so are BEGIN, COMMIT and ROLLBACK, which
//     it refuses: some drivers send them before each statement.
//   - Simple queries only. An extended one is refused and the session goes on; PgBouncer disconnects.
//   - Who may only read (Stats) may SHOW what shows no more than numbers, names and addresses: everything that is here.
//   - PAUSE and its like wait in the goroutine of their client. A cancel request takes back the PAUSE that it ends.
//   - Commands never give a pod more than it was granted: they hold back, close and refuse only.
package console
