// Package pods talks to the pooler pods of every pool: it finds them, pushes their Config and polls their State.
//
//	EndpointSlices --Find--> []Pod --Poll--> []Result      GET /v1/state
//	                           |
//	                           +----Push--> []Result       PUT /v1/config, then GET /v1/state
//	                           |
//	                           '--attend--> News           GET /v1/state?wait, open until the pod has news
//
// Decisions
//   - Pods are known by UID, never by name or address: an address may belong to another pod tomorrow. A connection is
//     keyed by the UID too, so one that was opened to an earlier owner of an address is never used for the later one.
//   - Connections are kept (one for each pod) and use mutual TLS. The operator shows a certificate of its control CA;
//     the pod shows one that it made itself. What the operator saw first is pinned
//     to the UID: a container that restarts shows the same, as it is kept in the pod. A pod that shows another certificate is
//     treated like one that cannot be reached: it keeps its charge.
//   - A question stays open at each pod that answers (attend), on the connection that is kept anyway: so clients that wait are
//     heard of within a second, and a pool in calm is not polled at all. News are a word that the pod chooses: the
//     operator only looks whether it is another one, at most once a second for each pod.
//   - A silent pod costs its own pool one timeout and then a growing pause between tries, and other pools nothing: each
//     caller waits for its own pods only, and the number of calls in flight is bounded over all pools.
//   - What a State is newer than needs no bookkeeping here: State.Ledger is the version that the pod had accepted when
//     it wrote the State, and it only rises.
package pods
