// Package metrics says in Prometheus' words what a pod does.
//
// Decisions
//   - Numbers are read when they are asked for: a collector takes one Snapshot per scrape, and nothing is kept twice.
//   - Labels are bounded: destination (at most 32), state, and reasons of fixed sets. No user, database or address is one.
//   - Counters of a destination that left the configuration go with it.
package metrics
