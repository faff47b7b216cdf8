// Package soak wears pooler/pool out against a real PostgreSQL: clients come and give up, while the server's backends are
// terminated and the server is killed and restarted. All the time the pool's connections are counted in the server itself,
// and after each blow the clients must be served again. It takes as long as it is told, so it has a build tag of its own:
//
//	make soak-pool SOAK=3m
package soak
