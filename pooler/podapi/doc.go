// Package podapi is what the operator and the pooler pods say to each other.
//
//	operator  -- PUT /v1/config  Config -->  pod      over mTLS; answered with Applied
//	operator  -- GET /v1/state  ---------->  pod      over mTLS; answered with State
//
// The Config is also the durable truth: the operator writes it to the pool's ConfigMap first and then pushes the
// same bytes. A pod boots from the mounted copy, but takes limits only from a push (or from the last push that it
// kept), because a mounted copy may be stale.
//
// Decisions
//   - Limits travel as shares: what one pod may use of each destination. Config.Ledger only rises, and a pod refuses
//     a Config with an older one, also after its container restarted. So an operator that lost its leadership cannot
//     bring back an old share.
//   - The Config holds no secret, only names of Secrets. A pod reads Secret NAME in the directory NAME below its
//     secrets directory.
//   - Unknown fields are ignored in both directions and Version says which format is spoken, so that an operator and
//     its pods can be upgraded apart.
//
// The package imports the standard library only: both sides can depend on it.
package podapi
