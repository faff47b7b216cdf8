package session

import "github.com/weir-dev/weir/pooler/postgres/wire"

// Part is Leave for a client that has vanished while the server works for it, if the connection may be kept: what it runs is
// to be cancelled, and inject to be sent, followed by Sent. What the server still says goes to FromServer, and nowhere else; the
// action then comes from Sent or Delivered, as after a polite Leave. If it does not come soon, see Abandon. ok is false if there
// is nothing to wait for, or nothing that could be told from the replies: then Leave says what becomes of the connection.
func (s *Session) Part() (inject []byte, ok bool) {
	switch {
	case s.server == nil, s.leaving, s.halfSent(), s.quiet(), s.sending, s.delivering:
		return nil, false
	case s.copying, s.ignored, s.uncertain, s.tainted, s.died, s.once:
		return nil, false
	}
	s.leaving = true
	if s.unsynced || s.ignoring {
		s.unsynced, s.ignoring = false, false
		s.push(entry{kind: syncPoint})
		s.sending = true
		inject = wire.AppendSync(nil)
	}
	return inject, true
}

// Abandon gives up waiting for what Part or a polite Leave has left. It returns Discard, or Continue if that has come.
func (s *Session) Abandon() Action {
	if s.server == nil || !s.leaving {
		return Continue
	}
	return s.detach(Discard)
}
