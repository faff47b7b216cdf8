package postgres

import (
	"time"

	"github.com/weir-dev/weir/pooler/postgres/session"
)

// Stats is what an Engine does now, and what it has counted since it was made. Open is Idle + Lent + Dialing +
// Resetting + Closing.
type Stats struct {
	Limit      int // what Open is held to: Limits.MaxOpen, and less while draining
	StopPolicy StopPolicy

	Open, Idle, Lent, Dialing, Resetting, Closing int
	Waiting                                       int           // clients that wait for a server connection
	OldestWait                                    time.Duration // of them
	PeakLent, PeakWaiting                         int           // the most since ResetPeaks

	UsersAtLimit int // users that have Limits.MaxOpenPerUser connections open while clients of theirs wait

	Clients int // connected, logins included
	Pinned  int // clients that keep their server connection although they are in transaction mode

	Reachability Reachability
	Fault        *Fault // why it is Unreachable, otherwise nil
	LookupFault  string // why the last lookup of a user failed; empty: it did not

	Counters
	Wait Histogram // how long clients waited for a server connection, served or not
}

// Counters only rise.
type Counters struct {
	Logins         uint64 // clients let in
	LoginsFailed   uint64 // clients that were refused; those that just went away are not counted
	ClientsRefused uint64 // of them, those that were too many
	Queries        uint64 // Query, Execute and FunctionCall messages passed on
	Transactions   uint64 // ends of transactions passed on
	Parses         uint64 // Parse messages of clients
	ServerParses   uint64 // Parse messages to servers
	Binds          uint64 // Bind messages of clients
	BytesReceived  uint64 // from clients, passed on to the server
	BytesSent      uint64 // to clients, passed on from the server

	Acquired        uint64 // server connections lent
	AcquireTimeouts uint64 // clients that waited for Limits.AcquireTimeout in vain
	QueueFull       uint64 // clients that found too many waiting
	Dialed          uint64
	DialsFailed     uint64
	ServersVanished uint64 // server connections given up because their machine did not answer
	Switches        uint64 // connections opened at another endpoint than the one before
	ServersLost     uint64 // server connections that died while they were lent

	Cancels          uint64 // cancel requests that named a client
	CancelsUnknown   uint64 // cancel requests that did not
	CancelsForwarded uint64 // cancel requests that named a client of another pod, and were passed on to it
	StalledBytes     uint64 // taken from servers while their clients did not read, so that the servers did not give them up
	Lookups          uint64 // users that the server was asked about
	LookupsFailed    uint64 // of them, those it could not be asked about, or not in a way that makes sense
	Panics           uint64 // sessions and logins ended because their machine panicked
	CancelsFailed    uint64 // cancel requests that could not be brought to the server, those of vanished clients too

	Timeouts [timeouts]uint64 // by Timeout: how often it was over

	Pins    [session.Reasons]uint64 // by session.Reason
	Refused uint64                  // statements refused because transaction mode cannot keep them
}

// Reachability says whether the server takes connections.
type Reachability int

// What is known about a server.
const (
	Unknown     Reachability = iota // not tried yet
	Reachable                       // the last attempt succeeded
	Unreachable                     // the last attempt failed
)

// String returns Unknown, True or False, the words of Kubernetes' conditions.
func (r Reachability) String() string {
	switch r {
	case Reachable:
		return "True"
	case Unreachable:
		return "False"
	}
	return "Unknown"
}

// Fault is why server connections cannot be opened, as a reason of podapi and a sentence without secrets.
type Fault struct {
	Reason  string
	Message string
	Since   time.Time
}

// Histogram counts durations. Bounds are the upper bounds, rising; Counts has one more for what is above all.
type Histogram struct {
	Bounds []time.Duration
	Counts []uint64
	Sum    time.Duration
}
