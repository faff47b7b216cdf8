package session

import (
	"bytes"

	"github.com/weir-dev/weir/pooler/postgres/wire"
)

// Sizes in bytes of what is looked at in messages of the server.
const (
	seenTag     = 16      // of a command tag
	seenError   = 2 << 10 // of an error: its severity, its code, the names in its message
	seenSetting = 4 << 10 // of a reported setting: name and value
	seenShape   = 4 << 10 // of a description of parameters or a result
)

var serverRules = wire.BackendRules(map[byte]wire.Rule{
	wire.TypeCommandComplete: wire.Prefix(seenTag, wire.MaxLargeBody),
	wire.TypeErrorResponse:   wire.Prefix(seenError, wire.MaxLargeBody),
	wire.TypeParameterStatus: wire.Prefix(seenSetting, wire.MaxLargeBody),

	wire.TypeParameterDescription: wire.Prefix(seenShape, wire.MaxLargeBody),
	wire.TypeRowDescription:       wire.Prefix(seenShape, wire.MaxLargeBody),
})

// FromServer takes what the attached server has sent.
func (s *Session) FromServer(in []byte) Step {
	var st Step
	v := s.server
	if v == nil {
		return Step{Used: len(in)} // the client has left, the connection is being closed
	}
	for {
		p, err := v.in.Next(in[st.Used:])
		if err != nil || malformed(p) {
			return Step{Do: Break}
		}
		if p.Raw == nil {
			s.more(&st)
			return st
		}
		late := p.First && s.owed.first().fate == made
		own := !late && s.keeps(p)
		if (late || own) && st.Used > 0 { // each gets a step of its own
			v.in.Back(p)
			return st
		}
		switch {
		case late:
			v.in.Back(p)
			st.Inject = s.emit()
			return st
		case own:
			st.Used = len(p.Raw)
			st.Inject = s.swallow(p)
			return st
		}
		s.passes(p)
		st.Used += len(p.Raw)
		st.Forward = st.Used
		if s.owed.first().fate == made {
			st.Inject = s.emit()
			return st
		}
	}
}

// Answer returns the replies that were made up here and are due; not to be changed.
func (s *Session) Answer() []byte {
	if s.server == nil {
		return nil
	}
	return s.emit()
}

// emit makes up the replies that the ledger begins with.
func (s *Session) emit() []byte {
	v := s.server
	v.scratch = v.scratch[:0]
	for s.owed.first().fate == made {
		if s.owed.first().kind == parsing {
			v.scratch = wire.AppendParseComplete(v.scratch)
		} else {
			v.scratch = wire.AppendCloseComplete(v.scratch)
		}
		s.done()
	}
	return v.scratch
}

// WantServer is how many bytes FromServer needs after it has asked to Read.
func (s *Session) WantServer() int { return s.server.in.Want() }

// malformed says that a ReadyForQuery does not tell a status.
func malformed(p wire.Piece) bool {
	if p.Raw == nil || p.Type != wire.TypeReadyForQuery {
		return false
	}
	_, err := wire.ParseReadyForQuery(p.Body())
	return err != nil
}

// keeps says whether a piece is not passed on as it is. Nothing has been noted then.
func (s *Session) keeps(p wire.Piece) bool {
	if !p.First {
		return s.server.swallows
	}
	e := s.owed.first()
	switch p.Type {
	case wire.TypeNotificationResponse:
		return s.mode == Transaction && s.pinned == NotPinned
	case wire.TypeErrorResponse:
		return !isFatal(p.Body()) && s.rewords(e, p.Body())
	case wire.TypeParameterStatus:
		return e.replays() || s.givesBack(p)
	case wire.TypeParseComplete, wire.TypeCloseComplete:
		return e.fate == hidden
	case wire.TypeParameterDescription, wire.TypeRowDescription, wire.TypeNoData:
		return e.fate == hidden || e.replays()
	case wire.TypeReadyForQuery:
		return e.replays() || e.kind == syncPoint && e.fate == hidden
	}
	return e.replays()
}

