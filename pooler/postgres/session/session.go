package session

import (
	"github.com/weir-dev/weir/pooler/postgres/wire"
)

// Mode says for how long a session keeps a server connection.
type Mode uint8

// Modes.
const (
	Transaction Mode = iota // until it is idle
	Lasting                 // until the client leaves
	Statement               // as Transaction, and no transaction is longer than a message, or the messages up to a Sync
	Once                    // as Lasting, and then it is closed: a walsender cannot be cleaned
)

// Counts are messages passed on, and what was made of them.
type Counts struct {
	Queries      uint32 // Query, Execute and FunctionCall
	Transactions uint32 // that ended
	Refused      uint32 // statements that transaction mode cannot keep
	Parses       uint32 // Parse of the client
	ServerParses uint32 // Parse to the server, the pooler's own included
	Binds        uint32 // Bind of the client
}

// Session is one client's session. It is not safe for concurrent use: the driver holds its lock around each call, and no
// longer.
type Session struct {
	statements *Statements
	server     *Server // attached; nil: none
	*desk              // the server's
	client     wire.Scanner
	owed       ledger
	names      names
	unnamed    unnamed
	chosen     *settings // the client's
	own        *settings // that it chose at its login
	counts     Counts
	pulse      Pulse
	panicked   bool // Fail was called
	torn       bool // what it was told

	hoard   []byte // the beginning of a Parse that is looked at as a whole
	refusal []byte // answers the statement that the client is at

	skip    uint32 // bytes before the text in the piece at hand
	rest    uint32 // bytes of the piece at hand that are passed on behind what takes the place of the others
	segment uint32
	reset   uint32 // the segment of the last text that resets settings
	mode    Mode   // Transaction or Lasting
	pinned  Reason
	status  byte  // of the attached server's last ReadyForQuery
	replays uint8 // replies to replay that are still to come

	drops    bool // the rest of the client's message at hand is dropped
	hoards   bool // the rest of the client's message at hand goes to the hoard
	reads    bool // the rest of the client's message at hand is text to look at
	skipping bool // the client's messages up to the next Sync are dropped: no server knows of them
	waiting  bool // FromClient has asked to Wait

	starting bool // the server has got nothing of the client's yet
	adapted  bool // it has been told the client's settings
	unsynced bool // the server has messages that only a Sync ends
	ignoring bool // the server ignores messages up to the next Sync
	copying  bool // the server reads COPY data
	ignored  bool // a Sync was sent while copying, which the server ignores

	closes bool // what was bound last may close prepared statements

	sets    bool // a text of this lease may have set what is not tracked
	resets  bool // a text under way may give settings the values they had at the login
	regain  bool // the server has not got the session's settings any more
	changes bool // a text of this lease may have changed settings, or tables

	mayDefine bool // a DO of this lease may change tables
	defined   bool // the transaction at hand has changed tables

	sending    bool // bytes are on their way to the server
	delivering bool // bytes are on their way to the client
	leaving    bool // the client has left
	uncertain  bool // the ledger does not tell what is owed any more
	tainted    bool // somebody else's state is on the connection
	died       bool // the server has said that it closes the connection
	expired    bool // the running statement is cancelled because its time is up
	single     bool // the mode is Statement
	inBlock    bool // and the server is in a transaction block
	once       bool // the mode is Once
}

// New returns a session whose client has logged in and has chosen settings, as the server reports them.
func New(mode Mode, statements *Statements, chosen []wire.Param) Session {
	s := Session{mode: mode, statements: statements, client: wire.Scanner{Rules: clientRules}, chosen: &noSettings}
	switch mode {
	case Statement:
		s.mode, s.single = Transaction, true
	case Once:
		s.mode, s.once = Lasting, true
	}
	for _, p := range chosen {
		s.chosen = s.chosen.with(p.Name, p.Value)
	}
	s.own = s.chosen
	return s
}

// Tag is equal for sessions and servers whose settings are. It is not 0.
func (s *Session) Tag() uint64 { return s.chosen.tag() }

// Attach lends the session a server connection, as Acquire asked for.
func (s *Session) Attach(server *Server) {
	s.server, s.status = server, wire.StatusIdle
	s.desk, s.owed.ring = &server.desk, server.desk.ring
	s.starting, s.adapted = true, false
	s.sets, s.resets, s.regain, s.changes, s.closes = false, false, false, false, false
	server.closing, server.bound, server.doubted = "", "", nil
	s.mayDefine, s.defined = false, false
}

// Refuse answers the statement that asked for a server connection with an error of severity ERROR. The session goes on.
func (s *Session) Refuse(report wire.Report) {
	s.refusal = wire.AppendErrorResponse(nil, report)
}

