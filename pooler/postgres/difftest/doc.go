// Package difftest proves that a client cannot tell Weir from PostgreSQL: it says the same bytes to both and compares what
// comes back, message by message.
//
//	testdata/*.txt ──> Script ──┬──> PostgreSQL ─────────────> Transcript ──┐
//	                            │                                           ├──> differences, none but the written ones
//	                            └──> Weir ──> PostgreSQL ────> Transcript ──┘
//
// A script is one case: what clients say, in which order, and the types of the messages that PostgreSQL answers with:
//
//	# What the case is about, in a sentence.
//	case    19                           its numbers in testdata/README.md
//	setup   CREATE TABLE numbers (n int)
//	a       Parse "" "SELECT 1"          what client a says; it is sent when a reply is waited for
//	a       Sync
//	a <     1 Z:I                        what it waits for
//	admin   ALTER TABLE numbers ...      past both
//	until   SELECT count(*) = 1 FROM ... waits until this is true
//	! ...                                an allowed difference, see below
//
// # Decisions
//
//   - PostgreSQL is asked each time: there is no copy of its answers that could be wrong or old. The short lists behind "<" say
//     how far to read and are what a reader needs to follow the case; they are checked, too, and written by -update.
//   - Everything is compared: types, order and payloads, the messages of the login, and what is left over when the client says
//     goodbye. Masked are keys, process numbers, salts and proofs, object identifiers of what users create, and the file, line
//     and routine of errors, which change with each version of PostgreSQL.
//   - A script runs in session and transaction mode, with one server connection and with two, unless it says why not. With
//     "split" it runs once more with every byte in a segment of its own, in all four directions.
//   - A client that comes afterwards must find nothing: no setting, cursor, lock, table, statement or subscription of those
//     before it, and a server connection that is free.
//   - A difference that is meant is written in the script: "! transaction REASON" and the lines that differ, as a diff. It must
//     be exactly what differs; one that has gone must be removed.
//   - The lists and the differences are those of PostgreSQL 15. With another version (see pgtest) only what is compared counts,
//     and fewer differences will do.
package difftest
