package agent

import (
	"context"
	"net"
	"time"

	"github.com/weir-dev/weir/pooler/config"
	"github.com/weir-dev/weir/pooler/podapi"
)

// Engine serves the clients of one destination in its protocol. Its methods may be called at any time from any goroutine.
type Engine interface {
	// Apply replaces what the engine serves with, without waiting for anything. Limits hold at once.
	Apply(config.Destination) error
	// Serve lets clients in until the listener is closed, which is no error.
	Serve(net.Listener) error
	// Drain lets go of each client where it can be let go, and returns when none is left. The limit only falls meanwhile.
	// When ctx is done the rest is closed, and its error is returned.
	Drain(ctx context.Context) error
	// Close closes all clients and server connections.
	Close() error
	// Probe finds out whether the server takes connections. The outcome is in Stats; with a limit of 0 it does nothing.
	Probe(ctx context.Context) error
	// Stats is one consistent snapshot.
	Stats() Stats
	// Detail is what takes a look at every client: for metrics.
	Detail() Detail
	// ResetPeaks begins a new span for the peaks in Stats.
	ResetPeaks()
}

// Detail is what an Engine knows beside its Stats.
type Detail struct {
	Pairs    []Pair         // in the order in which they were first served
	Pins     map[string]Pin // by reason, those that there are
	Consoles int32          // clients at the console
}

// Pair is what was measured for one user of one database since the Engine was made.
type Pair struct {
	Database, User                 string
	Wait, Dial, Query, Transaction Histogram
}

// Histogram is a podapi.Histogram with the sum of what was measured, in seconds.
type Histogram struct {
	podapi.Histogram
	Sum float64
}

// Pin is the clients that keep a server connection for one reason.
type Pin struct {
	Clients int32
	Oldest  time.Duration
}

// Stats is what an Engine does now, and what it has counted since it was made.
type Stats struct {
	Limit      int32  // what Open is held to
	StopPolicy string // that holds; empty: none

	// Open is the sum of the five after it.
	Open, Idle, Lent, Dialing, Resetting, Closing int32
	Waiting                                       int32 // clients
	PeakLent, PeakWaiting                         int32 // since ResetPeaks
	Clients, Pinned                               int32
	UsersAtLimit                                  int32 // that have all the connections one user may have, while clients of theirs wait

	Reachable string          // "True", "False" or "Unknown"
	Fault     *podapi.Problem // why it is "False"

	LookupFault string // why a user could not be looked up; empty: the last lookup succeeded, or there was none

	Counters Counters
	Wait     podapi.Histogram // how long clients waited for a server connection
	WaitSum  float64          // seconds
}

// Counters only rise.
type Counters struct {
	Logins, LoginsFailed, ClientsRefused uint64
	Queries, Transactions                uint64
	Parses, ServerParses, Binds          uint64
	BytesReceived, BytesSent             uint64 // from clients, to clients
	Acquired, AcquireTimeouts, QueueFull uint64
	Dialed, DialsFailed, ServersLost     uint64
	Cancels, CancelsUnknown              uint64
	CancelsFailed, CancelsForwarded      uint64
	Switches                             uint64 // of endpoints
	ServersVanished                      uint64
	Panics                               uint64 // contained: each cost one session or login
	Lookups, LookupsFailed               uint64
	StalledBytes                         uint64            // taken from servers while their clients did not read
	Timeouts                             map[string]uint64 // by what took too long, of a fixed set; clients that waited in vain are in AcquireTimeouts
	Pins                                 map[string]uint64 // by reason, of a fixed set
	StatementsRefused                    uint64
}