func (e *entry) replays() bool { return e.kind == replay || e.kind == replayName }

// rewords says whether the client is told another error than the server's.
func (s *Session) rewords(e *entry, body []byte) bool {
	switch e.kind {
	case refusedNames, refusedMany, refusedText, refusedBlock, refusedShape, replay, replayName:
		return true
	}
	return s.expired && isCanceled(body) || leaks(e, body)
}

// leaks says that an error shows a name that the pooler has given to a statement.
func leaks(e *entry, body []byte) bool {
	return e.use != nil && bytes.Contains(body, []byte(e.serverName()))
}

func (e *entry) serverName() string {
	if e.slot != nil {
		return e.slot.stmt.name
	}
	return e.use.stmt.name
}

// passes notes a piece that is passed on.
func (s *Session) passes(p wire.Piece) {
	if !p.First {
		return
	}
	s.server.swallows = false
	switch p.Type {
	case wire.TypeDataRow, wire.TypeCopyData, wire.TypeNoticeResponse, wire.TypeNotificationResponse:
	case wire.TypeReadyForQuery:
		s.ready(p.Body()[0])
	case wire.TypeErrorResponse:
		s.server.readOnly = s.server.readOnly || hasCode(p.Body(), wire.CodeReadOnlyTransaction)
		if isFatal(p.Body()) {
			s.died = true
		} else {
			s.failed(p.Body())
		}
	case wire.TypeParameterStatus:
		s.setting(p)
	case wire.TypeCopyInResponse:
		s.startCopy()
	default:
		s.answered(p)
	}
}

// swallow notes a piece that is not passed on, and returns what goes out in its place.
func (s *Session) swallow(p wire.Piece) []byte {
	if !p.First {
		return nil
	}
	s.server.swallows = !p.Last
	e := s.owed.first()
	switch p.Type {
	case wire.TypeNotificationResponse:
		s.tainted = true // an earlier client listens
		return nil
	case wire.TypeErrorResponse:
		return s.reword(e, p)
	case wire.TypeParameterStatus:
		return s.giveBack(p, e)
	case wire.TypeReadyForQuery:
		s.ready(p.Body()[0])
	case wire.TypeParseComplete, wire.TypeCloseComplete:
		s.answered(p)
	case wire.TypeParameterDescription, wire.TypeRowDescription, wire.TypeNoData:
		if !e.replays() {
			s.answered(p)
		}
	}
	return nil
}

// reword notes an error and returns what the client is told in its place.
func (s *Session) reword(e *entry, p wire.Piece) []byte {
	var reply []byte
	switch {
	case e.kind == replayName:
		return nil // the next transaction tries again
	case e.kind == replay:
		report := reportOf(p)
		report.Severity, report.Message = wire.SeverityError, "cannot set the session's settings on a server connection: "+report.Message
		s.refusal = wire.AppendErrorResponse(nil, report)
		return nil
	case s.expired && isCanceled(p.Body()):
		reply = timedOut
	case e.kind == refusedNames:
		reply = namesRefused
	case e.kind == refusedMany:
		reply = manyRefused
	case e.kind == refusedText:
		reply = textRefused
	case e.kind == refusedBlock:
		reply = blockRefused
	case e.kind == refusedShape:
		reply = shapeRefused
	default:
		reply = s.rename(e, p)
	}
	s.failed(p.Body())
	return reply
}

// rename returns an error with the client's name of a statement in the place of the server's. Of a long error this is the
// beginning, and the rest is passed on.
func (s *Session) rename(e *entry, p wire.Piece) []byte {
	v := s.server
	v.swallows = false
	body := bytes.ReplaceAll(p.Body(), []byte(e.serverName()), []byte(e.use.name))
	v.scratch = wire.AppendStart(v.scratch[:0], p.Type, p.Length()+len(body)-len(p.Body()))
	v.scratch = append(v.scratch, body...)
	return v.scratch
}

