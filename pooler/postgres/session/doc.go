// Package session is one client's PostgreSQL session after its login, as a machine without I/O, clock or goroutines.
//
// Bytes go in, in pieces of any size; a Step comes out that says which of them to send on and what to do. An event loop,
// a goroutine, a test or a fuzzer can drive it.
//
//	                        Acquire                    Release, Reset or Discard
//	client ──> FromClient ──────────> Attach ──> ... ──────────────────────────┐
//	                │                                                          │
//	                │ forward, inject                                          │
//	                v                                                          │
//	            [ledger of replies owed] ──── Sent, Delivered ──> quiet, idle ─┘
//	                ^
//	                │ forward, swallow, make up
//	server ──> FromServer
//
// Decisions
//
//   - The ledger holds, in order, one entry for each reply that the server owes; an entry says whether the reply is passed
//     on or replaced. A connection is detached only if the ledger is empty, the server said it is idle, no message is half
//     sent, and the driver has confirmed (Sent, Delivered) that nothing of this session is on its way in either direction.
//   - An error takes every entry up to the next Sync with it, as it does in the server. What a COPY from the client makes
//     the server ignore (Sync and Flush) is not owed. Where it cannot be told whether the server ignored it, the session
//     keeps the connection and it is closed in the end.
//   - A statement that is refused while a server is attached is replaced by a Describe that is bound to fail, and the
//     server's error by ours. So the server skips to the next Sync and rolls back what it has to, as if the error had
//     been its own.
//   - Without a server attached, Sync is answered here, and Flush and late COPY data are dropped.
//   - Messages pass in pieces. Seen whole are only beginnings of bounded size: names, command tags, severities.
//
// # Transaction mode
//
// Statements with names are refused (0A000), and so is the unnamed statement if it was parsed in an earlier transaction
// (26000): another client's could be there. The session survives.
//
// State that outlives the transaction pins the session to its connection until the client leaves. It is noticed by words in
// the text of Query and Parse (whether or not they are in a string or comment: a false alarm only costs pooling), by the
// command tags SET, DO and CALL if the text had SET without LOCAL, and by settings that the server reports with another
// value at the end of a transaction than when the connection was lent.
//
// Not noticed: a SET of a setting that PostgreSQL does not report, a session's advisory lock, a temporary table or a LISTEN
// inside a function on the server; names written with Unicode escapes; currval and lastval, which see only what the
// connection at hand has done, and are right only in the transaction that called nextval.
package session
