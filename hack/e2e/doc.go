// Package e2e tests Weir on a real cluster, as a person would use it: with kubectl, psql and pgbench.
//
// hack/e2e.sh runs the demo, which installs Weir and a PostgreSQL, and then the suite (build tag e2e) beside it. What goes wrong for clients is
// counted by load, a client in a pod of its own; how many connections the pool has is counted by PostgreSQL.
package e2e
