// Package e2e tests Weir on a real cluster, as a person would use it: with kubectl, psql and pgbench.
//
// hack/e2e.sh makes the cluster, loads the images and runs the suite (build tag e2e). What goes wrong for clients is
// counted by load, a client in a pod of its own; how many connections the pool has is counted by PostgreSQL.
package e2e
