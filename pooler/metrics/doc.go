// Package metrics says in Prometheus' words what a pod does.
//
// Decisions
//   - Numbers are read when they are asked for: a collector takes one Snapshot per scrape, and nothing is kept twice.
//   - Labels are bounded: destination (at most 32), state, and reasons of fixed sets. Users and databases are labels only of
//     histograms of times, and only the first 32 pairs of a destination: the rest is other.
//   - Counters of a destination that left the configuration go with it.
package metrics
