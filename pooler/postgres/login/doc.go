// Package login holds the two halves of logging in, without I/O: bytes in, bytes
// out, and an Action that says what the driver has to do next.
//
// Client plays the server towards a client of the pooler:
//
//	          SSLRequest           S            TLSEstablished
//	startup ─────────────> [StartTLS] ──────────────────────┐
//	  │ ^─────────────────────────────────────────────────────┘
//	  ├─ CancelRequest ─────────> [ForwardCancel]
//	  └─ StartupMessage ────────> [LookUpUser] ── SetUser ──> SCRAM-SHA-256, or md5
//	                                   └── Accept ────────────────┐   │
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
//   - What makes these salts is the UID of the pool: all pods know it, it never
//     changes, and who reaches a port cannot guess it. It must not be made of the
//     passwords: a salt is shown to everybody, who could then try passwords without
//     asking. Nor of a certificate's key, which changes while the salts of verifiers
//     do not. A Secret of its own would need an operator that may write Secrets.
//   - A clear password becomes a verifier when it is read; a Credential never holds
//     more than a verifier.
//   - Several passwords of a user may be valid. A client is shown one salt before it
//     proves anything, so clear ones get the salt of the verifier beside them, and
//     two verifiers must have the same.
//   - A client's proof shows its ClientKey, which is all that it takes to log in to
//     a server that stores the same verifier (Client.Proven). The password itself is
//     never known, and a verifier made anew of the same password is another one.
//   - Over TLS SCRAM-SHA-256-PLUS is offered, and taken where a server offers it
//     (tls-server-end-point, the one kind that PostgreSQL knows). A client that could
//     bind and was told that it was not offered ('y') was lied to and is refused; a
//     server that offers PLUS without TLS is not believed.
//   - md5 is spoken with clients only where it is allowed. Then a name without an
//     account gets md5, too, and can be told from a user with a SCRAM verifier, as in
//     PostgreSQL.
//   - The texts are PostgreSQL's wherever PostgreSQL has one.
//   - SCRAM is written here: a library neither shows the ClientKey nor checks a proof
//     against several verifiers, and the derived keys must outlive one exchange (they
//     cost thousands of hashes, and each server connection logs in anew). A library is
//     the other side in tests.
package login
