// Package listen makes listeners: of sockets that an event loop accepts from, and with a bound of open connections.
//
// # Decisions
//
//   - Who comes to a bounded listener when it is full waits in the kernel's queue rather than being turned away, because the
//     servers that use it give each connection little time, so room comes back soon.
//   - A listening socket that a loop has taken is not known to Go's runtime, which would wake a thread of its own for each
//     connection.
//   - Connections inherit the options that package net would set for each of them: five system calls.
//   - A connection is told of when the client has sent something, or after a second in silence (TCP_DEFER_ACCEPT): in PostgreSQL's
//     protocol the client speaks first, and what it says can be read at once. So a silent client has a second more.
package listen