// Attached says that the session has a server connection.
func (s *Session) Attached() bool { return s.server != nil }

// Busy says that the server owes replies: there is something to cancel.
func (s *Session) Busy() bool { return s.server != nil && s.owed.len() > 0 }

// Waiting says that FromClient has asked to Wait and was not called since.
func (s *Session) Waiting() bool { return s.waiting }

// Idle says that the client is between two transactions and nothing is on its way: it can be let go.
func (s *Session) Idle() bool {
	if s.client.Left() > 0 || s.skipping || s.refusal != nil || s.waiting {
		return false
	}
	return s.server == nil || s.quiet() && s.status == wire.StatusIdle && !s.sending && !s.delivering
}

// Pinned says why the session keeps its server connection although it is in transaction mode.
func (s *Session) Pinned() Reason { return s.pinned }

// Application is the application_name that the client has chosen, and whether it has.
func (s *Session) Application() (string, bool) { return s.chosen.get(applicationName) }

// Names is how many prepared statements the session has by name.
func (s *Session) Names() int { return len(s.names.known) }

// ServerDied says that the server has told the client that it closes the connection.
func (s *Session) ServerDied() bool { return s.died }

// Torn says that the client was passed the beginning of a message whose end is still to come: whatever else it is sent now
// it would take for that end.
func (s *Session) Torn() bool {
	return s.torn || s.server != nil && s.server.in.Left() > 0 && !s.server.swallows
}

// Counts are what was counted. Who adds them up makes them 0.
func (s *Session) Counts() *Counts { return &s.counts }

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
	if s.leaving {
		return Continue
	}
	s.leaving = true
	switch {
	case s.server == nil:
		s.forgetNames()
		return Continue
	case s.halfSent():
		return s.detach(Discard)
	case s.quiet():
		return s.settle()
	case s.once: // it may stream for ever
		return s.detach(Discard)
	case polite && !s.unsynced && !s.ignoring && !s.copying:
		return Continue
	}
	return s.detach(Discard)
}

// halfSent says that the server has got the beginning of a message and not its end.
func (s *Session) halfSent() bool { return s.client.Left() > 0 && !s.drops && !s.hoards }

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
	if s.starting {
		if s.refusal == nil {
			return Continue // its statement comes next
		}
		return s.finish() // its settings were refused
	}
	if s.waiting || s.hoards {
		return Continue // so does the message that the client is at
	}
	if s.status != wire.StatusIdle || s.mode == Lasting || s.pinned != NotPinned {
		return Continue
	}
	if len(s.names.known) > 0 && s.names.under != s.chosen.base {
		s.pin(SettingChange) // its statements were read under other settings
		return Continue
	}
	if s.unnamed.large() {
		return Continue
	}
	return s.finish()
}

// finish detaches a server connection that is owed nothing.
func (s *Session) finish() Action {
	switch {
	case s.uncertain || s.tainted || s.died || s.once:
		return s.detach(Discard)
	case s.mode == Lasting || s.pinned != NotPinned || len(s.server.lent) > 0:
		s.server.cleanup = discardAll
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
	s.loseAll()
	s.spread()
	s.leaveDesk()
	s.server = nil
	s.unsynced, s.ignoring, s.copying, s.ignored, s.starting = false, false, false, false, false
	s.unnamed.here = false
	s.replays = 0
	s.sending, s.delivering, s.uncertain, s.tainted, s.expired = false, false, false, false, false
	if s.leaving {
		s.forgetNames()
	}
	return do
}

// keptScratch is how many bytes are kept between transactions to make up messages in.
const keptScratch = 512

// desk is what a session needs while it has a server connection, and then leaves there for the next: an idle client has none.
type desk struct {
	text    text
	path    path
	ring    []entry // of the ledger
	scratch []byte  // what is made up for the server
}

func (s *Session) leaveDesk() {
	if s.scratch = s.scratch[:0]; cap(s.scratch) > keptScratch {
		s.scratch = nil
	}
	s.path = path{}
	s.ring, s.owed.ring = s.owed.ring, nil
	s.desk, s.reads = nil, false
}

func (s *Session) pin(r Reason) {
	if s.mode == Transaction && s.pinned == NotPinned {
		s.pinned = r
	}
}

// confuse gives up knowing what the server owes: the session keeps the connection, which is closed in the end.
func (s *Session) confuse() {
	s.uncertain = true
	s.loseAll()
	s.unsynced, s.ignoring, s.copying = false, false, false
	s.replays = 0
	s.pin(Uncertain)
}
