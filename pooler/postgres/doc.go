// Package postgres serves the clients of one PostgreSQL destination through a bounded number of server connections.
//
//	                                      a lane
//	client ──> stream ──> session.FromClient ──> stream ──> server
//	client <── stream <── session.FromServer <── stream <── server
//	                         │ Acquire, Release, Reset, Discard
//	                         v
//	                      pool.Set, one pool for each key {database, user, startup parameters}
//
//	accept ──> login on the lane ───────────────────> session on the lane
//	                 └──> login in a goroutine ──────────┘
//	                               └──> console
//
// Thinking is done by machines without I/O: login.Client, login.Server and session.Session. What is here carries bytes.
//
// # Decisions
//
//   - A client, and a server connection that is logged in, belong to a lane: an event loop (package loop), on which all that
//     happens to them happens, one thing after the other. So sessions need no lock.
//   - What may take long or block has a goroutine: dials, cancel requests, the console, and steps of a login that wait for
//     somebody else than the client.
//   - A login begins on its client's lane if the listener is one of package listen, which is on a lane, too: to be accepted, read
//     and answered there costs no change of thread. It leaves the lane for a goroutine when the next step may take long, and the
//     client comes back when it is in. Such steps are TLS, a user to be looked up, a password whose keys are not derived yet, a
//     server to be asked for the welcome, the console, a walsender, a cancel request, and a refusal, which waits for the client
//     to read it. Connections of other listeners begin in a goroutine. What is decided is decided by the same code.
//   - Logins on a lane have no timer each: the rounds that enforce timeouts look at them, so that one lasts an eighth longer at
//     most. A client that connects and says nothing has another second, see package listen.
//   - A client stays on its lane. A server connection that is lent to a client of another lane moves there; pools prefer one
//     that was last used on the client's. How many lanes: half as many as processors, one at least.
//   - Each server connection is read for its whole life. So one that dies or speaks up while idle is known to be broken
//     before it is lent, and its place is freed.
//   - What is free goes to who has waited longest within the same turn of the loop. One timer of a lane watches the patience
//     of all who wait there.
//   - TLS works over memory: crypto/tls is given what has come, and takes an error that is temporary for no more than that.
//   - Back-pressure: a server connection is not read while its client does not take what it was sent, nor a client while its
//     server does not. What one side has no room for is at most what was read at once from the other.
//     But PostgreSQL ends a connection whose other side has taken nothing for 20 s (tcp_user_timeout in guards), as it cannot
//     tell a slow client from a pooler that vanished: so for a client that does not read portions are taken and kept,
//     for 12 minutes.
//   - A place is free when the server has ended the connection or the failed login, not when it was told to.
//   - A server connection is free when its last answer was handed to the client's socket or, if that is full, kept for it: a
//     slow client does not hold what it has no use for.
//   - An idle client holds a socket and its session: no goroutine and no buffer. Buffers are the lane's. What a rush of logins
//     has left in the heap is given back to the system.
//   - Two clients share a server connection if database, user and startup parameters are the same on the server, those aside
//     that PostgreSQL reports when they change (see split): those are set when the connection is lent, and connections that
//     have them are preferred. What the server makes of such a parameter is found out at the first login that asks for it,
//     and remembered. The rest of what a client is told at its login is what the last login of its key was told.
//   - A connection that was pinned, or lent in session mode, is cleaned with DISCARD ALL, and ROLLBACK before it if a
//     transaction is open; it counts as lent meanwhile.
//   - A cancel request reaches the statement it was meant for or none: the connection is not lent again before the server has
//     closed the connection that the request came on, and is closed if that cannot be known. The client's request is closed
//     when it has been served, as in PostgreSQL.
//   - Cancel keys are of this process, 4 bytes in protocol 3.0 and 32 in 3.2, and begin with 2 bytes that say which pod it is
//     (a digest of its UID). What is left to guess, with the process ID, is 47 bits or more. A pod that gets a request for another
//     passes it on, marked so that it goes no further, at a bounded rate.
//   - A client that says goodbye has what it asked for finished, as PostgreSQL does; one that vanishes has it cancelled,
//     again and again until the server has nothing left to do for it. Then the connection is kept; it is closed if that takes 10 s,
//     and at once in the middle of a message or of a COPY from the client.
//   - A walsender is its client's own, from login to end.
//   - Endpoints are tried in order, those that have failed last. A preferred one that answers again is tried with the place of
//     a connection that is given up, so that the limit holds; then the others are retired. A server's role is looked at when
//     logging in (in_hot_standby, default_transaction_read_only; older servers are asked), when it reports another, and
//     when it refuses to write, which makes one login with the connection's place and not more: clients may ask for read-only
//     transactions.
//   - A machine that vanishes before it has acknowledged what it was sent is noticed within 25 s: no sign of life for 20 s although
//     it was asked. TCP_USER_TIMEOUT would be simpler, and would end connections to servers that do not read for a while.
//     The place is free when the server must have noticed, too.
//   - Timeouts are enforced in rounds that look at whose turn it is in each session and whether that has changed: nothing
//     is measured per message. A statement whose time is up is cancelled on the server, and its client told why; if the
//     server does not end it within 10 s, the client is let go.
//   - On hold (StopPolicy) nobody loses patience: the time does not count, for an hour at most, and when it is over each
//     client has its whole patience again. A session that is pinned keeps its connection until it is done with it.
//   - Who may come in, and what then logs in to the server, are two questions. A user of whom only the server's own verifier
//     is known logs in with what its client has proved, which is kept in memory with the verifier and forgotten with it.
//     Several passwords are tried in turn, the last that the server took first.
//   - Users that are not in the Config can be looked up on the server, see package lookup. Lookups have connections of their
//     own, within the limit, which no client shares and which who asks reads itself. What a client is told does not say why a
//     lookup failed: it has not proved anything yet.
//   - What passes is counted by database and user. Times are those of one transaction in 16, which counts for 16: a clock read
//     for each would cost more than the counting. Waits and dials, which are slow anyway, are all measured.
//   - The console is a login to a database of a name that is reserved when users are named for it. Its clients keep their
//     goroutine, and hold no server connection. What they hold back outlives an Apply, and never lets more be opened.
//   - A panic in a machine of a session or a login ends that one and its connections; the machine holds no lock, and is not asked
//     again. What it has prepared in the batch at hand may stay kept for nobody. A panic anywhere else, at the console too, ends
//     the process, and the pod is started again: locks and leases that it leaves behind could have clients wait for ever.
//   - Prefer falls back to plain text if the server has no TLS, but not if a handshake fails.
//
// # What clients are told that are not served
//
//	53300  sorry, too many clients already; too many wait; or no server connection came free in time
//	08001  no server connection could be opened in time, or the pooler's own login was refused
//	08006  the server closed the connection (its own last words, 57P01 for example, go first)
//	57014  cancelled while waiting, or because the statement took too long
//	57P05, 25P03, 25P04  the client, its transaction, or both took too long
//	57P01  the pooler shuts down, between two transactions
//	XX000  an error in the pooler itself, which its log tells of
//	57P03  the pooler shuts down, at the login
//	28000  there is nothing to log in to the server with as this user, and no server user
//	3D000, 22023, 42704, ...  what the server says for good about the database or the settings that the client named
//
// At the login these are FATAL. For a statement of a running session that waited in vain the severity is ERROR and the
// session goes on. What time can heal (57P03, 53300 of the server) never reaches a client that could wait.
package postgres
