package session

// done takes the oldest entry out of the ledger: what it stands for has been done.
func (s *Session) done() {
	e := s.owed.first()
	switch {
	case e.kind == replay:
		if s.replays--; s.replays == 0 && s.refusal == nil {
			s.server.follow(s.chosen)
		}
	case e.kind == parsing && e.slot != nil:
		e.slot.ready, e.slot.there = true, true
	case e.kind == closing && e.slot != nil:
		e.slot.there = false
	}
	s.settleName(e)
	if e.unnamed {
		s.unnamed.changed(e)
	}
	s.owed.pop()
	s.forgetAhead()
}

// settleName takes the server's word about a name of the client's.
func (s *Session) settleName(e *entry) {
	switch {
	case e.use == nil:
	case e.kind == closing && e.names:
		s.removeName(e.use.name)
	case e.kind != parsing:
	case e.names && e.fate == hidden: // it is handed over
		s.deallocate(e.use.name)
	case e.names:
		s.names.set(e.use)
	case e.fate == hidden && e.slot == nil:
		s.server.lentTo(e.use.name)
	}
}

// lose takes the oldest entry out of the ledger: the server has not done it, and will not.
func (s *Session) lose() {
	e := *s.owed.first()
	if e.kind == parsing && e.slot != nil && e.fate != made {
		if e.slot.ready = e.slot.there; !e.slot.there {
			s.server.dropSlot(e.slot)
		}
	}
	if e.kind == parsing && e.names && e.use != nil && e.fate != hidden {
		s.statements.release(e.use.stmt)
	}
	if e.kind == describe && e.slot != nil && e.fate == hidden {
		e.slot.asked = false
	}
	s.owed.drop()
	if e.unnamed {
		s.unnamed.lost(&e, s.owed.unnamed == 0)
	}
}

// skipToSync loses everything before the next sync point, the first entry of which has failed, and reports whether there is one.
func (s *Session) skipToSync() bool {
	if e := s.owed.first(); e.kind == parsing && e.unnamed && e.fate == pass {
		s.unnamed.failed()
	}
	for s.owed.n > 0 && s.owed.first().kind != syncPoint {
		s.lose()
	}
	s.forgetAhead()
	if s.owed.n > 0 {
		s.owed.at(0).fate = pass // if it is the pooler's own, the Query before it was skipped
	}
	return s.owed.n > 0
}

// loseAll loses everything.
func (s *Session) loseAll() {
	for s.owed.n > 0 {
		s.lose()
	}
	s.owed.clear()
	s.forgetAhead()
}

// forgetAhead forgets what was said about names once the server has answered it all.
func (s *Session) forgetAhead() {
	if s.owed.names > 0 {
		return
	}
	if len(s.names.ahead) > 0 {
		clear(s.names.ahead)
	}
	s.names.closes, s.names.asked, s.server.closing = false, false, ""
}

// removeName forgets a statement of the client's.
func (s *Session) removeName(name string) {
	if stmt := s.names.remove(name); stmt != nil {
		s.statements.release(stmt)
	}
}

// forgetNames forgets all statements of the client's.
func (s *Session) forgetNames() {
	for _, n := range s.names.known {
		s.statements.release(n.stmt)
	}
	s.names.known, s.names.bytes = nil, 0
}
