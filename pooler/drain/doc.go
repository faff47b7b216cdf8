// Package drain is the order of leaving: named steps, one after the other, each with a bound.
//
//	SIGTERM
//	   | announce      not ready; clients still come in, because proxies lag behind the Service
//	   | stop          no new clients
//	   | let go        each client between two of its transactions, spread over time
//	   | close         what is left
//	   v farewell      the operator is told, so that it frees the pod's share at once
//
// Decisions
//   - A step that does not end in its time is told so by its context, and the next one begins: leaving never hangs.
//   - To be hastened (a second SIGTERM) ends the time of all steps at once. They still run, in order.
package drain
