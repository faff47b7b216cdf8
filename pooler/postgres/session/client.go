package session

import "github.com/weir-dev/weir/pooler/postgres/wire"

// seenNames is how much of a Bind is looked at for the names of its portal and statement.
const seenNames = 1 << 10

// Buffer is how many bytes of input a driver must be able to hold for a step.
const Buffer = wire.HeaderSize + seenSetting

var clientRules = wire.FrontendRules(map[byte]wire.Rule{
	wire.TypeParse:     wire.Prefix(1, wire.MaxLargeBody),
	wire.TypeBind:      wire.Prefix(seenNames, wire.MaxLargeBody),
	wire.TypeDescribe:  wire.Prefix(2, wire.MaxSmallBody),
	wire.TypeClose:     wire.Prefix(2, wire.MaxSmallBody),
	wire.TypeSync:      wire.Whole(0),
	wire.TypeFlush:     wire.Whole(0),
	wire.TypeCopyDone:  wire.Whole(0),
	wire.TypeTerminate: wire.Whole(0),
})

// verdict is what becomes of one message of the client.
type verdict uint8

const (
	forward  verdict = iota
	drop             // nobody is told
	dropSync         // ReadyForQuery is made up
	refuse           // the statement is answered with Session.refusal, or a refusal of the machine's own
	acquire          // not before there is a server
	leave            // Terminate
	overflow         // the ledger is full
	badNames         // names that cannot be read
)

// FromClient takes what the client has sent.
func (s *Session) FromClient(in []byte) Step {
	var st Step
	for {
		before := s.client
		p, err := s.client.Next(in[st.Used:])
		if err != nil {
			return s.stop(st, err)
		}
		if p.Raw == nil {
			return s.more(st)
		}
		v := s.judge(p)
		if v == forward {
			s.read(p)
			st.Used += len(p.Raw)
			st.Forward = st.Used
			s.sending = true
			continue
		}
		if v == acquire {
			s.client = before
		}
		return s.other(st, p, v)
	}
}

// Want is how many bytes FromClient needs after it has asked to Read.
func (s *Session) Want() int { return s.client.Want() }

func (s *Session) more(st Step) Step {
	if st.Used == 0 {
		st.Do = Read
	}
	return st
}

// stop ends the session with a protocol error of the client. What comes before it has been judged and is sent on first.
func (s *Session) stop(st Step, err error) Step {
	if st.Used > 0 {
		return st // the error comes again
	}
	return protocolError(err.Error())
}

// other carries out every verdict but forward.
func (s *Session) other(st Step, p wire.Piece, v verdict) Step {
	switch v {
	case acquire:
		st.Do = Acquire
		return st
	case leave:
		st.Used += len(p.Raw)
		st.Do = Close
		return st
	case overflow:
		s.drops = true
		return fatal(wire.CodeProgramLimitExceeded, "too many messages without waiting for a reply")
	case badNames:
		s.drops = true
		return protocolError("names in a Bind message are too long")
	}
	st.Used += len(p.Raw)
	s.drops, s.reads = !p.Last, false
	switch v {
	case dropSync:
		st.Reply = readyIdle
	case refuse:
		s.refuse(&st, p.Type)
	}
	return st
}

// refuse answers a refused statement: at once without a server, otherwise by way of its ledger.
func (s *Session) refuse(st *Step, typ byte) {
	if s.server != nil {
		st.Inject = doomed
		s.sending, s.unsynced = true, true
		s.counts.Refused++
		return
	}
	st.Reply, s.refusal = s.refusal, nil
	if typ == wire.TypeQuery || typ == wire.TypeFunctionCall {
		st.Reply = append(st.Reply, readyIdle...)
		return
	}
	s.skipping = true
}

// judge decides on a piece of a message and notes what the server will owe for it.
func (s *Session) judge(p wire.Piece) verdict {
	if !p.First {
		if s.drops {
			return drop
		}
		return forward
	}
	s.pulse.Message++
	if p.Type == wire.TypeTerminate {
		return leave
	}
	if s.server == nil {
		return s.judgeDetached(p)
	}
	v := s.note(p)
	if v == forward {
		s.drops = false
		s.startText(p.Type)
	}
	return v
}

// judgeDetached decides on a message that finds no server attached.
func (s *Session) judgeDetached(p wire.Piece) verdict {
	switch {
	case p.Type == wire.TypeSync:
		s.skipping = false
		return dropSync
	case s.skipping:
		return drop
	}
	switch p.Type {
	case wire.TypeFlush, wire.TypeCopyData, wire.TypeCopyDone, wire.TypeCopyFail:
		return drop
	case wire.TypeParse, wire.TypeBind, wire.TypeDescribe:
		if s.mode == Lasting {
			break
		}
		named, unnamed, ok := statementOf(p)
		switch {
		case !ok:
			return badNames
		case named:
			s.refusal = namedRefused
			s.counts.Refused++
		case unnamed && p.Type != wire.TypeParse:
			s.refusal = unnamedRefused
			s.counts.Refused++
		}
	}
	if s.refusal != nil {
		return refuse
	}
	return acquire
}

