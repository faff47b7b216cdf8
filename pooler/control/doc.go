// Package control is the port on which the operator pushes a Config and polls the State, see package podapi.
//
//	PUT /v1/config   200 Applied | 409 older than what runs | 413 too large | 422 makes no sense | 503 cannot be kept
//	GET /v1/state    200 State; with wait and seen when there are other news, or when the wait is over
//
// Decisions
//   - TLS on both sides. The pod's certificate is self-made, one per pod, and kept in its state directory, so that a container that
//     restarts shows the same; the operator pins it. The client's must be
//     signed, for client authentication, by a CA of the Config. Without a CA nobody is let in.
//   - The client's certificate is verified at the handshake and again at each request: a kept connection must not outlive
//     its certificate or the CA.
//   - HTTP/1.1 only, no session tickets: one way in.
//   - Everything is bounded: connections, headers, bodies, and the time for each.
package control
