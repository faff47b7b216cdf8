// Package pgbouncer reads PgBouncer's configuration and says what it is for Weir.
//
//	pgbouncer.ini, %include, userlist.txt -- Load --> Config -- Translate --> a standalone file, or a ConnectionPool
//	                                                                      '-> notes: what has no match, and why
//
// # Decisions
//
//   - The parser is exact about the dialect: comments begin lines only, values go to the end of the line, names of databases
//     may be quoted as in SQL, connect strings as in libpq.
//   - What PgBouncer counts for each pair of user and database, Weir counts for a whole server: the translation adds up, and
//     says so. It never allows more connections than PgBouncer would have opened for one user.
//   - A setting that does not change what clients see (sockets, buffers, logs) is left out without a word if it has PgBouncer's
//     own default, and with a note otherwise. Nothing is left out silently.
//   - Passwords are not printed: what is written refers to the userlist, or to a Secret to be made of it.
package pgbouncer
