package console

import (
	"context"
	"net"
	"time"
)

// Source is what a Console tells about and acts on: one destination in this process. Databases are named as clients do; an
// empty name means all of them. An error may be a *Refusal; what else it says is shown to the client.
type Source interface {
	Databases() []Database
	Pools() []Pool
	Users() []User
	Totals() []Totals // by database, sorted by name
	Clients() []Client
	Servers() []Server
	Settings() []Setting
	State() State

	Pause(ctx context.Context, database string) error     // returns when nothing is open; when ctx is done it is as before
	Suspend(ctx context.Context) error                    // returns when nothing is lent; when ctx is done it is as before
	Resume(database string) error                         // ends Pause, Suspend and Kill
	Kill(database string) error                           // closes clients and servers; clients that come wait for Resume
	KillClient(id uint64) error                           // closes one client
	Reconnect(database string) error                      // retires all server connections
	WaitClose(ctx context.Context, database string) error // returns when what was retired is closed
	Enable(database string) error
	Disable(database string) error // refuses clients that come
	Reload() error
	Shutdown(how Shutdown) error
}

// Shutdown says how the process ends.
type Shutdown int

// Ways to end.
const (
	Now     Shutdown = iota // closing everything
	InOrder                 // letting clients go one by one
)

// State is what a Console cannot count.
type State struct {
	Paused, Suspended bool // all of it
	Logins            int  // clients that are logging in
}

// Database is a name that clients may ask for. Limits of 0 are none.
type Database struct {
	Name, Target     string
	Host             string
	Port             int
	ForcedUser       string // that all server connections have; empty: the client's
	PoolSize         int
	MinIdle          int
	Lifetime         time.Duration
	PoolMode         string
	MaxOpen, Open    int
	MaxClients       int
	Clients          int
	Paused, Disabled bool
}

// Pool is what goes on for one user of one database.
type Pool struct {
	Database, User                  string
	Clients, Waiting                int // Waiting is not among Clients
	Cancels                         int // requests on their way to the server
	Lent, Canceled, Idle, Resetting int // Canceled: kept from being lent by Cancels; not among Lent
	Dialing                         int
	OldestWait                      time.Duration
	PoolMode                        string
}

// User is who may come in. Limits of 0 are none.
type User struct {
	Name          string
	PoolMode      string
	MaxOpen, Open int
	Clients       int
}

// Totals only rise.
type Totals struct {
	Database                                string
	Assigned, Transactions, Queries         uint64
	Received, Sent                          uint64 // bytes
	TransactionTime, QueryTime, WaitTime    time.Duration
	ClientParses, ServerParses, ClientBinds uint64
}

// Link is one connection, of a client or to a server. What is not known is zero.
type Link struct {
	ID              uint64
	Peer            uint64 // ID of the other side's connection that it is linked with
	User, Database  string
	Replication     string
	Addr, Local     net.Addr
	Since, Asked    time.Time // connected, last request
	TLS             string
	ApplicationName string
	Prepared        int // prepared statements
}

// Client is a client that has logged in.
type Client struct {
	Link
	Wait     time.Duration // so far; 0: it does not wait
	Canceled bool          // it has asked for a cancel that is not done yet
}

// Server is a server connection.
type Server struct {
	Link
	State   string // as PgBouncer says: active, idle, tested, being_canceled
	Retired bool   // it is closed when it is free
	PID     uint32 // of the server's process
}

// Setting is one of SHOW CONFIG.
type Setting struct{ Key, Value, Default string }
