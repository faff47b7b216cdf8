// Package agent is what a pooler pod obeys: it owns the accepted Config and makes the engines serve it.
//
//	mounted file ---.                                   .--> engine, listener   (a destination)
//	kept push  -----+--> Core --> apply (with Secrets) -+--> engine, listener
//	push -----------'      |                            '--> leaving            (no longer in the Config)
//	                       '--> kept in the state directory before the push is answered
//
// Core is the thinking: which Config runs, which share this pod has, what is refused. It is a value without files, network
// or clock, so that a simulation can drive it. Agent is the thin rest.
//
// Decisions
//   - Shares come from a push, or from the last push that was kept, never from the mounted file, which may be stale.
//     All else comes from whichever of the two has the newer ledger.
//   - A push is written and synced before it is applied, and applied before it is answered. So a container that restarts
//     knows at least what the operator was told that it knows, and refuses what is older.
//   - A container that restarts opens nothing before the servers must have closed what its process before had: both together
//     could be more than the share. Its State counts the whole share meanwhile, and clients wait.
//   - A State names the ledger that was applied before its numbers were taken: what it says bounds what the pod has.
//   - Limits are obeyed even when the rest of a Config cannot be, because a Secret is missing: the destination then goes on
//     as it was, with the new limits, and a Problem says so.
//   - A Problem of a destination that is served as before does not make the pod unready: a bad renewal of a certificate is
//     seen by all pods at once, and must not empty the Service. What keeps a destination from being served at all does.
//   - The mounted file is read again every two seconds, as the Secrets are. Its client CA is trusted beside the one of
//     the running Config, so that an operator that was installed anew, with another CA, is let in.
//   - Who leaves the Config is drained like a pod that leaves. Its connections are reported until they are gone.
package agent
