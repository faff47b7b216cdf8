// Command kubectl-weir is a plugin of kubectl for those who look after pools: kubectl weir COMMAND.
//
//	top, status   what pools allow and use, by destination and by pod
//	explain       why a pool is not ready, in words
//	hold, resume  keep clients from a database for a maintenance
//	drain         let a pod go, in order
//	console       the administration console of a pod
//
// It acts with the rights of the person who runs it, and needs no part in the cluster. What pods count is read from their
// metrics through a port-forward. A command is a file; plugin.go is what they share.
package main