func isCanceled(body []byte) bool { return hasCode(body, wire.CodeQueryCanceled) }

// hasCode looks at the beginning of an error, where its code is.
func hasCode(body []byte, code string) bool {
	i := bytes.Index(body[:min(len(body), 64)], []byte("\x00C"))
	return i >= 0 && bytes.HasPrefix(body[i+2:], []byte(code))
}

func isFatal(body []byte) bool {
	body = body[:min(len(body), 64)]
	return bytes.Contains(body, []byte("\x00VFATAL\x00")) || bytes.Contains(body, []byte("\x00VPANIC\x00"))
}

// ready takes a ReadyForQuery.
func (s *Session) ready(status byte) {
	s.status = status
	s.expired = false
	s.pulse.Statement++
	e := s.owed.first()
	s.inBlock = s.inBlock || s.single && status != wire.StatusIdle
	if status == wire.StatusIdle && !e.replays() && e.fate == pass {
		s.counts.Transactions++
		s.pulse.Transaction++
		s.endPath()
		s.spread()
	}
	if s.uncertain {
		return
	}
	if !e.kind.endsReady() {
		s.confuse()
		return
	}
	s.copying, s.ignored = false, false
	s.done()
	s.resets = s.resets && s.owed.len() > 0
}

// failed takes an ErrorResponse that is not the server's last word.
func (s *Session) failed(body []byte) {
	e := s.owed.first()
	switch {
	case s.uncertain:
		return
	case s.ignored:
		s.confuse() // the Sync may have come before the error or after it
		return
	case e.kind == none:
		s.confuse()
		return
	}
	s.copying = false
	s.path.armed = false
	if s.status == wire.StatusIdle {
		s.path.rolled = true
	}
	if e.slot != nil && outdates(body) {
		s.statements.retire(e.slot.stmt)
	}
	if e.kind.endsReady() { // ReadyForQuery follows
		return
	}
	s.ignoring = !s.skipToSync()
}

// outdates says that an error may be due to a statement that was parsed before a table or type was changed, of which the
// pooler was not told.
func outdates(body []byte) bool {
	return hasCode(body, wire.CodeFeatureNotSupported) && bytes.Contains(body, []byte("RevalidateCachedQuery")) ||
		hasCode(body, wire.CodeInternalError) // cache lookup failed for type
}

// startCopy takes a CopyInResponse.
func (s *Session) startCopy() {
	if k := s.owed.first().kind; s.uncertain || k != query && k != execute {
		s.confuse()
		return
	}
	ignored, ended := s.owed.startCopy()
	s.copying = !ended
	s.ignored = ignored
	if s.owed.first().kind == execute && s.owed.readies == 0 {
		s.unsynced = true // the Sync that ends the statement is still to come
	}
}

// answered takes a message that may be the end of a reply to the oldest entry of the ledger.
func (s *Session) answered(p wire.Piece) {
	k := s.owed.first().kind
	if k == describe {
		s.described(p)
	}
	switch p.Type {
	case wire.TypeParseComplete:
		s.expect(k == parsing)
	case wire.TypeBindComplete:
		s.expect(k == bind)
	case wire.TypeCloseComplete:
		s.expect(k == closing)
	case wire.TypeRowDescription:
		if k != query {
			s.expect(k == describe)
		}
	case wire.TypeNoData:
		s.expect(k == describe)
	case wire.TypeCommandComplete:
		s.completed(p.Body())
		fallthrough
	case wire.TypeEmptyQueryResponse:
		s.pulse.Statement++
		if k != query {
			s.expect(k == execute)
		}
	case wire.TypePortalSuspended:
		s.pulse.Statement++
		s.expect(k == execute)
	}
}

// expect ends the oldest entry, if it is the one that the server has answered.
func (s *Session) expect(ok bool) {
	switch {
	case s.uncertain:
	case !ok:
		s.confuse()
	default:
		s.copying, s.ignored = false, false
		s.done()
	}
}