// statementOf says whether a Parse, Bind or Describe is about a statement with a name, or the unnamed one; a Describe may be
// about neither.
func statementOf(p wire.Piece) (named, unnamed, ok bool) {
	body := p.Body()
	if len(body) == 0 {
		return false, false, false
	}
	switch p.Type {
	case wire.TypeDescribe:
		if body[0] != wire.TargetStatement {
			return false, false, true
		}
		body = body[1:]
	case wire.TypeBind:
		_, name, _, err := wire.ParseBind(body)
		return len(name) > 0, len(name) == 0, err == nil
	}
	if len(body) == 0 {
		return false, false, false
	}
	return body[0] != 0, body[0] == 0, true
}

// note enters into the ledger what the server will owe for a message.
func (s *Session) note(p wire.Piece) verdict {
	switch p.Type {
	case wire.TypeQuery:
		s.counts.Queries++
		s.unsynced, s.unnamedNext = false, false
		return s.owe(query)
	case wire.TypeFunctionCall:
		s.counts.Queries++
		s.unsynced = false
		return s.owe(call)
	case wire.TypeSync:
		return s.noteSync()
	case wire.TypeFlush:
		return forward
	case wire.TypeCopyData, wire.TypeCopyDone, wire.TypeCopyFail:
		return s.noteCopy(p.Type)
	}
	s.unsynced = true
	switch p.Type {
	case wire.TypeExecute:
		s.counts.Queries++
		return s.owe(execute)
	case wire.TypeClose:
		return s.noteClose(p)
	}
	return s.noteStatement(p)
}

// owe enters k into the ledger, unless the server ignores it.
func (s *Session) owe(k kind) verdict {
	if s.owed.len() == 0 {
		s.pulse.Statement++
	}
	if s.ignoring || s.uncertain || s.owed.push(k) {
		return forward
	}
	return overflow
}

func (s *Session) noteSync() verdict {
	if s.copying {
		s.ignored = true
		return forward
	}
	s.unsynced, s.ignoring = false, false
	return s.owe(syncPoint)
}

// noteCopy drops what nobody copies, as the server does: it must not wait for a server, nor find another transaction.
func (s *Session) noteCopy(typ byte) verdict {
	switch {
	case s.uncertain:
		return forward
	case s.owed.len() == 0:
		return drop
	case typ == wire.TypeCopyData:
		return forward
	case s.copying:
		s.copying = false
		return forward
	}
	return s.owe(copyEnd)
}

func (s *Session) noteClose(p wire.Piece) verdict {
	if body := p.Body(); len(body) >= 2 && body[0] == wire.TargetStatement && body[1] == 0 {
		s.unnamedNext = false
		return s.owe(closeUnnamed)
	}
	return s.owe(closeOther)
}

// noteStatement is for Parse, Bind and Describe.
func (s *Session) noteStatement(p wire.Piece) verdict {
	named, unnamed, ok := statementOf(p)
	if !ok {
		return badNames
	}
	if s.mode == Transaction && s.pinned == NotPinned && !s.ignoring {
		if named {
			return s.refuseOwed(refusedName)
		}
		if unnamed && p.Type != wire.TypeParse && !s.unnamedNext {
			return s.refuseOwed(refusedUnnamed)
		}
	}
	switch {
	case p.Type == wire.TypeBind:
		s.counts.Binds++
		return s.owe(bind)
	case p.Type == wire.TypeDescribe:
		return s.owe(describe)
	}
	s.counts.Parses++
	s.counts.ServerParses++
	if named {
		return s.owe(parseNamed)
	}
	if !s.ignoring {
		s.unnamedNext = true
	}
	return s.owe(parseUnnamed)
}

func (s *Session) refuseOwed(k kind) verdict {
	if v := s.owe(k); v != forward {
		return v
	}
	return refuse
}

func (s *Session) startText(typ byte) {
	s.reads = s.mode == Transaction && s.pinned == NotPinned && (typ == wire.TypeQuery || typ == wire.TypeParse)
	if s.reads {
		s.text.begin()
	}
}

// read looks at the text in a piece that is passed on.
func (s *Session) read(p wire.Piece) {
	if !s.reads {
		return
	}
	s.text.feed(p.Body())
	if s.text.pin != NotPinned {
		s.pin(s.text.pin)
		s.reads = false
	}
	if p.Last {
		s.reads = false
	}
}
