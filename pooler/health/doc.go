// Package health is the port that the kubelet and Prometheus ask: /healthz, /readyz and /metrics, over plain HTTP.
//
// Decisions
//   - /healthz says that the process answers, and nothing else: a database that is down is not mended by a restart.
//   - /readyz says whether clients should come, and why not. A database that is down is no reason: the Service would be
//     empty just when clients could wait here for the database to come back.
//   - Nothing here changes anything or tells a secret, so it needs no authentication.
package health
