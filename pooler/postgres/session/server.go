package session

import (
	"bytes"

	"github.com/weir-dev/weir/pooler/postgres/wire"
)

// Sizes in bytes of what is looked at in messages of the server.
const (
	seenTag     = 8       // of a command tag: SET, DO, CALL
	seenError   = 64      // of an error: its severity
	seenSetting = 4 << 10 // of a reported setting: name and value
)

var serverRules = wire.BackendRules(map[byte]wire.Rule{
	wire.TypeCommandComplete: wire.Prefix(seenTag, wire.MaxLargeBody),
	wire.TypeErrorResponse:   wire.Prefix(seenError, wire.MaxLargeBody),
	wire.TypeParameterStatus: wire.Prefix(seenSetting, wire.MaxLargeBody),
})

// FromServer takes what the attached server has sent.
func (s *Session) FromServer(in []byte) Step {
	var st Step
	if s.server == nil {
		return Step{Used: len(in)} // the client has left, the connection is being closed
	}
	for {
		before := s.server.in
		p, err := s.server.in.Next(in[st.Used:])
		if err != nil || malformed(p) {
			return Step{Do: Break}
		}
		if p.Raw == nil {
			return s.more(st)
		}
		if s.passes(p) {
			st.Used += len(p.Raw)
			st.Forward = st.Used
			continue
		}
		if st.Used > 0 { // what is swallowed gets a step of its own
			s.server.in = before
			return st
		}
		st.Used = len(p.Raw)
		st.Inject = s.swallow(p)
		return st
	}
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

// passes notes a piece of the server's and says whether it is passed on; if not, nothing has been noted.
func (s *Session) passes(p wire.Piece) bool {
	if !p.First {
		return !s.server.swallows
	}
	switch p.Type {
	case wire.TypeDataRow, wire.TypeCopyData, wire.TypeNoticeResponse:
	case wire.TypeReadyForQuery:
		s.ready(p.Body()[0])
	case wire.TypeErrorResponse:
		s.server.refused = s.server.refused || hasCode(p.Body(), wire.CodeReadOnlyTransaction)
		if isFatal(p.Body()) {
			s.died = true
		} else if k := s.owed.first(); k == refusedName || k == refusedUnnamed || s.expired && isCanceled(p.Body()) {
			return false
		} else {
			s.failed()
		}
	case wire.TypeNotificationResponse:
		return s.mode == Lasting || s.pinned != NotPinned
	case wire.TypeParameterStatus:
		s.server.report(p)
	case wire.TypeCopyInResponse:
		s.startCopy()
	default:
		s.answered(p)
	}
	s.server.swallows = false
	return true
}

// swallow notes a message that is not passed on, and returns what goes out in its place.
func (s *Session) swallow(p wire.Piece) []byte {
	if !p.First {
		return nil
	}
	s.server.swallows = !p.Last
	if p.Type == wire.TypeNotificationResponse {
		s.tainted = true // an earlier client listens
		return nil
	}
	reply := namedRefused
	switch {
	case s.expired && isCanceled(p.Body()):
		reply = timedOut
	case s.owed.first() == refusedUnnamed:
		reply = unnamedRefused
	}
	s.failed()
	return reply
}

func isCanceled(body []byte) bool { return hasCode(body, wire.CodeQueryCanceled) }

// hasCode says whether an error has the SQLSTATE, which comes behind its severity.
func hasCode(body []byte, code string) bool {
	body = body[:min(len(body), seenError)]
	i := bytes.Index(body, []byte("\x00C"))
	return i >= 0 && len(body) > i+6 && string(body[i+2:i+7]) == code
}

func isFatal(body []byte) bool {
	body = body[:min(len(body), seenError)]
	return bytes.Contains(body, []byte("\x00VFATAL\x00")) || bytes.Contains(body, []byte("\x00VPANIC\x00"))
}

// ready takes a ReadyForQuery.
func (s *Session) ready(status byte) {
	s.status = status
	s.expired = false
	s.pulse.Statement++
	if status == wire.StatusIdle {
		s.counts.Transactions++
		s.pulse.Transaction++
	}
	if s.uncertain {
		return
	}
	k := s.owed.first()
	if !k.endsReady() {
		s.confuse()
		return
	}
	if k == query {
		s.unnamed = false
	}
	s.copying, s.ignored = false, false
	s.owed.pop()
}

// failed takes an ErrorResponse that is not the server's last word.
func (s *Session) failed() {
	k := s.owed.first()
	switch {
	case s.uncertain:
		return
	case s.ignored:
		s.confuse() // the Sync may have come before the error or after it
		return
	case k == none:
		s.confuse()
		return
	}
	s.copying = false
	if k.endsReady() { // ReadyForQuery follows
		return
	}
	if k == parseUnnamed {
		s.unnamed = false
	}
	s.ignoring = !s.owed.skip()
	s.unnamedNext = s.owed.unnamedAfter(s.unnamed)
}

// startCopy takes a CopyInResponse.
func (s *Session) startCopy() {
	if k := s.owed.first(); s.uncertain || k != query && k != execute {
		s.confuse()
		return
	}
	ignored, ended := s.owed.startCopy()
	s.copying = !ended
	s.ignored = ignored
	if s.owed.first() == execute && !s.owed.ready() {
		s.unsynced = true // the Sync that ends the statement is still to come
	}
}

// answered takes a message that may be the end of a reply to the oldest entry of the ledger.
func (s *Session) answered(p wire.Piece) {
	if s.uncertain {
		return
	}
	k := s.owed.first()
	switch p.Type {
	case wire.TypeParseComplete:
		s.unnamed = s.unnamed || k == parseUnnamed
		s.expect(k == parseUnnamed || k == parseNamed)
	case wire.TypeBindComplete:
		s.expect(k == bind)
	case wire.TypeCloseComplete:
		s.unnamed = s.unnamed && k != closeUnnamed
		s.expect(k == closeUnnamed || k == closeOther)
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
	if !ok {
		s.confuse()
		return
	}
	s.copying, s.ignored = false, false
	s.owed.pop()
}

// completed looks at a command tag: a SET that lasts was the server's doing, not only a word.
func (s *Session) completed(tag []byte) {
	if !s.text.plain {
		return
	}
	for _, t := range [...]string{"SET\x00", "DO\x00", "CALL\x00"} {
		if len(tag) >= len(t) && string(tag[:len(t)]) == t {
			s.pin(Set)
		}
	}
}
