package postgres

import (
	"github.com/weir-dev/weir/pooler/postgres/login"
	"github.com/weir-dev/weir/pooler/postgres/session"
	"github.com/weir-dev/weir/pooler/postgres/wire"
)

// A client that replicates talks to a walsender of its own, from its login to its end: what one was told cannot be taken
// back. It counts as a server connection like any other, and its timeouts are the server's.

// replication is the startup parameter that makes a server connection a walsender.
func replication(kind login.Replication) []wire.Param {
	switch kind {
	case login.PhysicalReplication:
		return []wire.Param{{Name: "replication", Value: "true"}}
	case login.LogicalReplication:
		return []wire.Param{{Name: "replication", Value: "database"}}
	}
	return nil
}

// sessionMode says for how long sessions keep server connections.
func (s *settings) sessionMode() session.Mode {
	switch s.PoolMode {
	case Session:
		return session.Lasting
	case Statement:
		return session.Statement
	}
	return session.Transaction
}
