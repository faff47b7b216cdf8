package session

import "github.com/weir-dev/weir/pooler/postgres/wire"

// seenNames is how much of a message is looked at for the names of its portal and statement, seenQuery how much of a Query
// comes in one piece.
const (
	seenNames = 4 << 10
	seenQuery = 1 << 10
)

// Buffer is how many bytes of input a driver must be able to hold for a step.
const Buffer = wire.HeaderSize + max(seenSetting, seenNames)

var clientRules = wire.FrontendRules(map[byte]wire.Rule{
	wire.TypeQuery:     wire.Prefix(seenQuery, wire.MaxLargeBody),
	wire.TypeParse:     wire.Prefix(seenNames, wire.MaxLargeBody),
	wire.TypeBind:      wire.Prefix(seenNames, wire.MaxLargeBody),
	wire.TypeDescribe:  wire.Prefix(seenNames, wire.MaxSmallBody),
	wire.TypeClose:     wire.Prefix(seenNames, wire.MaxSmallBody),
	wire.TypeSync:      wire.Whole(0),
	wire.TypeFlush:     wire.Whole(0),
	wire.TypeCopyDone:  wire.Whole(0),
	wire.TypeTerminate: wire.Whole(0),
})

// verdict is what becomes of one message of the client.
type verdict uint8

const (
	forward  verdict = iota
	inject           // what is in scratch goes first, then the message is looked at again
	replaced         // what is in scratch takes its place, but for its last bytes, as many as rest says
	swallow          // it is answered here, in order
	hoard            // it is looked at when more of it is there
	flush            // forward, and then replies that were made up are due
	answer           // replies that were made up are due first, then the message is looked at again
	wait             // it is looked at again when the server has answered what was sent before
	drop             // nobody is told
	dropSync         // ReadyForQuery is made up
	refuse           // the statement is answered with Session.refusal, or a refusal of the machine's own
	acquire          // not before there is a server
	leave            // Terminate
	badNames         // names that cannot be read
)

// FromClient takes what the client has sent.
func (s *Session) FromClient(in []byte) Step {
	var st Step
	s.waiting = false
	for {
		p, err := s.client.Next(in[st.Used:])
		if err != nil {
			return s.stop(st, err)
		}
		if p.Raw == nil {
			s.more(&st)
			return st
		}
		if s.rest = 0; s.desk != nil {
			s.scratch = s.scratch[:0]
		}
		v := s.judge(p)
		if v == forward {
			s.read(p)
			st.Used += len(p.Raw)
			st.Forward = st.Used
			s.sending = true
			continue
		}
		if v == inject || v == wait || v == acquire || v == answer {
			s.client.Back(p)
		}
		s.other(&st, p, v)
		return st
	}
}

// Want is how many bytes FromClient needs after it has asked to Read.
func (s *Session) Want() int { return s.client.Want() }

func (s *Session) more(st *Step) {
	if st.Used == 0 {
		st.Do = Read
	}
}

// stop ends the session with a protocol error of the client. What comes before it has been judged and is sent on first.
func (s *Session) stop(st Step, err error) Step {
	if st.Used > 0 {
		return st // the error comes again
	}
	return protocolError(err.Error())
}

// other carries out every verdict but forward.
func (s *Session) other(st *Step, p wire.Piece, v verdict) {
	switch v {
	case inject:
		st.Inject = s.scratch
		s.sending = true
		return
	case wait:
		s.waiting = true
		st.Do = Wait
		return
	case answer:
		st.Do = Answer
		return
	case acquire:
		st.Do = Acquire
		return
	case badNames:
		s.drops = true
		*st = protocolError("the name of a statement or portal is too long")
		return
	}
	st.Used += len(p.Raw)
	switch v {
	case leave:
		st.Do = Close
		return
	case flush:
		st.Forward, st.Do = st.Used, Answer
		s.sending = true
		return
	case replaced:
		st.Used -= int(s.rest)
		s.client.Unread(int(s.rest))
		st.Inject = s.scratch
		s.sending = true
		return
	case hoard:
		s.hoards = !p.Last
		return
	}
	s.drops, s.reads = !p.Last, false
	switch v {
	case dropSync:
		st.Reply = readyIdle
	case refuse:
		s.refuse(st, p.Type)
	}
}

