package session

import "github.com/weir-dev/weir/pooler/postgres/wire"

// Mode says for how long a session keeps a server connection.
type Mode uint8

// Modes.
const (
	Transaction Mode = iota // until it is idle
	Lasting                 // until the client leaves
)

// Counts are messages passed on.
type Counts struct {
	Queries      uint32 // Query, Execute and FunctionCall
	Transactions uint32 // that ended
	Refused      uint32 // statements that transaction mode cannot keep
	Parses       uint32 // Parse of the client
	ServerParses uint32 // Parse to the server
	Binds        uint32 // Bind of the client
}

// Session is one client's session. It is not safe for concurrent use: the driver holds its lock around each call, and no
// longer.
type Session struct {
	server *Server // attached; nil: none
	client wire.Scanner
	owed   ledger
	text   words
	counts Counts
	pulse  Pulse

	refusal []byte // answers the statement that the client is at

	mode   Mode
	pinned Reason
	status byte // of the attached server's last ReadyForQuery

	drops    bool // the rest of the client's message at hand is dropped
	reads    bool // the rest of the client's message at hand is text to look at
	skipping bool // the client's messages up to the next Sync are dropped: no server knows of them

	unsynced bool // the server has messages that only a Sync ends
	ignoring bool // the server ignores messages up to the next Sync
	copying  bool // the server reads COPY data
	ignored  bool // a Sync was sent while copying, which the server ignores

	unnamed     bool // the server has an unnamed statement of this session, as far as it has answered
	unnamedNext bool // the same when it will have answered everything

	sending    bool // bytes are on their way to the server
	delivering bool // bytes are on their way to the client
	leaving    bool // the client has left
	uncertain  bool // the ledger does not tell what is owed any more
	tainted    bool // somebody else's state is on the connection
	died       bool // the server has said that it closes the connection
	expired    bool // the running statement is cancelled because its time is up
}

// New returns a session whose client has logged in.
func New(mode Mode) Session {
	return Session{mode: mode, client: wire.Scanner{Rules: clientRules}}
}

// Attach lends the session a server connection, as Acquire asked for.
func (s *Session) Attach(server *Server) {
	s.server, s.status = server, wire.StatusIdle
	s.text.plain = false
}

// Refuse answers the statement that asked for a server connection with an error of severity ERROR. The session goes on.
func (s *Session) Refuse(report wire.Report) {
	s.refusal = wire.AppendErrorResponse(nil, report)
}

// Attached says that the session has a server connection.
func (s *Session) Attached() bool { return s.server != nil }

// Busy says that the server owes replies: there is something to cancel.
func (s *Session) Busy() bool { return s.server != nil && s.owed.len() > 0 }

// Idle says that the client is between two transactions and nothing is on its way: it can be let go.
func (s *Session) Idle() bool {
	if s.client.Left() > 0 || s.skipping || s.refusal != nil {
		return false
	}
	return s.server == nil || s.quiet() && s.status == wire.StatusIdle && !s.sending && !s.delivering
}

// Pinned says why the session keeps its server connection although it is in transaction mode.
func (s *Session) Pinned() Reason { return s.pinned }

// ServerDied says that the server has told the client that it closes the connection.
func (s *Session) ServerDied() bool { return s.died }

// Torn says that the client was passed the beginning of a message whose end is still to come: whatever else it is sent now
// it would take for that end.
func (s *Session) Torn() bool { return s.server != nil && s.server.in.Left() > 0 && !s.server.swallows }

// Take returns what was counted since the last call.
func (s *Session) Take() Counts {
	counts := s.counts
	s.counts = Counts{}
	return counts
}

// Sent tells that everything FromClient told to send has been handed to the server's connection.
func (s *Session) Sent() Action {
	s.sending = false
	return s.settle()
}

// Delivering tells that bytes of the attached server are about to be given to FromServer, until Delivered.
func (s *Session) Delivering() { s.delivering = true }

// Delivered tells that everything FromServer told to send has been handed to the client's connection, or that there is no
// client any more.
func (s *Session) Delivered() Action {
	s.delivering = false
	return s.settle()
}

// Leave tells that the client is gone; polite: it said so. The action says what becomes of the server connection, if there
// is one. After a polite leave it may be Continue: what the client has asked for is finished first, and the action comes
// from Sent or Delivered.
func (s *Session) Leave(polite bool) Action {
	if s.server == nil || s.leaving {
		return Continue
	}
	s.leaving = true
	if s.halfSent() {
		return s.detach(Discard)
	}
	if s.quiet() {
		return s.settle()
	}
	if polite && !s.unsynced && !s.ignoring && !s.copying {
		return Continue
	}
	return s.detach(Discard)
}

// halfSent says that the server has got the beginning of a message and not its end.
func (s *Session) halfSent() bool { return s.client.Left() > 0 && !s.drops }

// quiet says that the server owes nothing and waits for a new message.
func (s *Session) quiet() bool {
	return s.owed.len() == 0 && !s.unsynced && !s.ignoring && !s.copying && s.server.in.Left() == 0
}

// settle decides whether the server connection is needed any longer.
func (s *Session) settle() Action {
	if s.server == nil || s.sending || s.delivering || s.halfSent() || !s.quiet() {
		return Continue
	}
	if s.leaving {
		return s.finish()
	}
	if s.status != wire.StatusIdle || s.mode == Lasting || s.pinned != NotPinned {
		return Continue
	}
	if s.server.changed() {
		s.pin(SettingChange)
		return Continue
	}
	return s.finish()
}

// finish detaches a server connection that is owed nothing.
func (s *Session) finish() Action {
	switch {
	case s.uncertain || s.tainted || s.died:
		return s.detach(Discard)
	case s.mode == Lasting || s.pinned != NotPinned:
		s.server.cleanup = discardAll
	case s.server.changed():
		s.server.cleanup = discardAll // within a transaction that is rolled back
	}
	if s.status != wire.StatusIdle {
		s.server.cleanup |= rollback
	}
	if s.server.cleanup != 0 {
		return s.detach(Reset)
	}
	return s.detach(Release)
}

func (s *Session) detach(do Action) Action {
	s.server = nil
	s.owed.clear()
	s.unsynced, s.ignoring, s.copying, s.ignored = false, false, false, false
	s.unnamed, s.unnamedNext = false, false
	s.sending, s.delivering, s.uncertain, s.tainted, s.expired = false, false, false, false, false
	return do
}

func (s *Session) pin(r Reason) {
	if s.mode == Transaction && s.pinned == NotPinned {
		s.pinned = r
	}
}

// confuse gives up knowing what the server owes: the session keeps the connection, which is closed in the end.
func (s *Session) confuse() {
	s.uncertain = true
	s.owed.clear()
	s.unsynced, s.ignoring, s.copying = false, false, false
	s.pin(Uncertain)
}
