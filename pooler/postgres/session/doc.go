// Package session is one client's PostgreSQL session after its login, as a machine without I/O, clock or goroutines.
//
// Bytes go in, in pieces of any size; a Step comes out that says which of them to send on and what to do. An event loop,
// a goroutine, a test or a fuzzer can drive it.
//
//	                        Acquire                    Release, Reset or Discard
//	client ──> FromClient ──────────> Attach ──> ... ──────────────────────────┐
//	                │                                                          │
//	                │ forward, inject, replace                                 │
//	                v                                                          │
//	            [ledger of replies owed] ──── Sent, Delivered ──> quiet, idle ─┘
//	                ^
//	                │ pass, hide, make up
//	server ──> FromServer
//
// # The ledger
//
//   - It holds, in order, one entry for each reply that is owed. A reply is passed on, hidden (the pooler's own Parse, Close or
//     SET), or made up here, and then goes out in its place among the server's: with the next one, or at a Flush. A connection
//     is detached only if the ledger is empty, the server said it is idle, no message is half sent, and the driver has
//     confirmed (Sent, Delivered) that nothing of this session is on its way in either direction.
//   - An error takes every entry up to the next Sync with it, as it does in the server, and with the entry what it stood for:
//     names, statements on the server. What a COPY from the client makes the server ignore (Sync and Flush) is not owed. Where
//     it cannot be told whether the server ignored it, the session keeps the connection and it is closed in the end.
//   - What a message means may depend on replies to an earlier batch: is that name known by now? Then the client has to Wait.
//     Within a batch it need not: if what is expected fails, the rest of the batch is skipped.
//   - The server finds errors, not the pooler: an unknown name is sent as it is, a name that is in use as one that is. So the
//     order of checks, the words and the language are PostgreSQL's. Only names of the pooler's in errors are replaced.
//   - A statement that is refused while a server is attached is replaced by a Describe that is bound to fail, and the
//     server's error by ours. So the server skips to the next Sync and rolls back what it has to.
//   - Messages pass in pieces. Seen whole are only beginnings of bounded size, and Parses with a name.
//
// # Prepared statements in transaction mode
//
// A text is kept once for all sessions of a destination that parsed it with the same types and under the same settings
// (Statements), has one name on all servers, and is parsed on a server connection when a session that has it comes there. A
// connection keeps so many, and closes the one that was not used for longest (slots). The client's Parse of what the server
// has, and its Close, are answered here. What was parsed where settings may have changed meanwhile is the session's own.
//
// When tables or types are changed by way of the pooler (command tags tell), who parses a text from then on does not share
// what was parsed before. When the server says that the result of a statement has changed since it was parsed ("cached plan
// must not change result type"), the client is told, as without a pooler. A client that was told the result of a statement is
// told so, too, where a server connection has parsed it later (shape); others have it parsed anew. A change made past the pooler
// may be told once to a client that has parsed the text after it.
//
// The unnamed statement is kept up to 16 KiB and parsed again when it is used in another transaction. One that is longer
// keeps the connection until it was bound once.
//
// DEALLOCATE ALL and DISCARD ALL are followed, and DEALLOCATE of a name by the extended protocol and in queries of up to 1 KiB.
// What follows in the same batch about named statements waits for the server's word. PREPARE and EXECUTE, there, of a name that
// was given by the protocol have the server parse it under that name first (handover), and pin the session. Otherwise SQL
// sees names as the server has them: pg_prepared_statements shows the pooler's.
//
// # Settings
//
// What the server reports (ParameterStatus) is followed, so a SET that is rolled back needs no understanding. When a session
// is lent a connection with other settings, its own are set before its first message, which waits for that, as it could
// otherwise run under wrong ones; only the application's name does not wait. search_path, which is not reported before
// PostgreSQL 18, is followed if a SET of it stands alone and has names only.
//
// # Pins
//
// Other state that outlives the transaction pins the session to its connection until the client leaves, or says DISCARD ALL.
// It is noticed in the text of statements (text and grammar know strings, comments and dollar quotes; in a DO every word
// counts) and by command tags.
//
// Not noticed: a SET of a setting that PostgreSQL does not report, a session's advisory lock, a temporary table or a LISTEN
// and a DEALLOCATE inside a function on the server; names written with Unicode escapes; currval and lastval, which see only what the
// connection at hand has done, and are right only in the transaction that called nextval.
package session
