// Package login holds the two halves of logging in, without I/O: bytes in, bytes
// out, and an Action that says what the driver has to do next.
//
// Client plays the server towards a client of the pooler:
//
//	          SSLRequest           S            TLSEstablished
//	startup ─────────────> [StartTLS] ──────────────────────┐
//	  │ ^─────────────────────────────────────────────────────┘
//	  ├─ CancelRequest ─────────> [ForwardCancel]
//	  └─ StartupMessage ────────> [LookUpUser] ── SetUser ──> SCRAM-SHA-256
//	                                                              │
//	                 [Ready] <── Welcome ── [Admit] <── AuthenticationOk
//
// Server plays the client towards PostgreSQL: SSLRequest, StartupMessage, the
// password in whatever way is asked for, then ParameterStatus, BackendKeyData and
// ReadyForQuery are collected.
//
// Decisions
//
//   - A machine keeps no input. It says how many bytes it has used; the driver
//     keeps the rest and calls again with more behind it. A buffer of
//     ClientBuffer or ServerBuffer bytes always suffices, and what is left behind
//     the last login message belongs to the session.
//   - Bytes that came in plain text behind an SSLRequest or GSSENCRequest, or behind
//     the server's 'S', are refused, not carried into the encrypted stream.
//   - A name without an account gets the exchange an account would get: a salt that
//     is always the same for this name, the same messages, the same error. Salts of
//     accounts with a clear password are made in the same way, so that they are as
//     stable as those.
//   - A clear password becomes a verifier when it is read; a Credential never holds
//     more than a verifier.
//   - Only SCRAM-SHA-256 is offered. Channel binding (SCRAM-SHA-256-PLUS) is not, so
//     a client that says it could have used it ('y') is right and is let in.
//   - The texts are PostgreSQL's wherever PostgreSQL has one.
//   - The side of PostgreSQL's clients of SCRAM is written here, not taken from the
//     library that does the other side: the derived keys outlive one exchange (they
//     cost thousands of hashes, and each server connection logs in anew), and the
//     iteration count a server asks for is checked before it is worked off.
package login
