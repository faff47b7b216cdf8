package session

// Fail gives up a session in which a call has panicked, so that what it knows cannot be trusted; torn is what Torn said before
// the call. It lets go of the client's statements (one that a Parse under way has named may stay kept for nobody) and forgets the
// server connection, which must be closed. FromClient must not be called again.
func (s *Session) Fail(torn bool) {
	s.forgetNames()
	*s = Session{mode: s.mode, statements: s.statements, chosen: s.chosen, own: s.own, panicked: true, torn: torn}
}

// Failed says that Fail was called.
func (s *Session) Failed() bool { return s.panicked }
