// Package wire reads and writes the frames of PostgreSQL's protocol, version 3.
//
// It holds no socket, no buffer and no state beyond "where in the current
// message are we", so that an event loop, a goroutine or a fuzzer can drive it.
//
//	bytes ──> Scanner ──> Piece, Piece, ...        (the bytes are not copied)
//	           │
//	           └─ Rules: per message type, how long it may be and how much of
//	              its body has to be in one place before it is handed out
//
// Decisions
//
//   - A message is handed out in pieces of the caller's own buffer. A DataRow or
//     CopyData of 1 GB passes through a buffer of any size; a type that a machine
//     wants to inspect is handed out once the asked part of its body is there.
//   - A claimed length is checked before anything else happens and never sizes an
//     allocation: Scanner.Want, the most a caller has to hold, is at most what the
//     rule of that type allows.
//   - Limits and texts are PostgreSQL's own: 08P01, "invalid message length".
//   - Builders append to a slice and do not allocate if it has room.
//   - Parsers return slices of the body. Who keeps a name copies it.
package wire
