package session

import "github.com/weir-dev/weir/pooler/postgres/wire"

// Phase is whose turn it is.
type Phase uint8

// Phases.
const (
	Idle          Phase = iota // the client's, between two transactions
	InTransaction              // the client's, within a transaction, which may have failed
	Running                    // the server's: it owes replies
)

// Pulse is three counters that wrap. Of two looks at a session that find the same Phase, the Pulse tells whether it lasted.
type Pulse struct {
	Message     uint32 // rises with each message of the client
	Statement   uint32 // rises when a statement ends, and when the server gets something to do
	Transaction uint32 // rises when a transaction ends
}

// Phase says whose turn it is.
func (s *Session) Phase() Phase {
	switch {
	case s.server == nil:
		return Idle
	case s.owed.len() > 0:
		return Running
	case s.status != wire.StatusIdle || s.unsynced:
		return InTransaction
	}
	return Idle
}

// Pulse returns the counters.
func (s *Session) Pulse() Pulse { return s.pulse }

// Expire tells that the running statement is cancelled because its time is up: that is what its client is told then.
func (s *Session) Expire() { s.expired = s.Busy() }