// refuse answers a refused statement: at once without a server, otherwise by way of its ledger.
func (s *Session) refuse(st *Step, typ byte) {
	if s.server != nil {
		st.Inject = doomed
		s.sending = true
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

// judge decides on a piece of a message and notes what is owed for it.
func (s *Session) judge(p wire.Piece) verdict {
	switch {
	case p.First:
	case s.hoards:
		return s.judgeHoard(p)
	case s.drops:
		return drop
	default:
		return forward
	}
	s.pulse.Message++
	if p.Type == wire.TypeTerminate {
		return leave
	}
	if s.refusesBlock(p) {
		return s.refuseBlock()
	}
	if s.server == nil {
		return s.judgeDetached(p)
	}
	if v := s.prepare(); v != forward {
		return v
	}
	v := s.note(p)
	if v == forward || v == replaced {
		s.drops = false
	}
	return v
}

// judgeHoard takes a further piece of a Parse that is looked at as a whole.
func (s *Session) judgeHoard(p wire.Piece) verdict {
	before := len(s.hoard)
	s.hoard = append(s.hoard, p.Body()...)
	if !p.Last {
		return hoard
	}
	v := replaced
	if s.ignoring || s.uncertain { // since it began: it passes as it is
		s.scratch = append(wire.AppendStart(s.scratch, wire.TypeParse, len(s.hoard)), s.hoard...)
		s.owe(entry{kind: parsing})
	} else if v = s.noteNamedParse(s.hoard); v == wait || v == inject {
		s.hoard = s.hoard[:before]
		return v
	}
	s.hoard, s.hoards, s.drops = nil, false, false
	return v
}

// prepare makes a server connection that was just attached, or has lost the session's settings, suit the session.
func (s *Session) prepare() verdict {
	if s.resets && s.reset != s.segment && s.owed.len() > 0 {
		return wait // it may lose them now
	}
	if s.regain && s.owed.len() == 0 && !s.unsynced && !s.ignoring && s.status == wire.StatusIdle {
		s.regain, s.starting, s.adapted = false, true, false
	}
	switch {
	case s.replays > 0:
		return wait
	case !s.starting:
		return forward
	case !s.adapted:
		s.adapted = true
		if s.adapt() {
			return inject
		}
	}
	s.starting = false
	return forward
}

// adapt gives the server the settings of the session, and reports whether it does not have them. What the application is
// called changes no result, so nobody waits for that.
func (s *Session) adapt() bool {
	v := s.server
	if s.mode == Lasting && v.slots.len() > 0 {
		v.dropSlots()
		s.scratch = wire.AppendQuery(s.scratch, "DEALLOCATE ALL")
		s.push(entry{kind: replayName})
	}
	if s.chosen.same(v.have) {
		return len(s.scratch) > 0
	}
	if s.chosen.id == v.have.id {
		s.scratch = wire.AppendQuery(s.scratch, s.chosen.nameScript())
		s.push(entry{kind: replayName})
		return true
	}
	var queries int
	s.scratch, queries = s.chosen.replay(s.scratch, v)
	for range queries {
		s.push(entry{kind: replay})
		s.replays++
	}
	return len(s.scratch) > 0
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
	}
	if s.refusal != nil {
		return refuse
	}
	return acquire
}

// note enters into the ledger what is owed for a message.
func (s *Session) note(p wire.Piece) verdict {
	switch p.Type {
	case wire.TypeSync:
		return s.noteSync()
	case wire.TypeFlush:
		if s.owed.first().fate == made {
			return flush
		}
		return forward
	case wire.TypeCopyData, wire.TypeCopyDone, wire.TypeCopyFail:
		return s.noteCopy(p.Type)
	}
	switch {
	case s.owed.full():
		return s.full()
	case len(s.server.lent) > 0 && s.mapped() && !s.ignoring && s.evict():
		return inject
	}
	switch p.Type {
	case wire.TypeQuery:
		return s.noteQuery(p)
	case wire.TypeFunctionCall:
		s.counts.Queries++
		s.unsynced = false
		s.segment++
		return s.owe(entry{kind: call})
	case wire.TypeExecute:
		return s.noteExecute(p)
	case wire.TypeClose:
		return s.noteClose(p)
	case wire.TypeDescribe:
		if body := p.Body(); len(body) == 0 || body[0] != wire.TargetStatement {
			return s.owe(entry{kind: describe})
		}
		return s.noteUse(p, describe)
	case wire.TypeBind:
		return s.noteUse(p, bind)
	}
	v := s.noteParse(p)
	if v != wait && v != inject {
		s.counts.Parses++
	}
	return v
}

// full is the verdict when the ledger has no room.
func (s *Session) full() verdict {
	if s.owed.first().fate == made {
		return answer
	}
	return wait
}

// owe enters e into the ledger, unless the server ignores the message.
func (s *Session) owe(e entry) verdict {
	if s.owed.len() == 0 {
		s.pulse.Statement++
	}
	if s.ignoring {
		s.unsynced = true
		return forward
	}
	s.push(e)
	return forward
}

// push enters e into the ledger.
func (s *Session) push(e entry) {
	switch e.kind {
	case parsing, bind, describe, execute, closing, refusedNames, refusedMany, refusedText, refusedBlock, refusedShape:
		s.unsynced = true
	}
	if !s.uncertain {
		s.owed.push(e)
	}
}

// replace has what was made up sent in the place of a message, for which e is owed.
func (s *Session) replace(scratch []byte, e entry) verdict {
	s.scratch = scratch
	s.push(e)
	return replaced
}

func (s *Session) refuseOwed(k kind) verdict {
	s.push(entry{kind: k})
	return refuse
}

func (s *Session) noteSync() verdict {
	if s.copying {
		s.ignored = true
		return forward
	}
	s.unsynced, s.ignoring = false, false
	v := s.owe(entry{kind: syncPoint})
	s.segment++
	return v
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
	return s.owe(entry{kind: copyEnd})
}

// noteQuery is for a Query.
func (s *Session) noteQuery(p wire.Piece) verdict {
	e := entry{kind: query, unnamed: true}
	if !s.mapped() || s.ignoring || s.uncertain {
		s.startText(0)
		return s.endWith(e)
	}
	closes, uses := s.namesIn(p)
	if (closes != "" || uses != "") && s.blocked() {
		return s.await()
	}
	uses = s.known(uses)
	if s.owed.readies > 0 && (uses != "" || len(s.server.lent) > 0) {
		return wait // the transaction may fail, and what is lent be needed
	}
	s.unnamed.end(s.segment)
	s.startText(0)
	if s.lend(closes) {
		s.server.closing, s.names.segment, e.names = closes, s.segment, true
	}
	if uses != "" && s.status != wire.StatusFailed {
		begins := !s.unsynced
		if s.handOver(uses); begins {
			return s.withSync(p, e)
		}
	}
	s.endWith(e)
	if len(s.scratch) > 0 {
		return s.behind(p)
	}
	return forward
}

// endWith enters a reply that ends with ReadyForQuery.
func (s *Session) endWith(e entry) verdict {
	s.counts.Queries++
	v := s.owe(e)
	s.unsynced = s.ignoring
	s.segment++
	return v
}

// startText begins to look at the text of a message, skip bytes behind the beginning of its body.
func (s *Session) startText(skip int) {
	s.reads = s.mapped() || !s.own.empty()
	if s.reads {
		s.text.begin(s.server)
		s.skip = uint32(skip)
	}
}

// read looks at the text in a piece that is passed on.
func (s *Session) read(p wire.Piece) {
	if !s.reads {
		return
	}
	piece := p.Body()[s.skip:]
	s.skip = 0
	s.text.feed(piece)
	if p.Type == wire.TypeParse {
		s.unnamed.grow(piece)
	}
	if !p.Last {
		return
	}
	s.reads = false
	s.text.end()
	if p.Type == wire.TypeParse && s.mapped() {
		s.unnamed.seal(s.text.traits)
		return
	}
	s.run(&s.text.traits)
	if p.Type == wire.TypeQuery && s.resets {
		s.reset = s.segment - 1
	}
	if s.text.drops && !s.ignoring && !s.uncertain {
		s.owed.decide()
		s.names.segment = s.segment - 1
	}
}
