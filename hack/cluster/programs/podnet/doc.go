// Podnet is the pod network of a test cluster whose nodes can pull no CNI
// plugin's image. It runs on every node and, from what the API server says,
//
//   - writes the CNI configuration for the node's own range of pod addresses
//     (the ptp, host-local and portmap plugins do the work),
//   - keeps a route to every other node's range,
//   - masquerades what leaves the pod network,
//   - enforces IPv4 NetworkPolicy with one nftables table.
//
// All of it is derived again from the informers' caches whenever something
// changes, and applied as a whole: nothing is patched, so nothing can drift. It
// is for test clusters only: the ruleset is linear in pods times policies.
package main
