// Command pooler serves the clients of one ConnectionPool. It runs in the pods that the operator makes.
//
// Flags and wiring only: the parts are put together in package process. A first SIGTERM or SIGINT makes it leave in order and
// end with exit code 0, a second one at once. Exit code 1: a port cannot be opened or failed; 2: a flag makes no sense.
package main
