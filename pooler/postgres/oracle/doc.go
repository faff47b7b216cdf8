// Package oracle looks for the worst thing that a pooler can do: to give one client what is another's.
//
// Random clients say random things through Weir while server connections are killed, limits change and clients leave in the
// middle of everything. Whatever a client asks for holds a mark of its own, and it knows what each reply must look like:
//
//   - no message to a client holds the mark of another, nor of an earlier life of the same client;
//   - replies come in the order, number and transaction status that PostgreSQL's protocol demands;
//   - a statement is cancelled only if its client has asked for that;
//   - a session ends without its client's doing only if a server process was killed, and for each of these one at most;
//   - what a client was told is committed is there, once; what it was not is not;
//   - the server never has more connections than allowed, and in the end nothing is lent.
//
// Each client's doings come from a seed that is printed (-oracle.seed plays them again; what they run into in time does not
// come from it). `go test` takes a minute, `make soak-sessions` as long as one likes.
package oracle
